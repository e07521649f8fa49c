"""What runs inside spark-submit: one side of a comparison, in a JVM of its own, printing its measurements.

Every side is timed from a session that has done nothing yet, so that all pay for the same cold JVM.
"""

from __future__ import annotations

import json
import os
import re
import sys
import time
from functools import partial
from pathlib import Path
from typing import Any

from pyspark.sql import DataFrame, SparkSession
from warehouse.capture import snapshot_tables
from warehouse.reading import read_as_of
from warehouse.snapshot_spec import SnapshotJob
from warehouse.source_spec import PASSWORD_VARIABLE
from warehouse.spec_json import from_json
from warehouse.store_spec import StoreSpec
from warehouse.validate_spec import ValidateJob
from warehouse.validation import validate_snapshots

from bench.lineitem import KEY, QUERY_1
from bench.measure import alternate
from bench.submit import RESULT


def peak_megabytes(session: SparkSession) -> float:
    """Largest resident memory so far: of this JVM, driver and executor in one, and of this Python, by ``VmHWM``."""
    jvm: Any = session._jvm
    peak = 0.0
    for process in (str(jvm.java.lang.ProcessHandle.current().pid()), "self"):
        found = re.search(r"VmHWM:\s+(\d+) kB", Path(f"/proc/{process}/status").read_text())
        assert found is not None
        peak += int(found[1]) / 1024
    return peak


def jdbc_frame(session: SparkSession, asked: dict[str, Any]) -> DataFrame:
    """Plain Spark JDBC, split by strides of the key, as its manual has it; with a fetch size, for fairness."""
    reader = session.read.format("jdbc").options(
        url=asked["url"],
        user=asked["user"],
        password=os.environ[PASSWORD_VARIABLE],
        driver="org.postgresql.Driver",
        fetchsize="10000",
    )
    bounds = f"(SELECT min({KEY}) AS low, max({KEY}) AS high FROM {asked['table']}) bounds"  # noqa: S608 - our own names
    [(low, high)] = reader.option("dbtable", bounds).load().collect()
    return (
        reader.option("dbtable", asked["table"])
        .options(partitionColumn=KEY, lowerBound=low, upperBound=high + 1, numPartitions=asked["connections"])
        .load()
    )


def snapshot(session: SparkSession, asked: dict[str, Any]) -> dict[str, float]:
    """This project's snapshot, and then its validation."""
    job = from_json(SnapshotJob, asked["job"])
    started = time.monotonic()
    captured = snapshot_tables(session, job)
    seconds = time.monotonic() - started
    peak = peak_megabytes(session)
    validate_snapshots(
        session,
        ValidateJob(
            run=job.run,
            store=job.store,
            source=job.source.name,
            interval=job.interval,
            tables=job.tables,
            captures=captured.captures,
            result_path=job.result_path,
        ),
    )
    return {
        "seconds": seconds,
        "validate_seconds": time.monotonic() - started - seconds,
        "peak_megabytes": peak,
        "megabytes": captured.captures[0].bytes / 1e6,
    }


def jdbc_to_parquet(session: SparkSession, asked: dict[str, Any]) -> dict[str, float]:
    """Plain Spark JDBC to Parquet at ``asked["path"]``."""
    started = time.monotonic()
    jdbc_frame(session, asked).write.mode("overwrite").parquet(asked["path"])
    return {"seconds": time.monotonic() - started, "peak_megabytes": peak_megabytes(session)}


def reads(session: SparkSession, asked: dict[str, Any]) -> dict[str, dict[str, list[float]]]:
    """Seconds of a full read and of query 1, from every place, alternating within one session."""
    stored = read_as_of(session, StoreSpec(**asked["store"]), asked["table"], asked["as_of"])
    places = {"source": jdbc_frame(session, asked), "store": stored, "local": session.read.parquet(asked["path"])}
    answers: dict[str, list[Any]] = {}

    def full(place: str) -> float:
        started = time.monotonic()
        places[place].write.format("noop").mode("overwrite").save()
        return time.monotonic() - started

    def query(place: str) -> float:
        places[place].createOrReplaceTempView(f"lineitem_{place}")
        started = time.monotonic()
        answers[place] = session.sql(QUERY_1.format(table=f"lineitem_{place}")).collect()
        return time.monotonic() - started

    measured = {
        "full": alternate({place: partial(full, place) for place in places}, asked["runs"]),
        "query": alternate({place: partial(query, place) for place in places}, asked["runs"]),
    }
    assert answers["source"] == answers["store"] == answers["local"], "query 1 must have one answer everywhere"
    return measured


SIDES = {side.__name__: side for side in (snapshot, jdbc_to_parquet, reads)}

if __name__ == "__main__":
    request = json.loads(sys.argv[1])
    spark = SparkSession.builder.getOrCreate()
    answer = SIDES[request["side"]](spark, request)
    print(RESULT + json.dumps(answer), flush=True)
    spark.stop()
