"""What the store holds of a table: which snapshots have every byte in memory, by Iceberg's own metadata, without Spark.

Existence proves nothing: when memory is lost, Alluxio goes on listing the files. And a file that has lost its blocks is
not read here, for such a read takes as long as Alluxio's client keeps trying.
"""

from __future__ import annotations

import io
import json
from collections.abc import Iterator, Mapping
from contextlib import suppress
from typing import Any
from urllib.parse import urlsplit

from warehouse.failures import PermanentError
from warehouse.lost_marks import LostMarks, marks_path
from warehouse.metadata_files import MAIN, newest_metadata
from warehouse.retention import AS_OF_COLUMN, RETAINED_FROM
from warehouse.run_spec import RUN_PREFIX
from warehouse.snapshot_record import RECORD_PREFIX
from warehouse.spec_json import SpecError, from_json
from warehouse.store_failures import FileIncomplete
from warehouse.table_origin import HISTORY
from warehouse.train_spec import KEPT_PREFIX

from logical_warehouse.losses import Held, HeldPart
from logical_warehouse.manifest import Store
from logical_warehouse.store_files import StoreFiles, path_in

LOOKS = 2
"""Before anything is removed."""

_DELETED = 2
"""Status of a manifest's entry for a file that is no longer there (Iceberg's specification)."""


def held_in(files: StoreFiles, folder: str, table: str) -> Held:
    """What the store has of ``table`` in ``folder``; nothing where its current metadata are lost, or what they list of
    a table that is put together from intervals: no run can write to such a one.

    A listing of many files is no snapshot, since Alluxio gives it in pages: see :func:`logical_warehouse.losses.sure`.

    :raises RetryableError: the store does not answer.
    :raises FileNotFoundError: a commit removed what was listed.
    :raises NotAvro: a manifest cannot be read.
    :raises ValueError: the metadata are no JSON, or of another version of this package.
    """
    listing = files.in_memory(f"{folder}/{table}")
    current = newest_metadata(listing)
    if current is None:
        return Held()
    if not listing[current]:
        return Held(unreadable=True)
    metadata = json.loads(files.read(current))
    properties = metadata.get("properties", {})
    records = [json.loads(text) for key, text in properties.items() if key.startswith(RECORD_PREFIX)]
    try:
        starts = {record["as_of"]: record["start"] for record in records}
    except KeyError as error:
        raise ValueError(f"a record of another version, without {error}") from error
    retained_from = properties.get(RETAINED_FROM, "")
    if all(listing.values()):
        return Held(starts, {}, retained_from)
    reading = _Reading(files, listing, metadata)
    if reading.is_unwritable():
        return Held(unreadable=True)
    broken = reading.broken(records)
    return Held(
        {as_of: start for as_of, start in starts.items() if as_of not in broken},
        {as_of: start for as_of, start in starts.items() if as_of in broken},
        retained_from,
        parts=tuple(reading.parts()),
        unwritable=reading.is_main_lost(),
    )


def is_unreadable(files: StoreFiles, folder: str, table: str) -> bool:
    """Whether a table is listed and its current metadata are lost, as :func:`held_in` says.

    :raises RetryableError: the store does not answer.
    """
    with suppress(FileNotFoundError, ValueError):  # a commit came between, or they are damaged
        return all(held_in(files, folder, table).unreadable for _ in range(LOOKS))
    return False


def remove_unreadable(files: StoreFiles, folder: str, table: str) -> None:
    """Remove what is left of a table whose metadata are lost, so that runs can write it anew.

    The metadata go last: until then a run fails as before, instead of making a new table among what is being removed.

    :raises PermanentError: the table can be read (again).
    :raises RetryableError: the store does not answer; what is left is as unreadable as before.
    """
    if not is_unreadable(files, folder, table):
        raise PermanentError(f"The metadata of table {table} are in the store's memory, so it is not removed.")
    inner = files.folders(f"{folder}/{table}")
    for name in sorted(inner, key="metadata".__eq__):
        files.remove(f"{folder}/{table}/{name}")
    files.remove(f"{folder}/{table}")


def read_marks(files: StoreFiles, store: Store, table: str) -> LostMarks:
    """What the monitor says is lost of a table; nothing where its word is not there, not whole or of another version.

    :raises RetryableError: the store does not answer.
    """
    path = path_in(marks_path(store.uri, store.namespace, table))
    folder, _, name = path.rpartition("/")
    if not files.in_memory(folder).get(f"{folder}/{name}", False):
        return LostMarks(table, ())
    try:
        return from_json(LostMarks, files.read(path))
    except (FileNotFoundError, FileIncomplete, SpecError):  # incomplete: whoever wrote it died, or is writing it
        return LostMarks(table, ())


class NotAvro(ValueError):
    """The bytes are no Avro container file, or are damaged."""


def read_avro(data: bytes) -> list[dict[str, Any]]:
    """The records of an Avro container file, in which Iceberg lists a snapshot's files.

    :raises NotAvro: it is none, or cannot be read to its end.
    """
    import fastavro

    try:
        return list(fastavro.reader(io.BytesIO(data)))  # type: ignore[arg-type]  # records of Iceberg are mappings
    except Exception as error:  # the library raises whatever it stumbles over
        raise NotAvro(f"the file is no Avro, or damaged ({type(error).__name__})") from error


class _Reading:
    """One look at a table that has lost some file."""

    def __init__(self, files: StoreFiles, listing: Mapping[str, bool], metadata: dict[str, Any]) -> None:
        self._files = files
        self._listing = listing
        self._lists = {one["snapshot-id"]: one.get("manifest-list") for one in metadata.get("snapshots", ())}
        self._is_interval = metadata.get("properties", {}).get(HISTORY) == "interval"
        self._names: dict[int, list[str]] = {}
        for name, one in sorted(metadata.get("refs", {}).items()):
            self._names.setdefault(one["snapshot-id"], []).append(name)
        self._main = next((one for one, names in self._names.items() if MAIN in names), 0)
        self._kept = [one for one, names in self._names.items() if any(name.startswith(KEPT_PREFIX) for name in names)]
        self._entries: dict[int, list[dict[str, Any]] | None] = {}
        self._manifests: dict[str, list[dict[str, Any]]] = {}

    def broken(self, records: list[dict[str, Any]]) -> set[str]:
        """As-of dates of those records whose snapshot cannot be read whole."""
        return {record["as_of"] for record in records if not self._is_whole(record)}

    def is_unwritable(self) -> bool:
        """Whether what lists the files of ``main`` is lost, with which every interval is, and without which Iceberg
        cannot commit; unless a training keeps what can still be read.

        Of whole states each has a list of its own.
        """
        return self.is_main_lost() and all(self._data_files(one) is None for one in self._kept)

    def is_main_lost(self) -> bool:
        """Whether what lists the files of ``main`` is, in a table of intervals in which some was published."""
        return self._is_interval and self._main in self._lists and self._data_files(self._main) is None

    def parts(self) -> Iterator[HeldPart]:
        """What is lost of each Iceberg snapshot at which a branch or tag stands."""
        for snapshot_id, names in self._names.items():
            entries = self._data_files(snapshot_id)
            if entries is None:
                yield HeldPart(snapshot_id, "", tuple(names), lists=True)
                continue
            # Of intervals a run publishes none but its own, which is new.
            concerned = [name for name in names if not (self._is_interval and name.startswith(RUN_PREFIX))]
            lost = [entry for entry in entries if not self._is_held(entry["file_path"])]
            labels = {str(entry["partition"][AS_OF_COLUMN]) if self._is_interval else "" for entry in lost}
            for label in sorted(labels if concerned else ()):
                yield HeldPart(snapshot_id, label, tuple(concerned))

    def _is_whole(self, record: dict[str, Any]) -> bool:
        is_interval = record["history"] == "interval"
        entries = self._data_files(int(self._main if is_interval else record["iceberg_snapshot_id"] or 0))
        if entries is None:
            return False
        return all(
            self._is_held(entry["file_path"])
            for entry in entries
            if not is_interval or entry["partition"][AS_OF_COLUMN] == record["as_of"]
        )

    def _data_files(self, snapshot_id: int) -> list[dict[str, Any]] | None:
        """The data files of an Iceberg snapshot; None where what lists them is itself lost."""
        if snapshot_id not in self._entries:
            try:
                self._entries[snapshot_id] = list(self._read_data_files(snapshot_id))
            except FileNotFoundError:
                self._entries[snapshot_id] = None
        return self._entries[snapshot_id]

    def _read_data_files(self, snapshot_id: int) -> Iterator[dict[str, Any]]:
        manifest_list = self._lists.get(snapshot_id)
        if manifest_list is None:
            raise FileNotFoundError(snapshot_id)
        for manifest in self._read(manifest_list):
            yield from (
                entry["data_file"] for entry in self._read(manifest["manifest_path"]) if entry["status"] != _DELETED
            )

    def _read(self, uri: str) -> list[dict[str, Any]]:
        if uri not in self._manifests:  # branches and tags of a table share most of them
            if not self._is_held(uri):
                raise FileNotFoundError(uri)
            self._manifests[uri] = read_avro(self._files.read(urlsplit(uri).path))
        return self._manifests[uri]

    def _is_held(self, uri: str) -> bool:
        return self._listing.get(urlsplit(uri).path, False)
