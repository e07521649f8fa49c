"""Tables of the store and the run branches into which captures are written."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass
from typing import TYPE_CHECKING

from pyspark.sql import functions as F  # noqa: N812 - the name that Spark's users know
from pyspark.sql.types import StringType, StructField, StructType

from warehouse.branch_schema import add_schema, kinds_of, replace_on_branch, write_files
from warehouse.iceberg_api import (
    commit_with_retries,
    load_existing_table,
    load_table,
    properties_of,
    reference_names,
)
from warehouse.kinds import kind_stored_as
from warehouse.records import records_of
from warehouse.run_spec import IntervalSpec, RunSpec
from warehouse.schema_change import changes_between, ensure_allowed, ensure_nothing_lost
from warehouse.sensitive_columns import metrics_properties
from warehouse.source_read import AS_OF_COLUMN
from warehouse.source_spec import SourceSpec
from warehouse.store_spec import StoreSpec
from warehouse.table_origin import HISTORY, ensure_same_table, origin_of
from warehouse.table_spec import TableSpec

if TYPE_CHECKING:
    from pyspark.sql import DataFrame, SparkSession


@dataclass(frozen=True)
class Written:
    """What one write left on a run branch; ``bytes`` are those of its data files."""

    iceberg_snapshot_id: int
    rows: int
    bytes: int


def ensure_table(
    session: SparkSession,
    store: StoreSpec,
    table: TableSpec,
    schema: StructType,
    *,
    source: SourceSpec,
    interval: IntervalSpec,
) -> int:
    """Create the table with the columns of ``schema``, or see whether it may take them; what is published stays as is.

    :returns: id of the Iceberg schema that the run branch must be written in.
    :raises TableRedefined: the manifest means another table than the one stored.
    :raises SchemaChanged: the table's columns differ, and its policy does not take that.
    :raises ColumnsLost: the interval was published with a column that is gone.
    """
    origin = origin_of(table, source.name, source.time_zone)
    identifier = quoted(store.identifier(table.name))
    existing = load_table(session, store.identifier(table.name))
    if existing is None:
        commit_with_retries(lambda: session.sql(_create_sql(identifier, origin, schema)))
        # Another run may have been faster, with other columns.
        existing = load_existing_table(session, store, table.name)
    records = records_of(existing)
    ensure_same_table(table.name, properties_of(existing), origin, records.values(), interval)
    stored = kinds_of(session, existing.schema())
    wanted = {field.name: kind_stored_as(field.dataType.simpleString()) for field in schema.fields}
    changes = changes_between(stored, wanted)
    if not changes:
        return int(existing.schema().schemaId())
    if records:
        ensure_allowed(table.name, changes, stored, table.history.mode, table.schema_policy)
        if table.history.mode == "interval" and interval.as_of in records:
            schema_id = records[interval.as_of].schema_id
            ensure_nothing_lost(
                table.name,
                interval.as_of,
                changes,
                stored if schema_id is None else kinds_of(session, existing.schemas().get(schema_id)),
            )
    print(f"{table.name}: {', '.join(map(str, changes))}; published snapshots stay as they are", flush=True)
    return add_schema(session, store, table.name, schema)


def make_run_branch(session: SparkSession, store: StoreSpec, run: RunSpec, table_name: str) -> None:
    """Branch off ``main`` for this try, after dropping the branches of the run's earlier tries.

    The branch of the run's own interval comes first, those of earlier intervals after it. A driver of an earlier
    try that lives on can then neither write nor publish.
    """

    def change() -> None:
        table = load_existing_table(session, store, table_name)
        earlier = [name for name in reference_names(table) if run.replaces(name)]
        if earlier:
            manage = table.manageSnapshots()
            for name in earlier:
                manage.removeBranch(name)
            # On its own: one commit can neither reuse a name nor, in an empty table, remove and create.
            manage.commit()
        table.manageSnapshots().createBranch(run.branch).commit()

    commit_with_retries(change)


def write_run_branch(
    session: SparkSession,
    store: StoreSpec,
    run: RunSpec,
    table: TableSpec,
    *,
    frame: DataFrame,
    as_of: str,
    schema_id: int,
) -> Written:
    """Read ``frame`` and write it to the run branch: its interval for interval tables, else the whole table.

    :param schema_id: what :func:`ensure_table` returned.
    """
    label = as_of if table.history.mode == "interval" else None
    if label is not None:
        frame = frame.withColumn(AS_OF_COLUMN, F.lit(label))
    before = load_existing_table(session, store, table.name)
    files = write_files(session, before, schema_id, frame, run.branch)
    head = replace_on_branch(session, store, run.branch, table.name, files=files, schema_id=schema_id, as_of=label)
    return Written(
        head, sum(int(file.recordCount()) for file in files), sum(int(file.fileSizeInBytes()) for file in files)
    )


def quoted(identifier: str) -> str:
    """``a.b`` as `` `a`.`b` ``; a column's name with dots must be quoted by :func:`quoted_name`."""
    return ".".join(quoted_name(part) for part in identifier.split("."))


def quoted_name(name: str) -> str:
    """One name in Spark's backticks."""
    return "`" + name.replace("`", "``") + "`"


def _columns_sql(fields: list[StructField]) -> str:
    return ", ".join(f"{quoted_name(field.name)} {field.dataType.simpleString()}" for field in fields)


def _create_sql(identifier: str, origin: Mapping[str, str], schema: StructType) -> str:
    fields = list(schema.fields)
    partitioning = ""
    is_interval = origin[HISTORY] == "interval"
    if is_interval:
        fields.append(StructField(AS_OF_COLUMN, StringType()))
        partitioning = f" PARTITIONED BY ({AS_OF_COLUMN})"
    properties = {
        "format-version": "2",
        # One partition per write: neither a shuffle nor a sort is needed.
        "write.distribution-mode": "none",
        "write.spark.fanout.enabled": "true",
        "write.parquet.compression-codec": "zstd",
        # Otherwise every commit leaves a metadata file for ever, in memory.
        "write.metadata.delete-after-commit.enabled": "true",
        "write.metadata.previous-versions-max": "20",
        # Bounds are values of the data; those of the label are what readers prune by.
        "write.metadata.metrics.default": "counts",
        **origin,
        **dict(metrics_properties(origin, schema.names)),
    }
    if is_interval:
        properties[f"write.metadata.metrics.column.{AS_OF_COLUMN}"] = "full"
    listed = ", ".join(f"'{_escaped(name)}' = '{_escaped(value)}'" for name, value in properties.items())
    return (
        f"CREATE TABLE IF NOT EXISTS {identifier} ({_columns_sql(fields)}) USING iceberg{partitioning} "
        f"TBLPROPERTIES ({listed})"
    )


def _escaped(text: str) -> str:
    return text.replace("\\", "\\\\").replace("'", "\\'")
