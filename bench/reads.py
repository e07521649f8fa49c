"""Reading a table and asking it TPC-H query 1: from the source, from Alluxio, from Parquet on tmpfs."""

from __future__ import annotations

import time
from dataclasses import asdict

from bench import lineitem, snapshots
from bench.measure import alternate, ratio, seconds_and_spread
from bench.report import Section
from bench.stage import CONNECTIONS, Stage

PLACES = {
    "source": f"Spark JDBC from the source, {CONNECTIONS} connections",
    "store": "this project's snapshot on Alluxio",
    "local": "Parquet on tmpfs",
}
IN_DATABASE = "the source's own SQL"


def measure(stage: Stage) -> list[Section]:
    """Seconds of both, in one Spark session, alternating."""
    snapshots.take_snapshot(stage, "lineitem", attempt=10**6)
    local = f"file://{stage.local}/reads"
    snapshots.copy_by_jdbc(stage, "lineitem", local)
    request = {
        "side": "reads",
        "store": asdict(stage.store),
        "as_of": snapshots.AS_OF,
        "path": local,
        "runs": stage.options.runs,
        **snapshots.jdbc_request(stage, "lineitem"),
    }
    done = stage.spark.run("spark_side.py", request, stage.spark.project_conf(), password=stage.source.password)
    full, query = done.result["full"], done.result["query"]
    query[IN_DATABASE] = alternate({IN_DATABASE: lambda: _in_database(stage)}, stage.options.runs)[IN_DATABASE]
    return [
        _section("Reading all of lineitem", "Every column of every row, in Spark, thrown away.", full),
        _section("TPC-H query 1", "The same answer everywhere; the medians include Spark's compilation.", query),
    ]


def _section(title: str, explanation: str, measured: dict[str, list[float]]) -> Section:
    rows = tuple(
        (PLACES.get(place, place), seconds_and_spread(seconds), ratio(seconds, measured["store"]))
        for place, seconds in measured.items()
    )
    return Section(title, explanation, ("from", "seconds", "against Alluxio"), rows)


def _in_database(stage: Stage) -> float:
    connection = stage.source.connect(lineitem.DATABASE)
    try:
        with connection.cursor() as cursor:
            started = time.monotonic()
            cursor.execute(lineitem.QUERY_1.format(table="lineitem"))
            cursor.fetchall()
            return time.monotonic() - started
    finally:
        connection.close()
