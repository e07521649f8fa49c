"""A Spark application: the same full read of a table from the store and from its source, timed side by side.

Arguments: URI of the store, table, as-of date, JDBC URL, user; the password comes by the environment. Prints one line
of JSON: ``{"rows": …, "store_seconds": …, "source_seconds": …}``, the best of three reads each.
"""

from __future__ import annotations

import json
import os
import sys
import time

from pyspark.sql import DataFrame, SparkSession
from pyspark.sql import functions as F  # noqa: N812 - Spark's own custom
from warehouse.reading import read_as_of
from warehouse.source_spec import PASSWORD_VARIABLE
from warehouse.store_spec import StoreSpec

REPEATS = 3


def main(uri: str, table: str, as_of: str, url: str, user: str) -> None:
    """Time both and print the result.

    :raises ValueError: the two do not hold the same rows.
    """
    spark = SparkSession.builder.appName("read timing").getOrCreate()
    stored = read_as_of(spark, StoreSpec(uri), table, as_of)
    first, last = stored.agg(F.min("time_hour").cast("string"), F.max("time_hour").cast("string")).first() or ("", "")
    connection = {"user": user, "password": os.environ[PASSWORD_VARIABLE], "driver": "org.postgresql.Driver"}
    # As the snapshot reads it: two connections, each a part of the rows.
    captured = f"time_hour BETWEEN '{first}+00' AND '{last}+00'"
    halves = [f"{captured} AND hour < 13", f"{captured} AND hour >= 13"]
    source = spark.read.jdbc(
        url, f"public.{table}", predicates=halves, properties=connection | {"fetchsize": "10000"}
    ).select(stored.columns)
    store_seconds, stored_sum = _best(stored)
    source_seconds, source_sum = _best(source)
    if stored_sum != source_sum:
        raise ValueError(f"{table} as of {as_of}: the store holds {stored_sum[0]} rows, the source {source_sum[0]}")
    result = {"rows": stored_sum[0], "store_seconds": store_seconds, "source_seconds": source_seconds}
    print(json.dumps(result))
    spark.stop()


def _best(frame: DataFrame) -> tuple[float, tuple[int, int]]:
    """Fewest seconds, and count and sum over every column of every row, which no reader can answer from metadata."""
    hashed = F.sum(F.xxhash64(*frame.columns).cast("decimal(38,0)")).alias("hash")
    seconds, answer = [], (0, 0)
    for _ in range(REPEATS):
        started = time.perf_counter()
        row = frame.agg(F.count("*").alias("rows"), hashed).first()
        seconds.append(time.perf_counter() - started)
        assert row is not None
        answer = (int(row["rows"]), int(row["hash"]))
    return min(seconds), answer


if __name__ == "__main__":
    main(*sys.argv[1:])
