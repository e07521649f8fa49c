"""``initialise``: bring Airflow's database to this version; its connection to Spark and its pools. Safe to repeat."""

from __future__ import annotations

import subprocess
import sys
from collections.abc import Sequence
from typing import TYPE_CHECKING

from local_stack.containers.airflow import HOME, WAREHOUSE, write_settings
from local_stack.containers.spark import MASTER, PORT
from local_stack.errors import StackError

if TYPE_CHECKING:
    from airflow.models import Connection

SPARK_CONNECTION = "spark_default"


def main(arguments: Sequence[str]) -> None:
    """Do it.

    :raises StackError: the migration failed, or the manifest is broken.
    """
    write_settings()
    _run("-m", "airflow", "db", "migrate")
    _run("-m", "logical_warehouse", "pools", "--manifest", str(WAREHOUSE / "dags" / "warehouse.yaml"))
    from airflow.models import Connection  # noqa: PLC0415 - needs the settings

    spark = Connection(conn_id=SPARK_CONNECTION, conn_type="spark", host=f"spark://{MASTER}", port=PORT)
    put_connection(spark, replace=False)


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


def _run(*arguments: str) -> None:
    done = subprocess.run([sys.executable, *arguments], cwd=HOME, check=False)
    if done.returncode:
        raise StackError(f"python {' '.join(arguments)} ended with {done.returncode}; see above")
