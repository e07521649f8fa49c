"""The Spark session of a job: built from what spark-submit was given, and never kept after the job."""

from __future__ import annotations

from collections.abc import Iterator
from contextlib import contextmanager
from typing import Any

from pyspark.sql import SparkSession


@contextmanager
def job_session(application: str) -> Iterator[SparkSession]:
    """A session configured by ``spark-submit --conf`` (see ``spark_conf``), stopped when the block ends."""
    session = SparkSession.builder.appName(application).getOrCreate()
    try:
        yield session
    finally:
        session.stop()


def jvm_of(session: SparkSession) -> Any:
    """The driver's JVM as py4j shows it; jobs run with a classic session, which always has one."""
    return session._jvm


def java_array(session: SparkSession, element_class: Any, length: int) -> Any:
    """A new Java array."""
    gateway: Any = session._sc._gateway
    return gateway.new_array(element_class, length)
