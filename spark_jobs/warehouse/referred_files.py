"""Which of a table's files its metadata refer to, and what of that the store has lost.

What lists the files of a state (Iceberg's manifest list and manifests) can be lost as any file, and then nobody knows
which files the state needs. While a branch or tag stands at it, it may come back with its worker.
"""

from __future__ import annotations

import time
from collections.abc import Collection, Iterator
from dataclasses import dataclass
from typing import TYPE_CHECKING, Any
from urllib.parse import urlsplit

from py4j.protocol import Py4JJavaError

from warehouse.failures import RetryableError
from warehouse.held_files import Listing, lost_lists
from warehouse.iceberg_api import load_existing_table
from warehouse.jvm import jvm_of
from warehouse.store_directory import held_below

if TYPE_CHECKING:
    from pyspark.sql import SparkSession

    from warehouse.store_spec import StoreSpec


@dataclass(eq=False)
class ListsLost(RetryableError):
    """Nobody knows which files ``states`` Iceberg snapshots, at which branches or tags stand, need."""

    table: str
    uri: str
    states: int

    def __str__(self) -> str:
        return (
            f"table {self.table}: the store {self.uri} has lost what lists the files of {self.states} of its states; "
            "nobody knows which files they need, and so none is removed; the monitor (docs/loss-and-repair.md) says "
            "when they do not come back any more, and the next run then lets them go"
        )


def readable_snapshots(session: SparkSession, store: StoreSpec, name: str, table: Any) -> set[int]:
    """Iceberg snapshots of a loaded table whose files can be told.

    :raises ListsLost: those of one at which a branch or tag stands cannot.
    """
    ids = snapshot_ids(table)
    listing = metadata_listing(session, store, table)
    if listing.is_whole:
        return ids

    freed: set[int] = set()  # by another run meanwhile

    def is_lost(snapshot_id: int) -> bool:
        try:
            return bool(lost_lists(table, listing, snapshot_id))
        except Py4JJavaError:
            if load_existing_table(session, store, name).snapshot(snapshot_id) is not None:
                raise
            freed.add(snapshot_id)
            return False

    lost = set(filter(is_lost, ids))
    needed = lost - set(unreferenced_snapshots(table, int(time.time() * 1000)))
    if needed:
        raise ListsLost(name, store.uri, len(needed))
    return ids - lost - freed


def unreferenced_snapshots(table: Any, now_millis: int, *, but_of: str | None = None) -> list[int]:
    """Iceberg snapshots at which no branch and no tag points, but for tags of replaced ones whose grace is over.

    :param but_of: prefix of branches and tags that do not count.
    """
    referenced = set()
    for name, reference in table.refs().items():
        snapshot_id, max_age = int(reference.snapshotId()), reference.maxRefAgeMs()
        age = now_millis - int(table.snapshot(snapshot_id).timestampMillis())
        if (max_age is None or age <= int(max_age)) and not (but_of and name.startswith(but_of)):
            referenced.add(snapshot_id)
    return sorted(snapshot_ids(table) - referenced)


def snapshot_ids(table: Any) -> set[int]:
    """All Iceberg snapshots of a table."""
    return {int(snapshot.snapshotId()) for snapshot in table.snapshots()}


def referred_files(session: SparkSession, table: Any, snapshots: Collection[int]) -> dict[str, str]:
    """Path → URI of all files that a loaded table's metadata refer to, of these of its Iceberg snapshots.

    :param snapshots: of :func:`readable_snapshots`.
    """
    return {path_of(uri): uri for uri in _referred(session, table, snapshots)}


def files_referred_to(session: SparkSession, store: StoreSpec, name: str) -> dict[str, str]:
    """Path → URI of all files that a table of the store refers to now.

    :raises ListsLost: the store has lost what says so.
    """
    table = load_existing_table(session, store, name)
    return referred_files(session, table, readable_snapshots(session, store, name, table))


def metadata_listing(session: SparkSession, store: StoreSpec, table: Any) -> Listing:
    """What the store lists of the metadata of a loaded table."""
    return Listing(held_below(session, store, metadata_folder(table)))


def _referred(session: SparkSession, table: Any, snapshots: Collection[int]) -> Iterator[str]:
    metadata, file_io = table.operations().current(), table.io()
    yield str(metadata.metadataFileLocation())
    for entry in metadata.previousFiles():
        yield str(entry.file())
    yield f"{metadata_folder(table)}/version-hint.text"
    manifests: dict[str, Any] = {}
    for snapshot in table.snapshots():
        if int(snapshot.snapshotId()) in snapshots:
            yield str(snapshot.manifestListLocation())
            manifests |= {str(manifest.path()): manifest for manifest in snapshot.allManifests(file_io)}
    for path, manifest in manifests.items():
        yield path
        paths = jvm_of(session).org.apache.iceberg.ManifestFiles.readPaths(manifest, file_io, table.specs())
        try:
            iterator = paths.iterator()  # py4j makes no Python iterable of Iceberg's own kind.
            while iterator.hasNext():
                yield str(iterator.next())
        finally:
            paths.close()


def metadata_folder(table: Any) -> str:
    """URI of the folder with the metadata of a loaded table."""
    return f"{table.location()}/metadata"


def path_of(uri: str) -> str:
    """Path of a URI of the store: Iceberg and Hadoop write the same one in several ways."""
    return urlsplit(uri).path
