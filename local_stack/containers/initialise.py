"""``initialise``: bring Airflow's database to this version; its connection to Spark and its pools. Safe to repeat.

All of Airflow waits for this to end well. A manifest that cannot be used is no reason to keep it down: the UI shows
what is wrong with it as an import error.
"""

from __future__ import annotations

import subprocess
import sys
from collections.abc import Callable, Sequence
from pathlib import Path
from typing import TYPE_CHECKING

from local_stack.containers.airflow import HOME, WAREHOUSE, write_settings
from local_stack.containers.spark import MASTER, PORT
from local_stack.errors import StackError

if TYPE_CHECKING:
    from airflow.models import Connection

SPARK_CONNECTION = "spark_default"
MANIFEST = WAREHOUSE / "dags" / "warehouse.yaml"


def main(arguments: Sequence[str]) -> None:
    """Do it.

    :raises StackError: the migration failed.
    """
    write_settings()
    if code := python("airflow", "db", "migrate"):
        raise StackError(f"`airflow db migrate` ended with {code}; see above")
    make_pools(MANIFEST)
    from airflow.models import Connection  # noqa: PLC0415 - needs the settings

    spark = Connection(conn_id=SPARK_CONNECTION, conn_type="spark", host=f"spark://{MASTER}", port=PORT)
    put_connection(spark, replace=False)


def python(module: str, *arguments: str) -> int:
    """Exit code of ``python -m <module> <argument…>``."""
    return subprocess.run([sys.executable, "-m", module, *arguments], cwd=HOME, check=False).returncode


def make_pools(manifest: Path, *, run: Callable[..., int] = python) -> None:
    """Make the sources' pools, or say why there are none: ``check`` refuses the runs that would need them.

    :param run: as :func:`python`.
    """
    if run("logical_warehouse", "pools", "--manifest", str(manifest)):
        print(
            "the pools were not made, see above; Airflow starts without them. `warehouse lint` says what is wrong with "
            f"{manifest.name}, and `warehouse pools` makes them",
            flush=True,
        )


def put_connection(connection: Connection, *, replace: bool) -> None:
    """Keep a connection in Airflow's database; one of the same id stays unless ``replace``."""
    from airflow.models import Connection as Stored  # noqa: PLC0415
    from airflow.utils.session import create_session  # noqa: PLC0415
    from sqlalchemy import select  # noqa: PLC0415

    with create_session() as session:
        found = session.scalars(select(Stored).where(Stored.conn_id == connection.conn_id)).one_or_none()
        if found is not None and not replace:
            return
        if found is not None:
            session.delete(found)
            session.flush()
        session.add(connection)
    print(f"connection {connection.conn_id}: {connection.host}", flush=True)
