"""Forgetting: rows with given keys leave every snapshot of a table, and the memory that held them is free.

Nothing in the store is ever changed in place: what holds such rows is written anew without them, one commit moves every
branch and tag (and writes the records) to what was written, and then the old files go, without a grace for readers.
Ended before that commit, nothing has happened, and the next one removes what was written; after it, the next one frees
what is left. Run again, it finds nothing, and says what the ones before it found.
"""

from __future__ import annotations

import json
import time
from collections.abc import Iterator
from contextlib import suppress
from dataclasses import dataclass, replace
from datetime import UTC, datetime
from pathlib import Path
from typing import TYPE_CHECKING, Any

from pyspark.sql import functions as sf

from warehouse.branch_schema import begin, end, use_schema, write_files
from warehouse.capture_failures import MissingColumn
from warehouse.expiry import free_unneeded
from warehouse.forget_spec import ForgetJob, ForgetResult, ForgottenDate
from warehouse.forgotten import (
    FORGETTINGS,
    REPLACED,
    Forgetting,
    Forgotten,
    forgettings,
    ids_of_states,
    replaced_snapshots,
)
from warehouse.forgotten_keys import KEY, NUMBER, StoredKeys, read_keys, stored_keys
from warehouse.held_files import Listing, listing_with_metadata, lost_lists, lost_parts
from warehouse.iceberg_api import (
    MAIN,
    branch_head,
    commit_with_retries,
    load_existing_table,
    properties_of,
    reference_names,
)
from warehouse.iceberg_tables import quoted, quoted_name
from warehouse.jvm import jvm_of
from warehouse.leftovers import LAST_REMOVAL, remove_leftovers, tries_with_leftovers
from warehouse.lost_states import let_go_lost
from warehouse.publish import RETIRED_PREFIX, data_files
from warehouse.records import records_of
from warehouse.referred_files import ListsLost
from warehouse.run_spec import RUN_PREFIX
from warehouse.snapshot_record import SnapshotRecord
from warehouse.source_read import AS_OF_COLUMN
from warehouse.spec_json import to_json
from warehouse.stored_in_memory import verify_in_memory, verify_published
from warehouse.stored_rows import digest_columns, digest_text
from warehouse.table_origin import HISTORY
from warehouse.train_spec import KEPT_PREFIX
from warehouse.vendor_errors import store_errors

if TYPE_CHECKING:
    from pyspark.sql import DataFrame, SparkSession

TEMPORARY = (RUN_PREFIX, RETIRED_PREFIX)
OWN_PREFIX = "forgetting_"
"""Of branches that no commit ever shows."""

Files = frozenset[str]
"""Data files that are read together: all of a state, or of one interval."""


@dataclass(frozen=True)
class Unit:
    """Files of one Iceberg snapshot that are rewritten together; ``label``: of their interval, None for a state."""

    snapshot_id: int
    label: str | None
    files: tuple[Any, ...]

    @property
    def key(self) -> Files:
        """What tells whether another snapshot has the very same rows."""
        return frozenset(str(file.location()) for file in self.files)


@dataclass(frozen=True)
class Rewritten:
    """The same rows without those forgotten. ``in_memory``: as in :class:`SnapshotRecord`."""

    files: tuple[Any, ...]
    rows: int
    digest: str
    in_memory: bool | None

    @property
    def bytes(self) -> int:
        """Size of the files."""
        return sum(int(file.fileSizeInBytes()) for file in self.files)


def forget(session: SparkSession, job: ForgetJob) -> ForgetResult:
    """Remove the rows, note it in the records, free the memory.

    What the store has lost for good is let go; what it has lost and may get back is passed by, and named in the result.

    :raises NoKeys: the file has none.
    :raises KeysNotText: it is not in UTF-8.
    :raises KeysOfAnotherType: some are not as values of the column are written.
    :raises JobError: the table or column is not there, the store cannot be reached.
    """
    started = time.monotonic()
    at = datetime.now(UTC).isoformat(timespec="seconds").replace("+00:00", "Z")
    texts = read_keys(Path(job.keys_file), job.table)
    with store_errors(job.store.uri, job.table):
        let_go_lost(session, job.store, job.table)
        listing = listing_with_metadata(session, job.store, job.table)
        table = load_existing_table(session, job.store, job.table)
        under_way = tuple(sorted(name for name in reference_names(table) if name.startswith(RUN_PREFIX)))
        keys = _keys(session, job, table, texts)
        with suppress(ListsLost):  # what a killed one had written without a commit; it had no such rows
            remove_leftovers(session, job.store, job.table, lambda name: True, prefix=OWN_PREFIX)
        work = _Forgetting(session, job, keys, at, listing)
        try:
            result = commit_with_retries(work.try_once)
        except BaseException:
            work.delete_written(table)
            raise
        _free(session, job)
        _verify(session, job, listing)
        left: tuple[str, ...] = ()
        unread = set(result.unread)
        try:
            left = tries_with_leftovers(session, job.store, job.table)
        except ListsLost:  # nothing was freed either
            unread = unread or {"what lists the files of a state"}
    seconds = round(time.monotonic() - started, 3)
    return replace(result, under_way=under_way, left=left, unread=tuple(sorted(unread)), seconds=seconds)


def _keys(session: SparkSession, job: ForgetJob, table: Any, texts: frozenset[str]) -> StoredKeys:
    names = [str(column.name()) for column in table.schema().columns()]
    if job.column not in names or job.column == AS_OF_COLUMN:
        raise MissingColumn(job.table, f"table {job.table} in the store", (job.column,), tuple(names))
    current = session.table(quoted(job.store.identifier(job.table)))
    return stored_keys(session, job.table, job.column, current.schema[job.column].dataType, texts)


class _Forgetting:
    """What was found and written so far: a commit that meets another writer begins again with it."""

    def __init__(self, session: SparkSession, job: ForgetJob, keys: StoredKeys, at: str, listing: Listing) -> None:
        self.session = session
        self.job = job
        self.keys = keys
        self.at = at
        self.listing = listing
        self.unread: set[str] = set()
        self.found: dict[Files, int] = {}
        self.matched: set[int] = set()
        self.written: dict[Files, Rewritten] = {}
        self.last_removal: str | None = None

    def try_once(self) -> ForgetResult:
        """Look at what all branches and tags hold now, write what is not written yet, commit."""
        table = load_existing_table(self.session, self.job.store, self.job.table)
        properties = properties_of(table)
        is_interval = properties.get(HISTORY) == "interval"
        if (last_removal := properties.get(LAST_REMOVAL, "")) != self.last_removal:
            # Another command may be deleting what was written before: it takes it for that of a killed one.
            self.delete_written(table)
            self.written.clear()
            self.last_removal = last_removal
        references: dict[int, list[str]] = {}
        for name in reference_names(table):
            references.setdefault(int(branch_head(table, name) or 0), []).append(name)
        affected: dict[int, list[Unit]] = {}
        self.unread.clear()
        for head, names in references.items():
            units = self._held(table, head, names, is_interval=is_interval)
            self._count(table, head, units)
            if found := [unit for unit in units if self.found[unit.key]]:
                affected[head] = found
        # Of what nobody is to read again nothing is written: such branches and tags go.
        dropped = [name for head in affected for name in references[head] if name.startswith(TEMPORARY)]
        moving = {head: [name for name in references[head] if name not in dropped] for head in affected}
        for head, names in moving.items():
            for unit in affected[head] if names else ():
                if unit.key not in self.written:
                    self.written[unit.key] = self._rewrite(table, unit)
        moving = {head: names for head, names in moving.items() if names}
        seen = self._seen(table, affected, is_interval=is_interval) if affected else None
        dates = self._commit(table, moving, affected, dropped, seen) if seen is not None else ()
        kept = sorted(name for names in moving.values() for name in names if name.startswith(KEPT_PREFIX))
        return ForgetResult(
            table=self.job.table,
            keys=self.keys.count,
            at=self.at,
            dates=dates,
            snapshots=tuple(sorted(moving)),
            kept=tuple(kept),
            dropped=tuple(sorted(dropped)),
            under_way=(),
            seconds=0.0,
            matched=len(self.matched),
            blank=self.keys.blank,
            seen=seen,
            before=tuple(one for one in forgettings(properties).done if one.column == self.job.column),
            unread=tuple(sorted(self.unread)),
        )

    def delete_written(self, table: Any) -> None:
        """Nothing refers to these files, or will."""
        for one in self.written.values():
            for file in one.files:
                table.io().deleteFile(str(file.location()))

    def _held(self, table: Any, head: int, names: list[str], *, is_interval: bool) -> list[Unit]:
        """The parts of a snapshot that the store has not lost. What may come back with its worker is noted."""
        lost = lost_parts(self.session, table, self.listing, head)
        for label in lost:
            # A whole state on main has a name of its own; a run publishes no label but its own, which it has just read.
            known = [
                name for name in names if (is_interval or name != MAIN) and not (label and name.startswith(RUN_PREFIX))
            ]
            self.unread.update(label if label and name == MAIN else f"{name} {label}".rstrip() for name in known)
        if "" in lost:
            return []
        units = _units(self.session, table, head, is_interval=is_interval)
        return [unit for unit in units if unit.label not in lost]

    def _rows(self, table: Any, head: int) -> DataFrame | None:
        """All rows of an Iceberg snapshot; None where its schema does not have the column of the keys."""
        schema = table.schemas().get(table.snapshot(head).schemaId())
        if schema.findField(self.job.column) is None:
            return None
        reader = self.session.read.option("versionAsOf", str(head))
        return reader.table(quoted(self.job.store.identifier(self.job.table)))

    def _of_keys(self, rows: DataFrame, how: str) -> DataFrame:
        keys = self.keys.frame
        return rows.join(sf.broadcast(keys), rows[quoted_name(self.job.column)] == keys[f"`{KEY}`"], how)

    def _count(self, table: Any, head: int, units: list[Unit]) -> None:
        """Count the rows to forget in the parts of a snapshot that no other one showed yet."""
        new = [unit for unit in units if unit.key not in self.found]
        self.found |= {unit.key: 0 for unit in new}
        rows = self._rows(table, head) if new else None
        if rows is None:
            return
        label = sf.lit("")
        if AS_OF_COLUMN in rows.columns:
            rows, label = rows.where(sf.col(AS_OF_COLUMN).isin([unit.label for unit in new])), sf.col(AS_OF_COLUMN)
        matching = self._of_keys(rows, "inner").select(label.alias("label"), sf.col(f"`{NUMBER}`").alias("key"))
        grouped = matching.groupingSets([["label"], ["key"]], "label", "key").agg(sf.count(sf.lit(1)).alias("rows"))
        counted = grouped.collect()
        counts = {row["label"]: int(row["rows"]) for row in counted if row["key"] is None}
        self.matched |= {int(row["key"]) for row in counted if row["key"] is not None}
        self.found |= {unit.key: counts.get(unit.label or "", 0) for unit in new}

    def _rewrite(self, table: Any, unit: Unit) -> Rewritten:
        rows = self._rows(table, unit.snapshot_id)
        assert rows is not None, "rows to forget were found by this column"
        if unit.label is not None:
            rows = rows.where(sf.col(AS_OF_COLUMN) == sf.lit(unit.label))
        left = self._of_keys(rows, "left_anti")
        schema_id = int(table.snapshot(unit.snapshot_id).schemaId())
        files = write_files(self.session, table, schema_id, left, f"{OWN_PREFIX}{unit.snapshot_id}")
        values = left.drop(AS_OF_COLUMN)
        summed = values.agg(sf.count(sf.lit(1)).alias("rows"), *digest_columns(values)).collect()[0]
        paths = [str(file.location()) for file in files]
        in_memory = verify_in_memory(self.session, self.job.store, self.job.table, unit.label or "this state", paths)
        return Rewritten(tuple(files), int(summed["rows"]), digest_text(summed), in_memory)

    def _seen(self, table: Any, affected: dict[int, list[Unit]], *, is_interval: bool) -> Forgetting:
        """All that trainings may have read with such rows in it."""
        of_dates = {record.as_of for record, _ in _published(table, affected)}
        labels = {unit.label for units in affected.values() for unit in units if unit.label is not None}
        states = () if is_interval else ids_of_states(properties_of(table), affected)
        return Forgetting(self.at, self.job.by, self.job.column, tuple(sorted(of_dates | labels)), states)

    def _commit(
        self,
        table: Any,
        moving: dict[int, list[str]],
        affected: dict[int, list[Unit]],
        dropped: list[str],
        seen: Forgetting,
    ) -> tuple[ForgottenDate, ...]:
        """Move every branch and tag and write the records, in one commit or not at all.

        :param moving: Iceberg snapshot → the branches and tags that are to stand at what was written for it.
        """
        base = table.operations().current()
        transaction = begin(self.session, table, base.schema())
        for name in dropped:
            manage = transaction.manageSnapshots()
            (manage.removeBranch if base.ref(name).isBranch() else manage.removeTag)(name).commit()
        moved: dict[int, int] = {}
        for head, names in moving.items():
            moved[head] = self._replace(table, transaction, head, affected[head])
            manage = transaction.manageSnapshots()
            for name in names:
                (manage.replaceBranch if base.ref(name).isBranch() else manage.replaceTag)(name, moved[head])
            manage.removeBranch(f"{OWN_PREFIX}{head}")
            manage.commit()
        properties = transaction.updateProperties()
        dates = []
        for record, unit in _published(table, {head: affected[head] for head in moving}):
            changed = self._record(record, unit, moved[unit.snapshot_id])
            dates.append(ForgottenDate(record.as_of, self.found[unit.key], changed.rows))
            properties.set(record.property_name, to_json(changed))
        replaced = replaced_snapshots(properties_of(table)) | moved
        properties.set(FORGETTINGS, to_json(forgettings(properties_of(table)).and_then(seen)))
        properties.set(REPLACED, json.dumps({str(old): new for old, new in sorted(replaced.items())}))
        properties.commit()
        end(self.session, table, base, transaction, base.schema())
        return tuple(dates)

    def _replace(self, table: Any, transaction: Any, head: int, units: list[Unit]) -> int:
        """Within ``transaction`` a snapshot like ``head``, but for the files of ``units``, on a branch of its own."""
        use_schema(self.session, transaction, table.schemas().get(table.snapshot(head).schemaId()))
        branch = f"{OWN_PREFIX}{head}"
        transaction.manageSnapshots().createBranch(branch, head).commit()
        overwrite = transaction.newOverwrite().toBranch(branch)
        for unit in units:
            for file in unit.files:
                overwrite.deleteFile(file)
            for file in self.written[unit.key].files:
                overwrite.addFile(file)
        overwrite.commit()
        return int(transaction.table().refs().get(branch).snapshotId())

    def _record(self, record: SnapshotRecord, unit: Unit, snapshot_id: int) -> SnapshotRecord:
        left, lost = self.written[unit.key], self.found[unit.key]
        note = Forgotten(self.at, self.job.by, self.job.column, lost, record.digest, record.fingerprint)
        return replace(
            record,
            rows=left.rows,
            bytes=left.bytes,
            files=len(left.files),
            digest=left.digest,
            # Source and store agreed on all rows; of those that are left nobody asked the source.
            fingerprint="",
            iceberg_snapshot_id=snapshot_id,
            in_memory=left.in_memory,
            forgotten=(*record.forgotten, note),
        )


def _units(session: SparkSession, table: Any, head: int, *, is_interval: bool) -> list[Unit]:
    text = jvm_of(session).java.lang.Class.forName("java.lang.CharSequence")
    files: dict[str | None, list[Any]] = {}
    for file in data_files(session, table, head, None):
        label = str(file.partition().get(0, text)) if is_interval else None
        files.setdefault(label, []).append(file)
    return [Unit(head, label, tuple(of_label)) for label, of_label in files.items()]


def _published(table: Any, rewritten: dict[int, list[Unit]]) -> Iterator[tuple[SnapshotRecord, Unit]]:
    """The records of published dates that lose rows, each with what held them."""
    for record in records_of(table).values():
        is_interval = record.history == "interval"
        head = branch_head(table, MAIN if is_interval else record.as_of)
        for unit in rewritten.get(head or 0, ()):
            if unit.label == (record.as_of if is_interval else None):
                yield record, unit


def _verify(session: SparkSession, job: ForgetJob, listing: Listing) -> None:
    """See that what this one has written, or one before that was killed, is in memory only.

    :raises JobError: it is not.
    """
    table = load_existing_table(session, job.store, job.table)
    for record in {one.iceberg_snapshot_id: one for one in records_of(table).values() if one.forgotten}.values():
        snapshot = table.snapshot(record.iceberg_snapshot_id or 0)
        if snapshot is not None and not lost_lists(table, listing, int(snapshot.snapshotId())):
            verify_published(session, job.store, record)


def _free(session: SparkSession, job: ForgetJob) -> None:
    """Delete every file that held such rows, and the source's fingerprints of runs whose branch is gone.

    They hold ranges, perhaps of such rows. A branch that is left had none, and its run is not to fail for it.

    :raises JobError: all of it is gone, and what was written meanwhile is not in memory only.
    """
    path = jvm_of(session).org.apache.hadoop.fs.Path
    pattern = path(f"{job.store.uri.rstrip('/')}/_runs/*/*/fingerprints/{job.table}")
    file_system = pattern.getFileSystem(session._jsc.hadoopConfiguration())
    listed = file_system.globStatus(pattern) or ()
    # After they were listed: a run makes its branch before its fingerprint.
    branches = reference_names(load_existing_table(session, job.store, job.table))
    for status in listed:
        run = str(status.getPath().getParent().getParent().getName())
        if not any(name.startswith(f"{RUN_PREFIX}{run}_try") for name in branches):
            file_system.delete(status.getPath(), True)
    free_unneeded(session, job.store, job.table)
