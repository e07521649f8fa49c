"""What differs between a snapshot and its source, with values: for the terminal of whoever may read both."""

from __future__ import annotations

from contextlib import ExitStack
from dataclasses import dataclass, replace
from datetime import UTC, date, datetime, timedelta
from typing import TYPE_CHECKING

from pyspark.sql import functions as sf

from warehouse.capture_failures import MissingColumn
from warehouse.consistent_read import hold_source_state
from warehouse.dialects import dialect_for
from warehouse.fingerprint_report import aligned
from warehouse.fingerprints import ColumnFingerprint, Comparison, TableFingerprint, ValidateMode, compare
from warehouse.iceberg_api import branch_head, load_existing_table
from warehouse.iceberg_tables import quoted_name
from warehouse.kinds import parse_kind
from warehouse.masks import keys_from_environment
from warehouse.reading import read_as_of
from warehouse.source_fingerprint import source_fingerprint
from warehouse.source_read import plan_read, read_table
from warehouse.spec_json import from_json
from warehouse.store_failures import BranchGone
from warehouse.store_files import read_text
from warehouse.stored_rows import branch_frame, read_back
from warehouse.table_spec import ChecksSpec, ColumnSpec
from warehouse.vendor_errors import source_errors, store_errors

if TYPE_CHECKING:
    from pyspark.sql import Column, DataFrame, Row, SparkSession

    from warehouse.compare_spec import CompareJob

EPOCH = datetime(1970, 1, 1, tzinfo=UTC)
SHOWN_CHARACTERS = 60


@dataclass(frozen=True)
class DifferingKey:
    """A key whose rows differ. ``where``: ``source only``, ``store only``, or the columns with both values."""

    key: tuple[str | None, ...]
    where: str


@dataclass(frozen=True)
class Compared:
    """Both sides of a snapshot. ``keys``: the first that differ; None where rows were not compared."""

    comparison: Comparison
    source: TableFingerprint
    stored: TableFingerprint
    keys: tuple[DifferingKey, ...] | None = None


def compare_snapshot(session: SparkSession, job: CompareJob) -> Compared:
    """Fingerprint both sides again and, with a key, find the rows that differ.

    :raises JobError: as capturing and reading do.
    """
    # Spark's own connections read the rows here, which cannot share every engine's state.
    shared = dialect_for(job.source.dialect).shares_snapshots
    asked = job.source if shared else replace(job.source, consistency="best_effort")
    with ExitStack() as stack:
        with store_errors(job.store.uri, job.table.name):
            stored_rows = _stored(session, job)
            kept = read_text(session, job.fingerprint) if job.fingerprint else None
        # Of what type they are the source itself says.
        columns = tuple(
            ColumnSpec(name, "", as_kind=job.kinds.get(name), mask=job.masks.get(name)) for name in stored_rows.columns
        )
        table = replace(job.table, columns=columns, checks=ChecksSpec())
        mask_keys = keys_from_environment(table.key_checks).values()
        state = stack.enter_context(hold_source_state(session, asked, keys=mask_keys))
        read = plan_read(state, table, job.interval)
        if kept is not None:
            source = from_json(TableFingerprint, kept)
        else:
            source = source_fingerprint(state, read, "rows" if state.dialect.hashes_rows else "columns")
        if missing := tuple(column.name for column in source.columns if column.name not in stored_rows.columns):
            raise MissingColumn(table.name, f"the snapshot as of {job.interval.as_of}", missing)
        with store_errors(job.store.uri, table.name):
            stored = read_back(stored_rows, table, source).fingerprint
        assert stored is not None, "it was asked for"
        mode: ValidateMode = "columns" if source.row_hash is None else "rows"
        comparison = compare(table.name, job.interval.as_of, mode, source, stored)
        keys = None
        if job.key:
            with source_errors(job.source.name, job.source.user, table.name):
                keys = _differing_keys(read_table(session, state, read), stored_rows, job)
    return Compared(comparison, source, stored, keys)


def compared_text(job: CompareJob, compared: Compared) -> str:
    """For the terminal."""
    sides = zip(compared.comparison.columns, compared.source.columns, compared.stored.columns, strict=True)
    rows = [("column", "kind", "side", "nulls", "smallest", "largest", "sum or hash", "differs")]
    for verdict, source, stored in sides:
        differs = ", ".join(verdict.differs) or "-"
        rows.append((verdict.column, verdict.kind, "source", *_shown(source), differs))
        rows.append(("", "", "store", *_shown(stored), ""))
    rows_differ = {None: "not hashed", True: "equal", False: "DIFFER"}[compared.comparison.rows_equal]
    lines = [
        f"{job.table.name} as of {job.interval.as_of}: {compared.source.rows:,} rows in the source, "
        f"{compared.stored.rows:,} in the store; as a whole they are: {rows_differ}",
        aligned(rows, right={3}),
    ]
    if compared.keys is not None:
        lines.append(
            f"rows by {', '.join(job.key)}, the first {job.limit} that differ:" if compared.keys else "no row differs"
        )
        lines += [f"  {', '.join(str(value) for value in one.key)}: {one.where}" for one in compared.keys]
    return "\n".join(lines)


def _stored(session: SparkSession, job: CompareJob) -> DataFrame:
    if job.branch is None:
        window = 1 if job.table.history.mode == "interval" else None
        return read_as_of(session, job.store, job.table.name, job.interval.as_of, window=window)
    head = branch_head(load_existing_table(session, job.store, job.table.name), job.branch)
    if head is None:
        raise BranchGone(job.table.name, job.branch)
    return branch_frame(session, job.store, job.table, head, job.interval.as_of)


def _differing_keys(source: DataFrame, stored: DataFrame, job: CompareJob) -> tuple[DifferingKey, ...]:
    others = [name for name in source.columns if name not in job.key]
    sides = [_by_key(frame, job.key, others, side) for side, frame in (("source", source), ("store", stored))]
    same_key = [
        sides[0][f"source key {place}"].eqNullSafe(sides[1][f"store key {place}"]) for place in range(len(job.key))
    ]
    joined = sides[0].join(sides[1], same_key, "full_outer")
    differs = [
        ~sf.col(f"`source hash {place}`").eqNullSafe(sf.col(f"`store hash {place}`")) for place in range(len(others))
    ]
    counts = sf.col("`source rows`"), sf.col("`store rows`")
    condition = ~counts[0].eqNullSafe(counts[1])
    for one in differs:
        condition = condition | one
    key = [
        sf.coalesce(sf.col(f"`source key {place}`"), sf.col(f"`store key {place}`"))
        .cast("string")
        .alias(f"key {place}")
        for place in range(len(job.key))
    ]
    found = joined.where(condition).select("*", *key, *(one.alias(f"differs {at}") for at, one in enumerate(differs)))
    rows = found.orderBy(*(f"key {place}" for place in range(len(job.key)))).limit(job.limit).collect()
    keys = []
    for row in rows:
        if row["source rows"] is None or row["store rows"] is None:
            where = "in the store only" if row["source rows"] is None else "in the source only"
        elif row["source rows"] != row["store rows"]:
            where = f"{row['source rows']} rows in the source, {row['store rows']} in the store"
        else:
            changed = [(name, *_values(row, place)) for place, name in enumerate(others) if row[f"differs {place}"]]
            where = "; ".join(f"{name}: {one} in the source, {other} in the store" for name, one, other in changed)
        keys.append(DifferingKey(tuple(row[f"key {place}"] for place in range(len(job.key))), where))
    return tuple(keys)


def _by_key(frame: DataFrame, key: tuple[str, ...], others: list[str], side: str) -> DataFrame:
    """One row for each key: how many there are, and of every other column a hash of all its values, and one value."""
    keys = [sf.col(quoted_name(name)).alias(f"{side} key {place}") for place, name in enumerate(key)]
    aggregates: list[Column] = [sf.count(sf.lit(1)).alias(f"{side} rows")]
    for place, name in enumerate(others):
        column = sf.col(quoted_name(name))
        # Sums of 32 bits, so that no number of equal keys overflows; a null counts, too.
        bits = sf.shiftrightunsigned(sf.xxhash64(column, column.isNull()), 32)
        aggregates.append(sf.sum(bits).alias(f"{side} hash {place}"))
        aggregates.append(sf.min(column).cast("string").alias(f"{side} value {place}"))
    return frame.groupBy(*keys).agg(*aggregates)


def _values(row: Row, place: int) -> tuple[str, str]:
    source, stored = (_cut(row[f"{side} value {place}"]) for side in ("source", "store"))
    return source, stored


def _shown(column: ColumnFingerprint) -> tuple[str, str, str, str]:
    ranges = [_people(column, value) for value in (column.minimum, column.maximum)]
    return f"{column.nulls:,}", ranges[0], ranges[1], "-" if column.sum is None else column.sum


def _people(column: ColumnFingerprint, value: str | None) -> str:
    """A canonical value as people write it; of texts and binaries there is a hash only."""
    if value is None:
        return "-"
    name = parse_kind(column.kind).name
    try:
        if name == "date":
            return str(date(1970, 1, 1) + timedelta(days=int(value)))
        if name in ("timestamp", "timestamp_ntz"):
            moment = EPOCH + timedelta(microseconds=int(value))
            return moment.replace(tzinfo=None).isoformat(" ") + ("Z" if name == "timestamp" else "")
    except OverflowError:  # before the year 1 or after 9999
        return value
    if name in ("float", "double"):
        return repr(float.fromhex(value))
    return f"md5 {value}" if name in ("text", "binary") else value


def _cut(value: str | None) -> str:
    return "null" if value is None else value if len(value) <= SHOWN_CHARACTERS else f"{value[:SHOWN_CHARACTERS]}…"
