"""What of a table the store lists and has lost: asked before a read, which would otherwise wait for it.

Alluxio's client tries for as long as it is set to (10 s a file) before it gives a lost block up, and a read meets
several such files one after the other; its master knows at once.
"""

from __future__ import annotations

from collections.abc import Iterable, Mapping
from dataclasses import dataclass
from typing import TYPE_CHECKING, Any
from urllib.parse import urlsplit

from warehouse.failures import RetryableError
from warehouse.jvm import jvm_of
from warehouse.lost_marks import LostMarks, few, marks_path
from warehouse.metadata_files import newest_metadata
from warehouse.source_read import AS_OF_COLUMN
from warehouse.spec_json import SpecError, from_json
from warehouse.store_directory import held_below, lost_files
from warehouse.store_failures import FileIncomplete
from warehouse.store_files import exists, read_a_byte, read_text
from warehouse.vendor_errors import store_errors

if TYPE_CHECKING:
    from collections.abc import Iterator

    from pyspark.sql import SparkSession

    from warehouse.store_spec import StoreSpec


@dataclass(eq=False)
class MetadataLost(RetryableError):
    """Only names are left of a table, and the monitor has not said so yet."""

    table: str
    uri: str

    def __str__(self) -> str:
        return (
            f"table {self.table}: the store {self.uri} lists it and has lost its metadata, so nothing of it can be "
            "read; the monitor (docs/loss-and-repair.md) says at its next look what becomes of it"
        )


@dataclass(eq=False)
class FilesLost(RetryableError):
    """Files that a read needs are listed and lost, and the monitor has not said so yet. ``files``: how many."""

    table: str
    uri: str
    as_of: tuple[str, ...]
    files: int

    def __str__(self) -> str:
        return (
            f"table {self.table} as of {few(self.as_of)}: the store {self.uri} lists {self.files} file(s) of it "
            "whose contents it has lost; the monitor (docs/loss-and-repair.md) has it captured again where its history "
            "allows, or run its snapshot again"
        )


def read_marks(session: SparkSession, store: StoreSpec, table: str) -> LostMarks:
    """What the monitor says is lost of a table; nothing where its word is lost itself, not whole or of another version.

    :raises JobError: the store does not give it.
    """
    path, none = marks_path(store.uri, store.namespace, table), LostMarks(table, ())
    if not exists(session, path) or lost_files(session, store, [path]):
        return none
    try:
        with store_errors(store.uri, table):
            return from_json(LostMarks, read_text(session, path) or "")
    except (FileIncomplete, SpecError):  # incomplete: the monitor died while it wrote, or is writing
        return none


@dataclass(frozen=True)
class Listing:
    """What the store lists of a table. ``held``: path → whether the file's contents can be had."""

    held: Mapping[str, bool]

    @property
    def is_whole(self) -> bool:
        """Whether nothing of it is lost."""
        return all(self.held.values())

    @property
    def newest_metadata(self) -> str | None:
        """Path of the table's metadata; None where nothing is listed."""
        return newest_metadata(self.held)

    def lost(self, uris: Iterable[str]) -> list[str]:
        """Those of ``uris`` that are listed and lost; what came after the listing is not."""
        return [uri for uri in uris if not self.held.get(urlsplit(uri).path, True)]


def listing_with_metadata(session: SparkSession, store: StoreSpec, table: str) -> Listing:
    """What the store lists of a table that can be loaded, if it is there at all.

    :raises MetadataLost: its metadata are lost.
    :raises Py4JJavaError: their worker does not answer, which Alluxio's master takes for the worker's own time-out to
        notice. Iceberg asks several files in turn, each for the client's ten seconds.
    """
    folder = f"{store.uri.rstrip('/')}/{store.namespace}/{table}"
    listing = Listing(held_below(session, store, folder))
    current = listing.newest_metadata
    if current is not None:
        if listing.lost([current]):
            raise MetadataLost(table, store.uri)
        read_a_byte(session, f"{folder}/metadata/{current.rpartition('/')[2]}")
    return listing


def ensure_files_held(
    session: SparkSession,
    store: StoreSpec,
    table: Any,
    listing: Listing,
    *,
    name: str,
    snapshot_id: int,
    as_of: tuple[str, ...],
) -> None:
    """See whether every file that a read of ``table``, an ``org.apache.iceberg.Table``, would open can be had.

    :param listing: of before the table was loaded.
    :param as_of: the labels of the read; of a table without them, what the snapshot is of.
    :raises FilesLost: some are lost.
    """
    if listing.is_whole:
        return
    if lost := lost_lists(table, listing, snapshot_id):
        raise FilesLost(name, store.uri, as_of, len(lost))
    files = dict(_files(session, table, snapshot_id, as_of))
    if lost := listing.lost(files):
        labels = sorted({one for one in map(files.get, lost) if one is not None})
        raise FilesLost(name, store.uri, tuple(labels) or as_of, len(lost))


def lost_lists(table: Any, listing: Listing, snapshot_id: int) -> list[str]:
    """What is lost of the files that list those of an Iceberg snapshot: its manifest list, or its manifests."""
    snapshot = table.snapshot(snapshot_id)
    # One after the other, for each can only be read where the one before it is there.
    lost = listing.lost([str(snapshot.manifestListLocation())])
    return lost or listing.lost(str(manifest.path()) for manifest in snapshot.allManifests(table.io()))


def lost_parts(session: SparkSession, table: Any, listing: Listing, snapshot_id: int) -> set[str]:
    """Labels of which an Iceberg snapshot has lost files; ``""`` where it is all of it: it has none, or what lists its
    files is lost."""
    if listing.is_whole:
        return set()
    if lost_lists(table, listing, snapshot_id):
        return {""}
    files = dict(_files(session, table, snapshot_id, None))
    return {files[uri] or "" for uri in listing.lost(files)}


def _files(
    session: SparkSession, table: Any, snapshot_id: int, as_of: tuple[str, ...] | None
) -> Iterator[tuple[str, str | None]]:
    """URI and label of every file of a snapshot, of those labels where it has any; of all without."""
    jvm = jvm_of(session)
    scan = table.newScan().useSnapshot(snapshot_id)
    labelled = table.schema().findField(AS_OF_COLUMN) is not None
    if labelled and as_of is not None:
        labels = jvm.java.util.ArrayList()
        for one in as_of:
            labels.add(one)
        scan = scan.filter(getattr(jvm.org.apache.iceberg.expressions.Expressions, "in")(AS_OF_COLUMN, labels))
    text = jvm.java.lang.Class.forName("java.lang.CharSequence")
    tasks = scan.planFiles()
    try:
        iterator = tasks.iterator()
        while iterator.hasNext():
            task = iterator.next()
            file = task.file()
            label = str(file.partition().get(0, text)) if labelled else None
            for opened in (file, *task.deletes()):
                yield str(opened.location()), label
    finally:
        tasks.close()
