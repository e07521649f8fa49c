"""``spark-submit fill_shuffle.py <StoreSpec as JSON> <table> <as-of> <copies>``: a shuffle beyond memory.

Prints ``SPILLED <bytes of spill files> <bytes of the shuffle>`` when the shuffle's files lie where Spark keeps them,
and then waits to be killed.
"""

from __future__ import annotations

import json
import signal
import sys

from pyspark.sql import SparkSession
from pyspark.sql import functions as sf
from warehouse.jvm import java_array, jvm_of
from warehouse.reading import read_as_of
from warehouse.store_spec import StoreSpec


def main(store: str, table: str, as_of: str, copies: str) -> None:
    session = SparkSession.builder.getOrCreate()
    rows = read_as_of(session, StoreSpec(**json.loads(store)), table, as_of, window=1)
    rows = rows.crossJoin(session.range(int(copies)).withColumnRenamed("id", "copy"))
    shuffled = rows.repartition(2, sf.xxhash64("id", "copy")).sortWithinPartitions("secret", "copy", "id")
    shuffled.write.format("noop").mode("overwrite").save()
    spilled, written = shuffled_bytes(session)
    print(f"SPILLED {spilled} {written}", flush=True)
    signal.pause()


def shuffled_bytes(session: SparkSession) -> tuple[int, int]:
    """Bytes of all spill files and of all shuffle files until now, as Spark's UI would show them."""
    jvm = jvm_of(session)
    any_status = jvm.java.util.ArrayList()
    no_quantiles = java_array(session, jvm.double, 0)
    stages = session._jsc.sc().statusStore().stageList(any_status, False, False, no_quantiles, any_status)
    found = [stages.apply(index) for index in range(stages.size())]
    return sum(stage.diskBytesSpilled() for stage in found), sum(stage.shuffleWriteBytes() for stage in found)


if __name__ == "__main__":
    main(*sys.argv[1:])
