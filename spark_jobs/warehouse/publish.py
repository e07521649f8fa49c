"""Publishing: a validated run branch becomes readable under its as-of date, in one atomic commit per table."""

from __future__ import annotations

import time
from collections.abc import Iterator, Mapping
from dataclasses import dataclass, replace
from typing import TYPE_CHECKING, Any

from warehouse.branch_schema import begin, end, schema_to_publish
from warehouse.iceberg_api import (
    MAIN,
    branch_head,
    commit_with_retries,
    load_existing_table,
    properties_of,
    reference_names,
)
from warehouse.jvm import jvm_of
from warehouse.records import records_of
from warehouse.run_spec import IntervalSpec
from warehouse.sensitive_columns import sensitive_changes
from warehouse.snapshot_record import SnapshotRecord
from warehouse.source_read import AS_OF_COLUMN
from warehouse.spec_json import to_json
from warehouse.store_failures import BranchChanged, BranchGone
from warehouse.store_spec import StoreSpec
from warehouse.table_origin import changed_properties, ensure_same_table

if TYPE_CHECKING:
    from pyspark.sql import SparkSession

RETIRED_PREFIX = "retired_"
"""Tags that keep a replaced Iceberg snapshot for readers in flight; Iceberg itself drops them when their age is up."""


@dataclass(frozen=True)
class Published:
    """``adopted``: an earlier try of the same run had committed it. ``superseded``: ``record`` is another run's, of a
    later state of the source, and stays."""

    record: SnapshotRecord
    adopted: bool
    superseded: bool = False


def publish(
    session: SparkSession,
    store: StoreSpec,
    record: SnapshotRecord,
    branch_snapshot: int,
    *,
    grace_seconds: int,
    origin: Mapping[str, str],
) -> Published:
    """Commit ``record`` and the rows of its run branch; again and again until no other writer is in between.

    Of two runs of one date that run at once, the one that captured the later state wins, whichever publishes last: a
    date never goes back to what its readers have seen replaced.

    :param record: complete but for ``iceberg_snapshot_id`` and ``schema_id``.
    :param origin: the table's properties as the manifest has them, of :func:`origin_of`.
    :param branch_snapshot: the Iceberg snapshot that was validated; the branch must still be there.
    :raises BranchGone: a later try of the run replaced the branch.
    :raises BranchChanged: somebody wrote to it since.
    :raises TableRedefined: another run published a snapshot since that this one cannot stand beside.
    :raises ColumnsMoved: another run published columns since that those of the branch cannot stand beside.
    """

    def change() -> Published:
        table = load_existing_table(session, store, record.table)
        if (earlier := adoptable(table, record)) is not None:
            return Published(earlier, adopted=True)
        if (later := superseding(table, record)) is not None:
            _remove_branch(table, record.branch)
            return Published(later, adopted=False, superseded=True)
        return _commit(session, table, record, branch_snapshot, grace_seconds=grace_seconds, origin=origin)

    return commit_with_retries(change)


def publish_again(
    session: SparkSession,
    store: StoreSpec,
    record: SnapshotRecord,
    branch_snapshot: int,
    *,
    grace_seconds: int,
    origin: Mapping[str, str],
) -> Published | None:
    """As :func:`publish`, of a date that was captured again: only where that changes what is published.

    Its run branch goes in any case. Nothing is published where the rows are the same, where retention has ended the
    date meanwhile, and where another run has published a later state of the source: two runs may well capture the same
    date again.
    """

    def change() -> Published | None:
        table = load_existing_table(session, store, record.table)
        if (earlier := adoptable(table, record)) is not None:
            return Published(earlier, adopted=True)
        existing = records_of(table).get(record.as_of)
        if existing is not None and _differs(existing, record) and existing.captured_at <= record.captured_at:
            return _commit(session, table, record, branch_snapshot, grace_seconds=grace_seconds, origin=origin)
        _remove_branch(table, record.branch)
        return None

    return commit_with_retries(change)


def _differs(one: SnapshotRecord, other: SnapshotRecord) -> bool:
    return (one.rows, one.digest) != (other.rows, other.digest)


def _commit(
    session: SparkSession,
    table: Any,
    record: SnapshotRecord,
    branch_snapshot: int,
    *,
    grace_seconds: int,
    origin: Mapping[str, str],
) -> Published:
    verify_branch(table, record.table, record.branch, branch_snapshot)
    records, stored = records_of(table), properties_of(table)
    interval = IntervalSpec(record.as_of, record.start, record.end)
    ensure_same_table(record.table, stored, origin, records.values(), interval)
    base = table.operations().current()
    schema_id = int(table.snapshot(branch_snapshot).schemaId())
    schema = _schema_to_publish(session, table, record, schema_id)
    transaction = table.newTransaction() if schema is None else begin(session, table, schema)
    if record.history == "interval":
        readable = _replace_interval(session, table, transaction, record.as_of, branch_snapshot)
    else:
        readable = branch_snapshot
    complete = replace(record, iceberg_snapshot_id=readable, schema_id=schema_id)
    properties = transaction.updateProperties().set(complete.property_name, to_json(complete))
    for name, value in changed_properties(stored, origin, [*records.values(), complete]).items():
        properties.set(name, value)
    columns = [str(field.name()) for field in (schema or table.schema()).columns()]
    for name, wanted in sensitive_changes(stored, origin, columns, first=not records).items():
        if wanted is None:
            properties.remove(name)
        else:
            properties.set(name, wanted)
    properties.commit()
    manage = transaction.manageSnapshots()
    if record.history == "interval":
        retire(manage, table, main_head(table), grace_seconds)
    else:
        _tag_state(manage, table, record, branch_snapshot, grace_seconds)
    manage.removeBranch(record.branch)
    manage.commit()
    if schema is None:
        transaction.commitTransaction()
    else:
        end(session, table, base, transaction, schema)
    return Published(complete, adopted=False)


def adoptable(table: Any, record: SnapshotRecord) -> SnapshotRecord | None:
    """The record that an earlier try of the same run and branch has published, if one has."""
    existing = records_of(table).get(record.as_of)
    if existing is None:
        return None
    same = (existing.dag_id, existing.run_id, existing.branch) == (record.dag_id, record.run_id, record.branch)
    return existing if same else None


def superseding(table: Any, record: SnapshotRecord) -> SnapshotRecord | None:
    """The record that another run has published meanwhile, if it is of a later state of the source."""
    existing = records_of(table).get(record.as_of)
    return existing if existing is not None and existing.captured_at > record.captured_at else None


def _remove_branch(table: Any, branch: str) -> None:
    if branch_head(table, branch) is not None:
        table.manageSnapshots().removeBranch(branch).commit()


def verify_branch(table: Any, name: str, branch: str, snapshot_id: int | None) -> int:
    """Head of the run branch.

    :raises BranchGone: there is no such branch.
    :raises BranchChanged: its head is another one than ``snapshot_id``.
    """
    head = branch_head(table, branch)
    if head is None:
        raise BranchGone(name, branch)
    if head != snapshot_id:
        raise BranchChanged(name, branch)
    return head


def main_head(table: Any) -> int | None:
    """Current snapshot of ``main``, None before the first commit."""
    return branch_head(table, MAIN)


def data_files(session: SparkSession, table: Any, snapshot_id: int, as_of: str | None) -> Iterator[Any]:
    """Live ``org.apache.iceberg.DataFile`` of a snapshot, with their metrics; of one label where ``as_of`` is given."""
    scan = table.newScan().useSnapshot(snapshot_id).includeColumnStats()
    if as_of is not None:
        scan = scan.filter(jvm_of(session).org.apache.iceberg.expressions.Expressions.equal(AS_OF_COLUMN, as_of))
    tasks = scan.planFiles()
    try:
        iterator = tasks.iterator()  # py4j makes no Python iterable of Iceberg's own kind.
        while iterator.hasNext():
            yield iterator.next().file()
    finally:
        tasks.close()


def retire(manage: Any, table: Any, snapshot_id: int | None, grace_seconds: int) -> None:
    """Keep a snapshot that is about to be replaced for ``grace_seconds`` from now.

    Iceberg measures a tag's age from the snapshot's own time, so the age so far is added.
    """
    if snapshot_id is None:
        return
    name = f"{RETIRED_PREFIX}{snapshot_id}"
    if name in reference_names(table):
        return
    age_millis = max(0, int(time.time() * 1000) - int(table.snapshot(snapshot_id).timestampMillis()))
    manage.createTag(name, snapshot_id)
    manage.setMaxRefAgeMs(name, age_millis + max(1, grace_seconds * 1000))


def _replace_interval(session: SparkSession, table: Any, transaction: Any, as_of: str, branch_snapshot: int) -> int:
    # Not a fast-forward of main: that would lose what other dates published since the branch was made.
    overwrite = transaction.newOverwrite()
    overwrite.overwriteByRowFilter(
        jvm_of(session).org.apache.iceberg.expressions.Expressions.equal(AS_OF_COLUMN, as_of)
    )
    for file in data_files(session, table, branch_snapshot, as_of):
        overwrite.addFile(file)
    overwrite.commit()
    return int(transaction.table().currentSnapshot().snapshotId())


def _tag_state(manage: Any, table: Any, record: SnapshotRecord, branch_snapshot: int, grace_seconds: int) -> None:
    replaced = branch_head(table, record.as_of)
    if replaced is None:
        manage.createTag(record.as_of, branch_snapshot)
    else:
        retire(manage, table, replaced, grace_seconds)
        manage.replaceTag(record.as_of, branch_snapshot)
    if _is_newest(table, record):
        if main_head(table) is None:
            manage.createBranch(MAIN, branch_snapshot)
        else:
            manage.replaceBranch(MAIN, branch_snapshot)


def _is_newest(table: Any, record: SnapshotRecord) -> bool:
    return all(record.start >= other.start for other in records_of(table).values())


def _schema_to_publish(session: SparkSession, table: Any, record: SnapshotRecord, schema_id: int) -> Any | None:
    """The schema that becomes the table's current one with this record, if another does than now."""
    is_interval = record.history == "interval"
    if not is_interval and not _is_newest(table, record):
        return None  # main stays where it is
    return schema_to_publish(session, table, record.table, schema_id, is_interval=is_interval)
