"""Tables of the store and the run branches into which captures are written."""

from __future__ import annotations

from dataclasses import dataclass
from typing import TYPE_CHECKING

from pyspark.sql import functions as F  # noqa: N812 - the name that Spark's users know
from pyspark.sql.types import StringType, StructField, StructType

from warehouse.failures import SchemaChanged
from warehouse.iceberg_api import branch_head, commit_with_retries, load_existing_table, load_table, reference_names
from warehouse.job_spec import RunSpec, StoreSpec, TableSpec
from warehouse.source_read import AS_OF_COLUMN

if TYPE_CHECKING:
    from pyspark.sql import DataFrame, SparkSession


@dataclass(frozen=True)
class Written:
    """What one write left on a run branch; ``bytes`` are those of its data files."""

    iceberg_snapshot_id: int
    rows: int
    bytes: int


def ensure_table(session: SparkSession, store: StoreSpec, table: TableSpec, schema: StructType, time_zone: str) -> None:
    """Create the table with the columns of ``schema``, or let it grow by those that are new.

    :raises SchemaChanged: a stored column is gone or has another type.
    """
    identifier = quoted(store.identifier(table.name))
    if load_table(session, store.identifier(table.name)) is None:
        commit_with_retries(lambda: session.sql(_create_sql(identifier, table, schema, time_zone)))
    stored = {field.name: field.dataType for field in session.table(identifier).schema.fields}
    is_interval = stored.pop(AS_OF_COLUMN, None) is not None
    asked = {field.name: field.dataType for field in schema.fields}
    differences = [f"column {name!r} is gone" for name in stored if name not in asked]
    differences += [
        f"column {name!r} is {asked[name].simpleString()}, was {stored[name].simpleString()}"
        for name in stored
        if name in asked and stored[name] != asked[name]
    ]
    if is_interval != (table.history.mode == "interval"):
        differences.append(f"its history is now {table.history.mode!r}")
    if differences:
        raise SchemaChanged(table.name, tuple(differences))
    if added := [field for field in schema.fields if field.name not in stored]:
        session.sql(f"ALTER TABLE {identifier} ADD COLUMNS ({_columns_sql(added)})")


def make_run_branch(session: SparkSession, store: StoreSpec, run: RunSpec, table_name: str) -> None:
    """Branch off ``main`` for this try, after dropping the branches of the run's earlier tries.

    The branch of the run's own interval comes first, those of earlier intervals after it. A driver of an earlier
    try that lives on can then neither write nor publish.
    """

    def drop() -> None:
        table = load_existing_table(session, store, table_name)
        earlier = [name for name in reference_names(table) if run.replaces(name)]
        if earlier:
            manage = table.manageSnapshots()
            for name in earlier:
                manage.removeBranch(name)
            manage.commit()

    def create() -> None:
        load_existing_table(session, store, table_name).manageSnapshots().createBranch(run.branch).commit()

    commit_with_retries(drop)
    commit_with_retries(create)


def write_run_branch(
    session: SparkSession, store: StoreSpec, run: RunSpec, table: TableSpec, *, frame: DataFrame, as_of: str
) -> Written:
    """Read ``frame`` and write it to the run branch: its interval for interval tables, else the whole table."""
    target = f"{quoted(store.identifier(table.name))}.`branch_{run.branch}`"
    if table.history.mode == "interval":
        frame.withColumn(AS_OF_COLUMN, F.lit(as_of)).writeTo(target).overwrite(F.col(AS_OF_COLUMN) == F.lit(as_of))
    else:
        frame.writeTo(target).overwrite(F.lit(True))
    written = load_existing_table(session, store, table.name)
    head = branch_head(written, run.branch)
    assert head is not None, "the write above committed to this branch"
    summary = written.snapshot(head).summary()
    return Written(head, int(summary.get("added-records") or 0), int(summary.get("added-files-size") or 0))


def quoted(identifier: str) -> str:
    """``a.b`` as `` `a`.`b` ``; a column's name with dots must be quoted by :func:`quoted_name`."""
    return ".".join(quoted_name(part) for part in identifier.split("."))


def quoted_name(name: str) -> str:
    """One name in Spark's backticks."""
    return "`" + name.replace("`", "``") + "`"


def _columns_sql(fields: list[StructField]) -> str:
    return ", ".join(f"{quoted_name(field.name)} {field.dataType.simpleString()}" for field in fields)


def _create_sql(identifier: str, table: TableSpec, schema: StructType, time_zone: str) -> str:
    fields = list(schema.fields)
    partitioning = ""
    if table.history.mode == "interval":
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
        "warehouse.history": table.history.mode,
        "warehouse.start": table.start,
        "warehouse.schedule": table.schedule,
        "warehouse.time_zone": time_zone,
    }
    if table.history.mode == "interval":
        properties[f"write.metadata.metrics.column.{AS_OF_COLUMN}"] = "full"
    listed = ", ".join(f"'{name}' = '{_escaped(value)}'" for name, value in properties.items())
    return (
        f"CREATE TABLE IF NOT EXISTS {identifier} ({_columns_sql(fields)}) USING iceberg{partitioning} "
        f"TBLPROPERTIES ({listed})"
    )


def _escaped(text: str) -> str:
    return text.replace("\\", "\\\\").replace("'", "\\'")
