"""The driver's JVM as py4j shows it: a job's classic session always has one, a Connect session has none."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

if TYPE_CHECKING:
    from pyspark.sql import SparkSession


def jvm_of(session: SparkSession) -> Any:
    """Root of the JVM's packages."""
    return session._jvm


def java_array(session: SparkSession, element_class: Any, length: int) -> Any:
    """A new Java array."""
    gateway: Any = session._sc._gateway
    return gateway.new_array(element_class, length)


def scala_object(session: SparkSession, name: str) -> Any:
    """The Scala ``object`` of that full name, with the methods that it does not show to Java."""
    instance: Any = jvm_of(session).java.lang.Class.forName(f"{name}$").getField("MODULE$").get(None)
    return instance


def activate(session: SparkSession) -> None:
    """Make ``session`` the active one of this thread, as it is in the thread that started it.

    Spark looks the settings of a catalog up in the thread's active session when the catalog is first used.
    """
    jvm_of(session).org.apache.spark.sql.classic.SparkSession.setActiveSession(session._jsparkSession)
