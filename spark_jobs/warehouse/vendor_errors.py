"""The one seam where errors of JDBC drivers, Spark and the store become failures of this package."""

from __future__ import annotations

import re
from collections.abc import Iterator
from contextlib import contextmanager
from typing import Any

from py4j.protocol import Py4JError, Py4JJavaError
from pyspark.errors import (
    ArithmeticException,
    ArrayIndexOutOfBoundsException,
    DateTimeException,
    NumberFormatException,
    PySparkException,
)

from warehouse.access_failures import NotAllowed
from warehouse.failures import JobError
from warehouse.sql_states import Cause, source_failure
from warehouse.store_failures import FileIncomplete, StoreDataLost, StoreFull, StoreUnreachable, TooFewWorkers
from warehouse.validation_failures import CheckNotComputable

MAX_CAUSES = 20

FEW_WORKERS = re.compile(r"Not enough workers for replications")
FULL = re.compile(r"ResourceExhausted|RESOURCE_EXHAUSTED|No space left on device|not enough space", re.IGNORECASE)
UNREACHABLE = re.compile(
    r"UnavailableException|Failed to connect to (?:remote )?(?:master|server)|No available Alluxio worker"
    r"|no (?:alive |available )?workers?\b|Unable to connect to|Connection refused.*(?:alluxio|1999[89])"
    # A master that is just starting answers before all of its services are there.
    r"|Method not found: alluxio\.grpc\.",
    re.IGNORECASE,
)
DENIED = re.compile(
    r"Permission denied: user=(?P<user>[^,\s]+), access=(?P<access>\S+?),"
    r" (?:path=(?P<path>\S+): failed at \S+, inode owner=\S*, inode group=(?P<group>\S*), inode mode="  # Alluxio
    r"|inode=\"(?P<inode>[^\"]+)\":[^:\s]+:(?P<inode_group>[^:\s]+):)"  # HDFS
)
# Alluxio 2.9 writes "Block 184,549,376 is unavailable in both Alluxio and UFS".
LOST = re.compile(r"is not available in (?:alluxio|any)|Block [\d,]+ is unavailable|UnavailableBlock", re.IGNORECASE)

INCOMPLETE = re.compile(r"Cannot read from (?P<path>\S+) because it is incomplete")

ROW_ERRORS = (
    ArithmeticException,
    ArrayIndexOutOfBoundsException,
    DateTimeException,
    NumberFormatException,
)


def causes_of(error: BaseException) -> list[Cause]:
    """The chain of Java exceptions behind a Python error, outermost first; empty for a purely Python one."""
    java = error.java_exception if isinstance(error, Py4JJavaError) else getattr(error, "_origin", None)
    chain: list[Cause] = []
    while java is not None and len(chain) < MAX_CAUSES:
        class_name = str(java.getClass().getName())
        chain.append(Cause(class_name, str(java.getMessage() or ""), *_sql_state(java)))
        java = java.getCause()
    return chain


def name_of(error: Exception) -> str:
    """Name of the innermost Java exception behind a Python error, or of that: it holds no value, as a message may."""
    chain = causes_of(error)
    return chain[-1].class_name if chain else type(error).__name__


def _sql_state(java: Any) -> tuple[str | None, int]:
    """SQLSTATE and vendor code."""
    try:
        state = java.getSQLState()
    except (Py4JError, TypeError):  # Not an SQLException.
        return None, 0
    return (None if state is None else str(state)), int(java.getErrorCode())


@contextmanager
def source_errors(source: str, user: str | None, table: str | None = None) -> Iterator[None]:
    """Turn errors of the source into failures naming ``source`` and ``table``; let all others pass."""
    try:
        yield
    except (Py4JJavaError, PySparkException) as error:
        failure = source_failure(causes_of(error), source, user, table)
        if failure is None:
            raise
        raise failure from error


@contextmanager
def store_errors(uri: str, table: str | None = None) -> Iterator[None]:
    """Turn errors of the store into failures naming ``uri`` and ``table``; let all others pass."""
    try:
        yield
    except (Py4JJavaError, PySparkException) as error:
        failure = store_failure(causes_of(error), uri, table)
        if failure is None:
            raise
        raise failure from error


@contextmanager
def expression_errors(table: str) -> Iterator[None]:
    """Turn errors that an SQL expression raises for some row into a failure without the row's values."""
    try:
        yield
    except ROW_ERRORS as error:
        raise CheckNotComputable(table, error.getCondition() or type(error).__name__) from error


def store_failure(  # noqa: PLR0911  # one return per kind of failure
    chain: list[Cause], uri: str, table: str | None
) -> JobError | None:
    """The failure that a chain of Java exceptions from the store's file system means, or None for another origin."""
    for cause in reversed(chain):
        text = f"{cause.class_name}: {cause.message}"
        if (denied := DENIED.search(text)) is not None:
            return _not_allowed(denied, table)
        if (incomplete := INCOMPLETE.search(text)) is not None:
            return FileIncomplete(incomplete["path"])
        if FEW_WORKERS.search(text):
            return TooFewWorkers(uri)
        if FULL.search(text):
            return StoreFull(uri, table)
        if LOST.search(text):
            return StoreDataLost(uri, table)
        if UNREACHABLE.search(text):
            return StoreUnreachable(uri)
    return None


def _not_allowed(denied: re.Match[str], table: str | None) -> NotAllowed:
    path, group = denied["path"] or denied["inode"], denied["group"] or denied["inode_group"]
    writes = "w" in denied["access"].lower()
    return NotAllowed(denied["user"], path, "write to" if writes else "read", table, group or None)
