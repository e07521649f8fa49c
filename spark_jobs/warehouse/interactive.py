"""A Spark session for people: notebooks, shells and scripts that read the store.

>>> from warehouse.interactive import open_warehouse
>>> from warehouse.reading import read_as_of
>>> spark = open_warehouse("alluxio://localhost:19998/warehouse", jars="…/jars")
>>> read_as_of(spark, "alluxio://localhost:19998/warehouse", "flights", "2013-06-02").count()
"""

from __future__ import annotations

import atexit
import os
import shutil
import tempfile
from pathlib import Path

from pyspark.sql import SparkSession

from warehouse.disk_failures import RowsCouldReachDisk
from warehouse.memory_only import ensure_memory_only
from warehouse.spark_conf import spark_conf
from warehouse.store_spec import StoreSpec

JARS_VARIABLE = "WAREHOUSE_JARS"
SHARED_MEMORY = Path("/dev/shm")  # noqa: S108 - scratch files hold rows, which no disk may


def open_warehouse(store: StoreSpec | str, *, jars: str | Path | None = None, master: str = "local[*]") -> SparkSession:
    """A session that knows the store, with its scratch in memory, gone when the interpreter ends.

    :param jars: folder with the jars of Iceberg and of the store's client; ``WAREHOUSE_JARS`` where not given.
    :raises FileNotFoundError: no such folder.
    :raises RowsCouldReachDisk: this machine could write rows to a disk, and the store is not one that allows that.
    :raises RuntimeError: the interpreter has a session already, whose class path can no longer be changed.
    """
    store = StoreSpec(store) if isinstance(store, str) else store
    folder = Path(jars or os.environ.get(JARS_VARIABLE, ""))
    if not any(folder.glob("*iceberg-spark-runtime*.jar")):
        raise FileNotFoundError(f"no Iceberg jar in {str(folder)!r}; name the folder by jars= or {JARS_VARIABLE}")
    if SparkSession.getActiveSession() is not None:
        raise RuntimeError("a Spark session is open already; stop it and start a new interpreter")
    scratch = tempfile.mkdtemp(prefix="warehouse-", dir=SHARED_MEMORY)
    atexit.register(shutil.rmtree, scratch, ignore_errors=True)
    builder = SparkSession.builder.master(master).appName("warehouse")
    for name, value in spark_conf(store, scratch_dir=scratch).items():
        builder = builder.config(name, value)
    session = builder.config("spark.driver.extraClassPath", f"{folder}/*").getOrCreate()
    try:
        ensure_memory_only(session, store)
    except RowsCouldReachDisk:
        session.stop()
        raise
    return session
