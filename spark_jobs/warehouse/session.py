"""Spark sessions on the store: a job's, configured by spark-submit, and a person's, for reading."""

from __future__ import annotations

import atexit
import shutil
import tempfile
from collections.abc import Iterator
from contextlib import contextmanager

from pyspark.sql import SparkSession

from warehouse.job_spec import StoreSpec
from warehouse.spark_conf import spark_conf

MEMORY = "/dev/shm"  # noqa: S108  # scratch holds rows


@contextmanager
def job_session(application: str) -> Iterator[SparkSession]:
    """A session configured by ``spark-submit --conf`` (see ``spark_conf``), stopped when the block ends."""
    session = SparkSession.builder.appName(application).getOrCreate()
    try:
        yield session
    finally:
        session.stop()


def open_warehouse(uri: str, *, jars: str, master: str = "local[2]") -> tuple[SparkSession, StoreSpec]:
    """A session for reading the store at ``uri`` in a notebook or a shell; its scratch is in memory.

    :param uri: folder of the store, as in the manifest: ``alluxio://host:19998/warehouse``.
    :param jars: folder with the Iceberg runtime and the store's client.
    :param master: of Spark; other machines of a cluster need the jars in the same folder.
    :returns: the session, and the store as :func:`warehouse.reading.read_as_of` wants it.
    """
    store = StoreSpec(uri.rstrip("/"))
    scratch = tempfile.mkdtemp(prefix="warehouse-reader-", dir=MEMORY)
    atexit.register(shutil.rmtree, scratch, ignore_errors=True)
    builder = SparkSession.builder.appName("warehouse reader").master(master)
    for name, value in spark_conf(store, scratch_dir=scratch).items():
        builder = builder.config(name, value)
    for side in ("driver", "executor"):
        builder = builder.config(f"spark.{side}.extraClassPath", f"{jars}/*")
    return builder.getOrCreate(), store
