"""The Spark session of a job: built from what spark-submit was given, and never kept after the job."""

from __future__ import annotations

from collections.abc import Iterator
from contextlib import contextmanager

from pyspark.sql import SparkSession


@contextmanager
def job_session(application: str) -> Iterator[SparkSession]:
    """A session configured by ``spark-submit --conf`` (see ``spark_conf``), stopped when the block ends."""
    session = SparkSession.builder.appName(application).getOrCreate()
    try:
        yield session
    finally:
        session.stop()
