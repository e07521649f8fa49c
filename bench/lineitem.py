"""TPC-H lineitem in PostgreSQL, and TPC-H query 1 over it."""

from __future__ import annotations

import subprocess
import sys
import time
from pathlib import Path

from local_stack.postgres import PostgresServer

DATABASE = "tpch"
KEY = "l_orderkey"

# TPC-H specification, 1.4.1 and 2.4.1 (with its validation parameter of 90 days).
_CREATE = """
CREATE TABLE {table} (
    l_orderkey bigint NOT NULL, l_partkey bigint NOT NULL, l_suppkey bigint NOT NULL, l_linenumber integer NOT NULL,
    l_quantity numeric(15, 2) NOT NULL, l_extendedprice numeric(15, 2) NOT NULL, l_discount numeric(15, 2) NOT NULL,
    l_tax numeric(15, 2) NOT NULL, l_returnflag char(1) NOT NULL, l_linestatus char(1) NOT NULL,
    l_shipdate date NOT NULL, l_commitdate date NOT NULL, l_receiptdate date NOT NULL,
    l_shipinstruct char(25) NOT NULL, l_shipmode char(10) NOT NULL, l_comment varchar(44) NOT NULL
)"""
QUERY_1 = """
SELECT l_returnflag, l_linestatus, sum(l_quantity) AS sum_qty, sum(l_extendedprice) AS sum_base_price,
    sum(l_extendedprice * (1 - l_discount)) AS sum_disc_price,
    sum(l_extendedprice * (1 - l_discount) * (1 + l_tax)) AS sum_charge,
    avg(l_quantity) AS avg_qty, avg(l_extendedprice) AS avg_price, avg(l_discount) AS avg_disc, count(*) AS count_order
FROM {table} WHERE l_shipdate <= date '1998-12-01' - interval '90' day
GROUP BY l_returnflag, l_linestatus ORDER BY l_returnflag, l_linestatus"""


def load(server: PostgresServer, table: str, scale: float, scratch: Path) -> int:
    """Generate lineitem at ``scale`` and load it by COPY, with its primary key and statistics; the number of rows."""
    folder = scratch / f"tpch-{table}"
    generator = Path(sys.executable).with_name("tpchgen-cli")
    command = [str(generator), "csv", "-s", str(scale), "--tables=lineitem", f"--output-dir={folder}"]
    subprocess.run(command, check=True, capture_output=True)
    started = time.monotonic()
    server.create_database(DATABASE)
    connection = server.connect(DATABASE)
    try:
        with connection, connection.cursor() as cursor, (folder / "lineitem.csv").open("rb") as file:
            cursor.execute(_CREATE.format(table=table))
            cursor.copy_expert(f"COPY {table} FROM STDIN (FORMAT csv, HEADER)", file, 1 << 20)
            cursor.execute(f"ALTER TABLE {table} ADD PRIMARY KEY ({KEY}, l_linenumber)")
            cursor.execute(f"SELECT count(*) FROM {table}")  # noqa: S608 - our own name
            rows = int(cursor.fetchone()[0])
        connection.autocommit = True
        with connection.cursor() as cursor:
            cursor.execute(f"VACUUM ANALYZE {table}")
    finally:
        connection.close()
    (folder / "lineitem.csv").unlink()
    print(f"{table}: {rows:,} rows at scale {scale:g} loaded in {time.monotonic() - started:.1f} s")
    return rows


def pages(server: PostgresServer, table: str) -> int:
    """Pages of the table as of its last ANALYZE, by which it is split."""
    connection = server.connect(DATABASE)
    try:
        with connection.cursor() as cursor:
            cursor.execute("SELECT relpages FROM pg_class WHERE oid = %s::regclass", (table,))
            return int(cursor.fetchone()[0])
    finally:
        connection.close()
