"""``spark-submit read_rows.py <StoreSpec as JSON> <table> <as-of> <how>``: what a person may do with a snapshot.

``filter``: count the rows that have the first row's secret, by its value. ``collect``: bring all rows into the driver's
heap, and then ask for more than it has.
"""

from __future__ import annotations

import json
import sys

from pyspark.sql import SparkSession
from warehouse.jvm import jvm_of
from warehouse.reading import read_as_of
from warehouse.store_spec import StoreSpec

HEAP = 1 << 30


def main(store: str, table: str, as_of: str, how: str) -> None:
    session = SparkSession.builder.getOrCreate()
    rows = read_as_of(session, StoreSpec(**json.loads(store)), table, as_of, window=1)
    first = rows.first()
    assert first is not None
    match how:
        case "filter":
            assert rows.where(rows.secret == first.secret).count() == 1
        case "collect":
            kept = rows._jdf.collectAsList()
            jvm_of(session).java.nio.ByteBuffer.allocate(HEAP)
            assert kept.isEmpty(), "the heap had room for all that"
    session.stop()


if __name__ == "__main__":
    main(*sys.argv[1:])
