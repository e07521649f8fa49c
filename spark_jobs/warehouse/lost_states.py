"""Letting go what a table has lost for good: in one commit no branch, tag or record of it is left.

Until then it blocks what has to look at all of a table's files: forgetting, and the freeing of memory. But a file that
is lost may come back with the worker that had it, so a job takes nothing for gone that the monitor does not say is
(``gone`` in its marks). That a date is lost stays known: the marks and Airflow's events have it.
"""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass
from datetime import datetime
from typing import TYPE_CHECKING, Any

from warehouse.branch_schema import OWNER, begin, end, set_reference, use_schema
from warehouse.expiry import free_unneeded
from warehouse.held_files import Listing, listing_with_metadata, lost_parts, read_marks
from warehouse.iceberg_api import MAIN, branch_head, commit_with_retries, load_existing_table, properties_of
from warehouse.jvm import jvm_of
from warehouse.leftovers import remove_leftovers
from warehouse.lost_inputs import LOST_INPUTS, LostInput, lost_inputs
from warehouse.lost_marks import LostPart
from warehouse.publish import RETIRED_PREFIX
from warehouse.records import records_of
from warehouse.referred_files import ListsLost
from warehouse.run_spec import RUN_PREFIX
from warehouse.snapshot_record import SnapshotRecord
from warehouse.source_read import AS_OF_COLUMN
from warehouse.spec_json import to_json
from warehouse.stored_in_memory import verify_current
from warehouse.table_origin import HISTORY

if TYPE_CHECKING:
    from pyspark.sql import SparkSession

    from warehouse.store_spec import StoreSpec

OWN_PREFIX = "letting_go_"
"""Of branches that no commit ever shows."""

Parts = Mapping[int, set[str]]
"""Iceberg snapshot → labels of it that are lost for good; ``""``: all of it."""


@dataclass(frozen=True)
class LetGo:
    """``names``: branches, tags and dates that are gone or changed. ``records``: of the dates that are gone."""

    names: tuple[str, ...] = ()
    records: tuple[SnapshotRecord, ...] = ()


def let_go_lost(session: SparkSession, store: StoreSpec, table_name: str) -> tuple[str, ...]:
    """Let go what the monitor says is lost for good of a table that may not be there, and free what was left of it.

    :returns: branches, tags and dates that are gone or changed.
    :raises MetadataLost: the table's own metadata are lost.
    """
    if not any(one.gone for one in read_marks(session, store, table_name).parts):
        return ()
    listing = listing_with_metadata(session, store, table_name)
    if listing.is_whole:  # also where there is no table
        return ()

    def change() -> LetGo:
        table = load_existing_table(session, store, table_name)
        gone = lost_for_good(session, store, table_name, table, listing)
        return _LettingGo(session, table, gone).commit() if gone else LetGo()

    done = commit_with_retries(change)
    if done.names:
        print(f"{table_name}: let go what is lost for good: {', '.join(done.names)}", flush=True)
        verify_current(session, store, table_name)
        free_unneeded(session, store, table_name)
        # Of what lists files and is lost nothing tells which there were, but for the folder of the try that wrote them.
        branches = {record.branch for record in done.records}
        try:
            remove_leftovers(session, store, table_name, branches.__contains__)
        except ListsLost as error:
            print(error, flush=True)
    return done.names


def lost_for_good(session: SparkSession, store: StoreSpec, name: str, table: Any, listing: Listing) -> Parts:
    """What a loaded table has lost, now, of that which the monitor says does not come back.

    :param listing: of before the table was loaded.
    """
    said = [one for one in read_marks(session, store, name).parts if one.gone]
    pairs = {(one.iceberg_snapshot_id, one.as_of) for one in said}
    is_interval = properties_of(table).get(HISTORY) == "interval"
    if is_interval and (main := branch_head(table, MAIN)) is not None:
        # It stands at another snapshot since another date was published.
        records = records_of(table)
        pairs |= {(main, one.as_of) for one in said if MAIN in one.names and _is_as_noticed(one, records)}
    names: dict[int, list[str]] = {}
    for reference, one in table.refs().items():
        names.setdefault(int(one.snapshotId()), []).append(reference)
    gone = {}
    for head in names.keys() & {snapshot_id for snapshot_id, _ in pairs}:
        labels = {label for label in lost_parts(session, table, listing, head) if (head, label) in pairs}
        # An interval that a run has captured is whole where another one, which it does not publish, is lost.
        if "" in labels or (labels and not all(one.startswith(RUN_PREFIX) for one in names[head])):
            gone[head] = labels
    return gone


def _is_as_noticed(part: LostPart, records: Mapping[str, SnapshotRecord]) -> bool:
    """Whether what ``main`` lacks is what the monitor has seen: the date was not published anew since."""
    if part.lists:  # each commit takes a lost manifest over
        return True
    record = records.get(part.as_of)
    return record is not None and datetime.fromisoformat(record.published_at) < datetime.fromisoformat(part.noticed_at)


class _LettingGo:
    """One commit to a loaded table."""

    def __init__(self, session: SparkSession, table: Any, gone: Parts) -> None:
        self.session = session
        self.table = table
        self.gone = gone
        self.is_interval = properties_of(table).get(HISTORY) == "interval"
        self.base = table.operations().current()
        self.schema = self.base.schema()
        self.transaction = begin(session, table, self.schema)

    def commit(self) -> LetGo:
        """Take all of ``gone`` out of the table, or nothing."""
        properties, records = properties_of(self.table), records_of(self.table)
        names: set[str] = set()
        inputs = []
        for head, labels in self.gone.items():
            changed, now = self._references(head, labels)
            names.update(changed)
            # Nobody was given what only runs and readers in flight had.
            is_main = head == branch_head(self.table, MAIN)
            if is_main or any(not name.startswith((RUN_PREFIX, RETIRED_PREFIX)) for name in changed):
                inputs.append(LostInput(head, tuple(sorted(labels - {""})), now))
        ended = self._intervals(records) if self.is_interval else self._states(records)
        update = self.transaction.updateProperties()
        for record in ended:
            update.remove(record.property_name)
        update.set(LOST_INPUTS, to_json(lost_inputs(properties).and_then(tuple(inputs))))
        update.commit()
        end(self.session, self.table, self.base, self.transaction, self.schema)
        return LetGo(tuple(sorted(names.union(record.as_of for record in ended))), tuple(ended))

    def _references(self, head: int, labels: set[str]) -> tuple[list[str], int]:
        """Remove tags and branches at a snapshot, or move those that keep it to one without the labels.

        :returns: their names; id of that one, 0 for none.
        """
        names = [
            name
            for name, reference in self.table.refs().items()
            if int(reference.snapshotId()) == head and name != MAIN
        ]
        names = [name for name in names if not name.startswith(RUN_PREFIX) or self._is_lost_with(name, head, labels)]
        kept = [name for name in names if "" not in labels and not name.startswith(RETIRED_PREFIX)]
        for name in names:
            if name not in kept:
                set_reference(self.session, self.transaction, name, None)
        return names, self._without(head, labels, kept) if kept else 0

    def _is_lost_with(self, branch: str, head: int, labels: set[str]) -> bool:
        """Whether a run cannot publish what it has captured, or is capturing.

        What another interval has lost does not concern it; and a whole state needs nothing of the one that its branch
        was made at.
        """
        if self.is_interval:
            return "" in labels
        return str(self.table.snapshot(head).summary().get(OWNER)) == branch

    def _without(self, head: int, labels: set[str], names: list[str]) -> int:
        """Move tags to a snapshot like ``head`` without these labels; its id."""
        schema = self.table.schemas().get(self.table.snapshot(head).schemaId())
        use_schema(self.session, self.transaction, schema)
        branch = f"{OWN_PREFIX}{head}"
        self.transaction.manageSnapshots().createBranch(branch, head).commit()
        self._delete(labels, branch)
        now = int(self.transaction.table().refs().get(branch).snapshotId())
        manage = self.transaction.manageSnapshots()
        for name in names:
            is_branch = self.table.refs().get(name).isBranch()
            (manage.replaceBranch if is_branch else manage.replaceTag)(name, now)
        manage.removeBranch(branch).commit()
        use_schema(self.session, self.transaction, self.schema)
        return now

    def _delete(self, labels: set[str], branch: str) -> None:
        expressions = jvm_of(self.session).org.apache.iceberg.expressions.Expressions
        delete = self.transaction.newDelete().toBranch(branch)
        for label in sorted(labels):
            delete.deleteFromRowFilter(expressions.equal(AS_OF_COLUMN, label))
        delete.commit()

    def _intervals(self, records: Mapping[str, SnapshotRecord]) -> list[SnapshotRecord]:
        """Take what is lost out of ``main``, where all intervals are; the records of those that are not there then."""
        head = branch_head(self.table, MAIN)
        labels = self.gone.get(head or 0, set())
        if "" in labels:
            set_reference(self.session, self.transaction, MAIN, None)
            return list(records.values())
        if labels:
            self._delete(labels, MAIN)
        return [records[label] for label in sorted(labels) if label in records]

    def _move_runs(self, head: int) -> None:
        """Branches of runs that have not written yet, from what is lost to the newest state that is left."""
        for name, reference in self.transaction.table().refs().items():
            if name.startswith(RUN_PREFIX) and int(reference.snapshotId()) in self.gone:
                self.transaction.manageSnapshots().replaceBranch(name, head).commit()

    def _states(self, records: Mapping[str, SnapshotRecord]) -> list[SnapshotRecord]:
        """Let ``main`` stand at the newest date that is left, if one is; the records of those that are not."""
        left = [one for one in records.values() if branch_head(self.table, one.as_of) not in self.gone]
        if left:
            self._move_runs(branch_head(self.table, left[-1].as_of) or 0)
        if branch_head(self.table, MAIN) in self.gone:
            newest = self.table.refs().get(left[-1].as_of) if left else None  # the oldest are first
            set_reference(self.session, self.transaction, MAIN, None)
            if newest is not None:
                self.schema = self.table.schemas().get(self.table.snapshot(newest.snapshotId()).schemaId())
                self.transaction.manageSnapshots().createBranch(MAIN, int(newest.snapshotId())).commit()
        return [one for one in records.values() if one not in left]
