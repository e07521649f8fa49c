"""``make shell``: a Python with a Spark session on the demo's store, run with ``python -i``."""

from __future__ import annotations

from warehouse.interactive import open_warehouse
from warehouse.reading import read_as_of, read_latest
from warehouse.store_spec import StoreSpec

from local_stack.stack import Stack

__all__ = ["read_as_of", "read_latest", "spark", "store"]

_stack = Stack()
store = _stack.alluxio.uri
spark = open_warehouse(StoreSpec(store, memory_only=_stack.memory_only), jars=_stack.environment["WAREHOUSE_JARS"])
print(f'\nTry: read_as_of(spark, "{store}", "flights", "2013-06-02").show()')
