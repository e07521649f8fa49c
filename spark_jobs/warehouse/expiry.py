"""Ending what retention no longer keeps, and freeing the memory of what nobody reads any more."""

from __future__ import annotations

import time
from collections.abc import Callable, Mapping
from datetime import UTC, datetime
from typing import TYPE_CHECKING, Any

from py4j.protocol import Py4JJavaError
from pyspark.errors import PySparkException

from warehouse.branch_schema import OWNER, data_folder
from warehouse.expire_spec import ENDED_BY_HAND, EndedByHand, Ending, ExpireResult
from warehouse.held_files import Listing, lost_lists
from warehouse.iceberg_api import (
    MAIN,
    branch_head,
    commit_with_retries,
    load_existing_table,
    load_table,
    properties_of,
    reference_names,
)
from warehouse.jvm import jvm_of
from warehouse.publish import RETIRED_PREFIX, data_files, main_head, retire
from warehouse.records import RETAINED_FROM, records_of
from warehouse.referred_files import (
    ListsLost,
    files_referred_to,
    metadata_listing,
    path_of,
    readable_snapshots,
    referred_files,
    snapshot_ids,
    unreferenced_snapshots,
)
from warehouse.retention import ended_by, older_than
from warehouse.snapshot_record import RECORD_PREFIX, SnapshotRecord
from warehouse.source_read import AS_OF_COLUMN
from warehouse.spec_json import from_json, to_json
from warehouse.store_files import delete_file, files_below
from warehouse.store_spec import StoreSpec
from warehouse.stored_in_memory import verify_current
from warehouse.table_origin import HISTORY
from warehouse.table_spec import HistoryMode, RetentionSpec
from warehouse.train_spec import KEPT_PREFIX

if TYPE_CHECKING:
    from pyspark.sql import SparkSession


def expire(
    session: SparkSession,
    store: StoreSpec,
    table_name: str,
    *,
    history: HistoryMode,
    retention: RetentionSpec,
    just_published: str,
    grace_seconds: int,
) -> tuple[str, ...]:
    """End the as-of dates that ``retention`` does not keep, and delete the files that nothing refers to any more.

    ``just_published`` is spared: who asked for an old date must be able to read it; the next run's expiry ends it.

    :returns: the labels that were ended.
    :raises JobError: dates are ended, and what that wrote is not in memory only; as :func:`verify_current`.
    """

    return _expire(
        session,
        store,
        table_name,
        history=history,
        ended_by=lambda records: [one for one in ended_by(retention, records) if one.as_of != just_published],
        does_not_count=just_published,
        grace_seconds=grace_seconds,
    )


def expire_before(
    session: SparkSession, store: StoreSpec, table_name: str, start: str, *, grace_seconds: int, by: str
) -> ExpireResult:
    """End the as-of dates whose interval starts before ``start``, as :func:`expire` does; the newest always stays.

    :param by: who asks; the table keeps a note of it.
    :raises TableNotInStore: there is no such table.
    :raises JobError: as :func:`expire`.
    """
    table = load_existing_table(session, store, table_name)
    history = properties_of(table).get(HISTORY)
    # Before they end: what lists the files may go with them.
    listing = metadata_listing(session, store, table)
    files = {
        one.as_of: _files(session, table, listing, branch_head(table, MAIN), one.as_of)
        if history == "interval"
        else _files(session, table, listing, branch_head(table, one.as_of), None)
        for one in older_than(start, records_of(table).values())
    }
    ended = _expire(
        session,
        store,
        table_name,
        history="interval" if history == "interval" else "current",
        ended_by=lambda records: older_than(start, records),
        does_not_count="",
        grace_seconds=grace_seconds,
        by=by,
    )
    sizes = {path: size for as_of in ended for path, size in files.get(as_of, {}).items()}
    table = load_existing_table(session, store, table_name)
    tags = [name for name in reference_names(table) if name.startswith(KEPT_PREFIX)]
    kept = {
        name: held
        for name in tags
        if (held := sizes.keys() & _files(session, table, listing, branch_head(table, name), None))
    }
    held_back = ""
    try:
        readable_snapshots(session, store, table_name, table)
    except ListsLost as error:
        held_back = str(error)
    size = sum(sizes[path] for path in set().union(*kept.values()))
    return ExpireResult(ended, tuple(sorted(kept)), size, held_back)


def _files(session: SparkSession, table: Any, listing: Listing, head: int | None, label: str | None) -> dict[str, int]:
    """Path and bytes of the data files of an Iceberg snapshot, of one label where given; none where their lists are
    lost."""
    if head is None or lost_lists(table, listing, head):
        return {}
    files = data_files(session, table, head, label)
    return {str(file.location()): int(file.fileSizeInBytes()) for file in files}


def _expire(
    session: SparkSession,
    store: StoreSpec,
    table_name: str,
    *,
    history: HistoryMode,
    ended_by: Callable[[list[SnapshotRecord]], list[SnapshotRecord]],
    does_not_count: str,
    grace_seconds: int,
    by: str = "",
) -> tuple[str, ...]:
    """:param does_not_count: label that does not say since when dates are kept, while there are others."""

    def end_dates() -> tuple[str, ...]:
        table = load_existing_table(session, store, table_name)
        records = list(records_of(table).values())
        ended = ended_by(records)
        if not ended:
            return ()
        # Not by value: a table of every quarter of an hour has tens of thousands of dates.
        gone = {record.as_of for record in ended}
        left = [record for record in records if record.as_of not in gone]
        kept = [record for record in left if record.as_of != does_not_count] or left
        transaction = table.newTransaction()
        if history == "interval":
            expressions = jvm_of(session).org.apache.iceberg.expressions.Expressions
            delete = transaction.newDelete()
            for record in ended:
                delete.deleteFromRowFilter(expressions.equal(AS_OF_COLUMN, record.as_of))
            delete.commit()
        properties = transaction.updateProperties().set(RETAINED_FROM, min(record.start for record in kept))
        for record in ended:
            properties.remove(f"{RECORD_PREFIX}{record.as_of}")
        if by:
            at = datetime.now(UTC).isoformat(timespec="seconds").replace("+00:00", "Z")
            text = properties_of(table).get(ENDED_BY_HAND)
            before = from_json(EndedByHand, text) if text else EndedByHand(())
            ending = Ending(at, by, ended[0].as_of, ended[-1].as_of)
            properties.set(ENDED_BY_HAND, to_json(before.and_then(ending)))
        properties.commit()
        manage = transaction.manageSnapshots()
        if history == "interval":
            if by and not grace_seconds:
                # By hand and at once: those that were replaced a while ago have the ended dates, too.
                for name in (one for one in reference_names(table) if one.startswith(RETIRED_PREFIX)):
                    manage.removeTag(name)
            retire(manage, table, main_head(table), grace_seconds)
        else:
            for record in ended:
                retire(manage, table, branch_head(table, record.as_of), grace_seconds)
                manage.removeTag(record.as_of)
        manage.commit()
        transaction.commitTransaction()
        return tuple(record.as_of for record in ended)

    labels = commit_with_retries(end_dates)
    # What ended dates, or freed some, has written metadata: that is in memory only, too.
    if free_unreferenced(session, store, table_name) or labels:
        verify_current(session, store, table_name)
    return labels


def free_unneeded(session: SparkSession, store: StoreSpec, table_name: str) -> None:
    """As :func:`free_unreferenced` for a table that may not be there, and look at what that wrote.

    :raises JobError: as :func:`verify_current`.
    """
    table = load_table(session, store.identifier(table_name))
    if table is not None and unreferenced_snapshots(table, int(time.time() * 1000)):
        free_unreferenced(session, store, table_name)
        verify_current(session, store, table_name)


def free_unreferenced(session: SparkSession, store: StoreSpec, table_name: str) -> bool:
    """Delete the files of Iceberg snapshots that no branch and no tag reaches any more; whether there were any.

    None while the store has lost what says which files the others need: it may come back with its worker.
    """

    def free_files() -> bool:
        table = load_existing_table(session, store, table_name)
        unreferenced = unreferenced_snapshots(table, int(time.time() * 1000))
        if not unreferenced:
            return False
        try:
            readable = readable_snapshots(session, store, table_name, table)
        except ListsLost as error:
            print(error, flush=True)
            return False
        is_lost = not readable.issuperset(unreferenced)
        # Iceberg cannot tell the files of what is lost, and then deletes nothing at all.
        files = referred_files(session, table, readable) if is_lost else {}
        for snapshot in (table.snapshot(one) for one in unreferenced if one not in readable):
            files |= {path_of(uri := str(snapshot.manifestListLocation())): uri}
            if (owner := snapshot.summary().get(OWNER)) is not None:
                written = files_below(session, f"{data_folder(table)}/{owner}")
                files |= {path: file.uri for path, file in written.items()}
        expiry = table.expireSnapshots().cleanExpiredFiles(not is_lost)
        # By id and not by age: only then Iceberg looks at what every branch and tag can reach. By age it walks the
        # history of main, and the files of an ended date's tag stay for ever (seen with Iceberg 1.12).
        for snapshot_id in unreferenced:
            expiry.expireSnapshotId(snapshot_id)
        try:
            expiry.commit()
        except (Py4JJavaError, PySparkException):
            # Iceberg tries again by itself on newer metadata, and breaks where another run has expired the same
            # ones meanwhile ("arraySize cannot be negative", seen with Iceberg 1.12).
            if snapshot_ids(load_existing_table(session, store, table_name)).issuperset(unreferenced):
                raise
            free_files()
        if is_lost:
            _delete_unneeded(session, store, table_name, files)
        return True

    return commit_with_retries(free_files)


def _delete_unneeded(session: SparkSession, store: StoreSpec, table_name: str, files: Mapping[str, str]) -> None:
    """Of ``files``, path → URI, those to which nothing in the table refers any more."""
    for path in files.keys() - files_referred_to(session, store, table_name).keys():
        delete_file(session, files[path])
