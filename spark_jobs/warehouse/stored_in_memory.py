"""Whether every file of a snapshot is in the store's memory, wholly, and nowhere else.

Existence proves nothing: Alluxio lists files whose blocks are gone, and those that are in its under-store, too.
"""

from __future__ import annotations

from collections.abc import Iterable, Iterator, Sequence
from contextlib import suppress
from dataclasses import replace
from typing import TYPE_CHECKING, Any

from py4j.protocol import Py4JJavaError

from warehouse.copies import ensure_copies
from warehouse.disk_failures import FilesNotInMemory, FilesOnDisk
from warehouse.held_files import Listing, lost_lists
from warehouse.iceberg_api import MAIN, branch_head, commit_with_retries, load_existing_table
from warehouse.records import records_of
from warehouse.referred_files import metadata_listing
from warehouse.spec_json import to_json
from warehouse.store_directory import ALL_PERCENT, FilePlace, file_places

if TYPE_CHECKING:
    from pyspark.sql import SparkSession

    from warehouse.snapshot_record import SnapshotRecord
    from warehouse.store_spec import StoreSpec


def metadata_files(table: Any, snapshot_id: int) -> Iterator[str]:
    """Paths of what an Iceberg snapshot added beside its data: manifests, their list, and the table's metadata."""
    yield str(table.operations().current().metadataFileLocation())
    snapshot = table.snapshot(snapshot_id)
    yield str(snapshot.manifestListLocation())
    for manifest in snapshot.allManifests(table.io()):
        if manifest.snapshotId() == snapshot_id:  # the others were verified when they were new
            yield str(manifest.path())


def verify_in_memory(
    session: SparkSession, store: StoreSpec, table: str, as_of: str, files: Iterable[str]
) -> bool | None:
    """Whether all of ``files`` are in memory only; None where the store cannot tell. Each has its copies then.

    :raises JobError: the store is memory-only; as :func:`in_memory_only`.
    :raises CopiesMissing: files lack copies.
    """
    files = list(files)
    ensure_copies(session, store, table, as_of, files)
    places = file_places(session, store, files)
    return None if places is None else in_memory_only(table, as_of, places, enforced=store.memory_only)


def in_memory_only(table: str, as_of: str, places: Sequence[FilePlace], *, enforced: bool) -> bool:
    """Whether all files are wholly in memory and on no disk; where that is enforced, a failure names the others.

    :raises FilesOnDisk: some are on a disk.
    :raises FilesNotInMemory: some are lost, or a part of them.
    """
    on_disk = [(_name(place.path), place.on_disk) for place in places if place.on_disk is not None]
    lost = [_name(place.path) for place in places if place.percent < ALL_PERCENT]
    if enforced and on_disk:
        raise FilesOnDisk(table, as_of, tuple(name for name, _ in on_disk), tuple(state for _, state in on_disk))
    if enforced and lost:
        raise FilesNotInMemory(table, as_of, tuple(lost))
    return not on_disk and not lost


def verify_published(session: SparkSession, store: StoreSpec, record: SnapshotRecord) -> None:
    """As :func:`verify_in_memory`, of the files that the commit of ``record`` added to those of its run branch.

    Where they are not in memory only, the published record says so from then on, whatever a later look finds.
    """
    if record.iceberg_snapshot_id is None or not _is_verified(store):
        return
    table = load_existing_table(session, store, record.table)
    try:
        _verify_metadata(
            session, store, table, name=record.table, as_of=record.as_of, snapshot_id=record.iceberg_snapshot_id
        )
    except (FilesOnDisk, FilesNotInMemory):
        with suppress(Py4JJavaError):  # the store may be broken enough to take no commit; the failure says more
            _note_not_in_memory(session, store, record)
        raise


def verify_current(session: SparkSession, store: StoreSpec, table_name: str) -> None:
    """As :func:`verify_in_memory`, of what a commit wrote that published nothing: the table's metadata, and those of
    ``main``. They hold bounds of columns."""
    if not _is_verified(store):
        return
    table = load_existing_table(session, store, table_name)
    newest = max(records_of(table).values(), key=lambda record: record.start, default=None)
    head = branch_head(table, MAIN)
    if newest is None or head is None:
        return
    listing = metadata_listing(session, store, table)
    _verify_metadata(session, store, table, name=table_name, as_of=newest.as_of, snapshot_id=head, listing=listing)


def _is_verified(store: StoreSpec) -> bool:
    return store.memory_only or store.replication > 1


def _verify_metadata(
    session: SparkSession,
    store: StoreSpec,
    table: Any,
    *,
    name: str,
    as_of: str,
    snapshot_id: int,
    listing: Listing | None = None,
) -> None:
    """Verify what a snapshot of a table that was just loaded added, unless another run has replaced and freed it.

    :param listing: what it says is lost is for the monitor to tell; asking for that takes as long as the client tries.
    """
    if table.snapshot(snapshot_id) is None:
        return
    try:
        if listing is not None and lost_lists(table, listing, snapshot_id):
            return
        verify_in_memory(session, store, name, as_of, metadata_files(table, snapshot_id))
    except Py4JJavaError:
        if load_existing_table(session, store, name).snapshot(snapshot_id) is not None:
            raise


def _note_not_in_memory(session: SparkSession, store: StoreSpec, record: SnapshotRecord) -> None:
    def change() -> None:
        table = load_existing_table(session, store, record.table)
        current = records_of(table).get(record.as_of)
        if current is not None and current.published_at == record.published_at:  # else another run's
            noted = to_json(replace(current, in_memory=False))
            table.updateProperties().set(current.property_name, noted).commit()

    commit_with_retries(change)


def _name(path: str) -> str:
    return path.rpartition("/")[2]
