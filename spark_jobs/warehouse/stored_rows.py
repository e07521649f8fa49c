"""What a run branch really holds: rows, digest, checks and fingerprint, by decoding every stored value once."""

from __future__ import annotations

from dataclasses import dataclass
from typing import TYPE_CHECKING

from pyspark.errors import AnalysisException, ParseException
from pyspark.sql import functions as F  # noqa: N812 - the name that Spark's users know

from warehouse.fingerprints import TableFingerprint
from warehouse.iceberg_tables import quoted, quoted_name
from warehouse.source_fingerprint import row_hash_text
from warehouse.source_read import AS_OF_COLUMN
from warehouse.store_spec import StoreSpec
from warehouse.stored_fingerprint import row_hash, row_hash_words, stored_columns
from warehouse.table_spec import TableSpec
from warehouse.validation_failures import CheckInvalid
from warehouse.vendor_errors import expression_errors

if TYPE_CHECKING:
    from pyspark.sql import Column, DataFrame, Row, SparkSession

HALF = 32
WORD = (1 << 64) - 1


@dataclass(frozen=True)
class StoredRows:
    """``digest``: hexadecimal, the same for the same rows in any order. ``violations``: check → rows it fails for.

    ``fingerprint``: of the columns that were asked for, to be compared with the source's.
    """

    rows: int
    digest: str
    violations: dict[str, int]
    fingerprint: TableFingerprint | None = None


def branch_frame(session: SparkSession, store: StoreSpec, table: TableSpec, snapshot_id: int, as_of: str) -> DataFrame:
    """The rows that Iceberg snapshot ``snapshot_id`` holds for ``as_of``, without the label column."""
    frame = session.read.option("versionAsOf", str(snapshot_id)).table(quoted(store.identifier(table.name)))
    if table.history.mode != "interval":
        return frame
    return frame.where(F.col(AS_OF_COLUMN) == F.lit(as_of)).drop(AS_OF_COLUMN)


def check_conditions(frame: DataFrame, table: TableSpec) -> None:
    """Compile every check of ``table`` against ``frame`` without reading a row.

    :raises CheckInvalid: no boolean expression over the table's columns.
    """
    for name, expression in table.checks.rows.items():
        try:
            frame.where(F.expr(expression)).schema  # noqa: B018 - asking for the schema analyses the expression
        except (AnalysisException, ParseException) as error:
            raise CheckInvalid(table.name, name, error.getCondition() or type(error).__name__) from error


def read_back(frame: DataFrame, table: TableSpec, source: TableFingerprint | None = None) -> StoredRows:
    """Decode every column of every row once.

    :param source: the source's fingerprint; the store's is computed in the same way, of the same columns.
    :raises JobError: the store lost data, or a check cannot be computed for some row.
    """
    names = list(table.checks.rows)
    aggregates = [F.count(F.lit(1)).alias("rows"), *digest_columns(frame)]
    # NULL is not true: a check that knows nothing of a row does not hold for it.
    aggregates += [
        F.sum(F.when(F.expr(f"({table.checks.rows[name]}\n)"), 0).otherwise(1)).alias(f"check_{index}")
        for index, name in enumerate(names)
    ]
    prints = stored_columns(source.columns, source.text_hash) if source is not None else []
    projected = [value for column in prints for value in column.projected()]
    aggregates += [aggregate for column in prints for aggregate in column.aggregates()]
    if source is not None and source.row_hash is not None:
        projected.append(row_hash(prints))
        aggregates += row_hash_words()
    with expression_errors(table.name):
        row = frame.select("*", *projected).agg(*aggregates).collect()[0]
    digest = digest_text(row)
    fingerprint = None
    if source is not None:
        rows_hashed = None if source.row_hash is None else row_hash_text(row["word0"], row["word1"])
        found = tuple(column.fingerprint(row) for column in prints)
        fingerprint = TableFingerprint(row["rows"], found, source.text_hash, rows_hashed)
    violations = {name: row[f"check_{index}"] or 0 for index, name in enumerate(names)}
    return StoredRows(row["rows"], digest, violations, fingerprint)


def digest_text(row: Row) -> str:
    """The digest in an answer to :func:`digest_columns` with the number of ``rows``."""
    high, low = ((row[half] or 0) & WORD for half in ("high", "low"))
    return f"{row['rows']:x}-{high:016x}{low:016x}"


def digest_columns(frame: DataFrame) -> list[Column]:
    """Aggregates ``high`` and ``low``: sums of the two signed halves of each row's 64-bit hash.

    Sums, unlike XOR, count rows that occur twice; halves keep a sum of up to 4 billion rows within 64 bits.
    """
    values: list[Column] = []
    for field in frame.schema.fields:
        column = F.col(quoted_name(field.name))
        # The hash skips nulls: without the flag, a null moved to the next column would not be seen.
        values += [column, column.isNull()] if field.nullable else [column]
    row_hash = F.xxhash64(*values) if values else F.lit(0).cast("bigint")
    high = F.shiftright(row_hash, HALF)
    low = F.shiftright(F.shiftleft(row_hash, HALF), HALF)
    return [F.sum(high).alias("high"), F.sum(low).alias("low")]
