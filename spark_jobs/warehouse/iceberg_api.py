"""The Iceberg Java API as this package uses it through py4j: load, inspect, commit with retries.

Spark SQL has no statement for what publishing does in one transaction, hence the Java API.
"""

from __future__ import annotations

import random
import time
from collections.abc import Callable
from typing import TYPE_CHECKING, Any, TypeVar

from py4j.protocol import Py4JJavaError

from warehouse.jvm import java_array, jvm_of
from warehouse.metadata_files import MAIN as MAIN
from warehouse.store_failures import TableNotInStore

if TYPE_CHECKING:
    from pyspark.sql import SparkSession

    from warehouse.store_spec import StoreSpec

Outcome = TypeVar("Outcome")

COMMIT_ATTEMPTS = 30
"""Enough for dozens of concurrent dates: a commit on Alluxio takes about 0.4 s, and one contender always wins."""

COMMIT_CONFLICTS = ("CommitFailedException", "CommitStateUnknownException", "AlreadyExistsException")

NO_SUCH_TABLE = "org.apache.iceberg.exceptions.NoSuchTableException"


def load_table(session: SparkSession, identifier: str) -> Any | None:
    """The current ``org.apache.iceberg.Table``, or None where the catalog has none of that name.

    :raises Py4JJavaError: this user may not read the table, too.
    """
    jvm = jvm_of(session)
    catalog, *names = identifier.split(".")
    java_names = java_array(session, jvm.java.lang.String, len(names))
    for index, name in enumerate(names):
        java_names[index] = name
    iceberg = jvm.org.apache.iceberg.spark.Spark3Util.loadIcebergCatalog(session._jsparkSession, catalog)
    table_id = jvm.org.apache.iceberg.catalog.TableIdentifier.of(java_names)
    try:
        # Not tableExists() before it: that one loads the table, too.
        return iceberg.loadTable(table_id)
    except Py4JJavaError as error:
        if java_class_name(error) != NO_SUCH_TABLE:
            raise
    # Iceberg takes metadata that it may not read for a table that is not there.
    location = session.conf.get(f"spark.sql.catalog.{catalog}.warehouse")
    metadata = jvm.org.apache.hadoop.fs.Path("/".join((str(location), *names, "metadata")))
    metadata.getFileSystem(session._jsc.hadoopConfiguration()).exists(metadata)
    return None


def load_existing_table(session: SparkSession, store: StoreSpec, name: str) -> Any:
    """As :func:`load_table`.

    :raises TableNotInStore: the store has no such table.
    """
    table = load_table(session, store.identifier(name))
    if table is None:
        raise TableNotInStore(name)
    return table


def properties_of(table: Any) -> dict[str, str]:
    """The table's properties as a Python dictionary."""
    return {entry.getKey(): entry.getValue() for entry in table.properties().entrySet()}


def reference_names(table: Any) -> list[str]:
    """Names of all branches and tags."""
    return list(table.refs().keySet())


def branch_head(table: Any, branch: str) -> int | None:
    """Snapshot id at the head of ``branch``, or None where there is no such branch or tag."""
    reference = table.refs().get(branch)
    return None if reference is None else int(reference.snapshotId())


def java_class_name(error: Py4JJavaError) -> str:
    """Name of the Java exception behind ``error``, with its package."""
    return str(error.java_exception.getClass().getName())


def commit_with_retries(change: Callable[[], Outcome]) -> Outcome:
    """Run ``change`` (load the table, rebuild the change, commit), again when another writer was faster.

    Iceberg retries data commits by itself, but not those of branches, tags and transactions (measured: 5 of 8
    concurrent dates failed). ``change`` must load the table anew each time it is called.
    """
    for attempt in range(1, COMMIT_ATTEMPTS + 1):
        try:
            return change()
        except Py4JJavaError as error:
            conflict = java_class_name(error).rpartition(".")[2] in COMMIT_CONFLICTS
            if not conflict or attempt == COMMIT_ATTEMPTS:
                raise
        # Jitter, so that contenders that collided once do not collide again; not a matter of security.
        time.sleep(random.uniform(0.05, min(2.0, 0.1 * 1.5**attempt)))  # noqa: S311
    raise AssertionError("unreachable")
