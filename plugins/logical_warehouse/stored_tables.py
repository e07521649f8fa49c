"""Tables of the store against those of the manifest: what was renamed or removed there, and a command that drops it.

A table's current Iceberg metadata say what its snapshots are of; they are read as files, without Spark.
"""

from __future__ import annotations

import argparse
import json
import sys
import time
from collections.abc import Collection, Iterator, Mapping
from contextlib import suppress
from dataclasses import dataclass, field
from datetime import UTC, datetime
from pathlib import Path
from typing import Any

from warehouse.expire_spec import ENDED_BY_HAND, EndedByHand
from warehouse.failures import PermanentError
from warehouse.metadata_files import newest_metadata
from warehouse.retention import RETAINED_FROM
from warehouse.run_spec import RUN_PREFIX
from warehouse.snapshot_record import RECORD_PREFIX, SnapshotRecord
from warehouse.spec_json import from_json
from warehouse.table_origin import SOURCE_TABLE
from warehouse.train_spec import KEPT_PREFIX

from logical_warehouse.manifest import Manifest, Store, load_manifest
from logical_warehouse.manifest.commands import add_manifest_option
from logical_warehouse.manifest.problems import did_you_mean
from logical_warehouse.plan import store_spec
from logical_warehouse.store_contents import is_unreadable, remove_unreadable
from logical_warehouse.store_files import StoreFiles, store_files, tables_path
from logical_warehouse.terminal import print_table
from logical_warehouse.unneeded_states import Grace, grace_of, unneeded_bytes

METADATA_LOST = "metadata lost"
UNREADABLE = "cannot be read"


@dataclass(eq=False)
class TableUnreadable(PermanentError):
    """What the store has of a table's metadata is not what this package writes."""

    table: str
    reason: str

    def __str__(self) -> str:
        return (
            f"table {self.table}: its metadata in the store cannot be read: another version of this package wrote "
            f"them, or they are damaged ({self.reason}); use that version, or see docs/loss-and-repair.md"
        )


@dataclass(frozen=True)
class KeptInput:
    """An Iceberg snapshot that a training keeps (``keep_inputs``). ``made_at``: ISO 8601 in UTC."""

    iceberg_snapshot_id: int
    made_at: datetime


@dataclass(frozen=True)
class StoredTable:
    """What is known of a table in the store. ``records`` by as-of date, the oldest first.

    ``retained_from``: start of the oldest date that retention keeps, empty for all. ``run_branches``: tries of runs
    that have published nothing (yet) of what they wrote. ``properties``: all of the table's. ``unneeded_bytes``: at
    least so many go when what nobody needs any more is removed; ``grace``: and so many later.
    """

    name: str
    source_table: str | None
    records: tuple[SnapshotRecord, ...]
    ended_by_hand: EndedByHand
    retained_from: str = ""
    run_branches: frozenset[str] = frozenset()
    kept_inputs: tuple[KeptInput, ...] = ()
    properties: dict[str, str] = field(default_factory=dict, repr=False)
    unneeded_bytes: int = 0
    grace: Grace = field(default_factory=Grace)

    @property
    def bytes(self) -> int:
        """Size of all published snapshots, as they were when published."""
        return sum(record.bytes for record in self.records)

    def record_of(self, as_of: str) -> SnapshotRecord | None:
        """That of a date, if it is published."""
        return next((record for record in self.records if record.as_of == as_of), None)

    def has_published(self, branch: str, *, before: str) -> bool:
        """Whether a published date is from a run branch, and was before a moment (ISO 8601 with its zone)."""
        moment = datetime.fromisoformat(before)
        return any(one.branch == branch and datetime.fromisoformat(one.published_at) < moment for one in self.records)

    def is_kept(self, record: SnapshotRecord) -> bool:
        """Whether a training keeps the files of a published date, so that they stay when the date is ended.

        A whole state has files of its own. One of intervals has, in the Iceberg snapshot that a training has read, all
        intervals that were published until then.
        """
        if record.history == "interval":
            published_at = datetime.fromisoformat(record.published_at)
            if any(published_at <= kept.made_at for kept in self.kept_inputs):
                return True
        return any(record.iceberg_snapshot_id == kept.iceberg_snapshot_id for kept in self.kept_inputs)


def read_stored_table(files: StoreFiles, folder: str, name: str) -> StoredTable | None:
    """Read the table's current metadata; None where the folder holds no table (any more).

    :raises TableUnreadable: they are damaged, or of another version of this package.
    :raises RetryableError: the store does not answer, or has lost them.
    """
    metadata = f"{folder}/{name}/metadata"
    try:
        try:
            version = int(files.read(f"{metadata}/version-hint.text"))
        except FileNotFoundError:
            # A commit removes it before it puts the new one in its place; Iceberg, too, then looks for itself.
            current = newest_metadata(files.in_memory(metadata))
            return None if current is None else _table_of(name, json.loads(files.read(current)))
        text = files.read(f"{metadata}/v{version}.metadata.json")
        # The hint follows a commit a little later; Iceberg itself looks on from it, too.
        with suppress(FileNotFoundError):
            while True:
                text = files.read(f"{metadata}/v{(version := version + 1)}.metadata.json")
        return _table_of(name, json.loads(text))
    except FileNotFoundError:
        return None
    except ValueError as error:  # SpecError, and what is no JSON or no number
        raise TableUnreadable(name, str(error)) from error


def _table_of(name: str, metadata: dict[str, Any]) -> StoredTable:
    """:param metadata: as Iceberg's specification says."""
    properties, references = metadata.get("properties", {}), metadata.get("refs", {})
    records = [from_json(SnapshotRecord, text) for key, text in properties.items() if key.startswith(RECORD_PREFIX)]
    by_hand = properties.get(ENDED_BY_HAND)
    now = int(time.time() * 1000)
    made = {one["snapshot-id"]: one["timestamp-ms"] for one in metadata.get("snapshots", ())}
    kept = {one["snapshot-id"] for reference, one in references.items() if reference.startswith(KEPT_PREFIX)}
    return StoredTable(
        name,
        properties.get(SOURCE_TABLE),
        tuple(sorted(records, key=lambda record: record.start)),
        from_json(EndedByHand, by_hand) if by_hand else EndedByHand(()),
        properties.get(RETAINED_FROM, ""),
        frozenset(reference for reference in references if reference.startswith(RUN_PREFIX)),
        tuple(KeptInput(one, datetime.fromtimestamp(made[one] / 1000, UTC)) for one in kept),
        properties,
        unneeded_bytes(metadata, now),
        grace_of(metadata, now),
    )


def tries_in(store: Store, tables: Collection[str]) -> set[str]:
    """Names of the run branches of tables, and of the folders in which tries have written; of a table that cannot be
    read, those of the folders.

    :raises RetryableError: the store does not answer.
    """
    files, folder, names = store_files(store), tables_path(store), set[str]()
    for table in tables:
        names |= {name for name in files.folders(f"{folder}/{table}/data") if name.startswith(RUN_PREFIX)}
        with suppress(TableUnreadable):
            stored = read_stored_table(files, folder, table)
            names |= stored.run_branches if stored is not None else set()
    return names


def unknown_tables(files: StoreFiles, store: Store, known: Mapping[str, str], mine: Collection[str]) -> Iterator[str]:
    """A sentence about each table of the store that the manifest does not have, for the log of a run.

    :param known: name → table in the source of all tables of the manifest.
    :param mine: those that the run captures; where one of them has the source table of an unknown one, it was renamed.
    """
    folder = tables_path(store)
    names = files.folders(folder)
    for name in (name for name in names if name not in known):
        stored = None
        with suppress(TableUnreadable):  # then nobody knows what it was of
            stored = read_stored_table(files, folder, name)
        renamed = [one for one in mine if stored is not None and known[one] == stored.source_table]
        yield _about(name, renamed, known)


def _about(name: str, renamed: list[str], known: Mapping[str, str]) -> str:
    text = f"the store has a table {name!r}, and the manifest no (healthy) table of this name"
    if renamed:
        text += f"; {renamed[0]!r} has the same source table: if it was renamed, it begins a new history of its own"
    elif near := did_you_mean(name, known):
        text += f"; {near}"
    return f"{text}; `python -m logical_warehouse tables drop {name}` would free its memory"


def register(subparsers: argparse._SubParsersAction[argparse.ArgumentParser]) -> None:
    """Add ``tables`` and ``tables drop`` to the command line."""
    parser = subparsers.add_parser("tables", help="compare the tables of manifest and store; drop one of the store")
    add_manifest_option(parser)
    parser.set_defaults(execute=_list)
    drop = parser.add_subparsers(metavar="drop").add_parser(
        "drop", help="remove from the store a table that the manifest does not have (any more)"
    )
    drop.add_argument("table", help="its name in the store")
    drop.add_argument("--yes", action="store_true", help="do not ask for the name again")
    # Without a default of its own, which would take the place of what was said before the word "drop".
    drop.add_argument("--manifest", type=Path, default=argparse.SUPPRESS, help="as of `tables`")
    drop.set_defaults(execute=_drop)


def _healthy(path: Path) -> Manifest:
    """:raises PermanentError: the manifest has problems: a table with one would look as if it were not there."""
    loaded = load_manifest(path)
    if loaded.problems or loaded.manifest is None:
        raise PermanentError("\n".join(str(problem) for problem in loaded.problems))
    return loaded.manifest


def _list(arguments: argparse.Namespace) -> int:
    from rich.table import Table

    manifest = _healthy(arguments.manifest)
    files, folder = store_files(manifest.store), tables_path(manifest.store)
    names = files.folders(folder)
    all_copies = store_spec(manifest.store).all_copies
    shown = Table("table", "in the source", "dates", "newest", "MB", "", title=f"Tables of {manifest.store.uri}")
    for name in (*manifest.tables, *(name for name in names if name not in manifest.tables)):
        stored, problem = None, ""
        if name in names and is_unreadable(files, folder, name):
            problem = METADATA_LOST
        elif name in names:
            try:
                stored = read_stored_table(files, folder, name)
            except TableUnreadable as error:
                problem = UNREADABLE
                print(error, file=sys.stderr)
        source_table = manifest.tables[name].table if name in manifest.tables else (stored and stored.source_table)
        records = stored.records if stored is not None else ()
        shown.add_row(
            name,
            source_table or "",
            str(len(records)),
            records[-1].as_of if records else "",
            f"{all_copies(stored.bytes) / 1e6:.1f}" if stored is not None else "",
            problem or _state(name, records, manifest),
        )
    print_table(shown)
    return 0


def _state(name: str, records: Collection[SnapshotRecord], manifest: Manifest) -> str:
    if name not in manifest.tables:
        return "only in the store"
    return "" if records else "never captured"


def _size_line(files: StoreFiles, store: Store, name: str) -> str:
    try:
        stored = read_stored_table(files, tables_path(store), name)
    except TableUnreadable as error:
        return str(error)
    dates, size = (len(stored.records), stored.bytes) if stored is not None else (0, 0)
    return f"{name}: {dates} as-of dates, {store_spec(store).all_copies(size) / 1e6:.1f} MB"


def _drop(arguments: argparse.Namespace) -> int:
    manifest = _healthy(arguments.manifest)
    files, folder, name = store_files(manifest.store), tables_path(manifest.store), arguments.table
    names = files.folders(folder)
    unreadable = name in names and is_unreadable(files, folder, name)
    if name in manifest.tables and not unreadable:
        raise PermanentError(
            f"{arguments.manifest} has the table {name!r}, whose runs would write it again; take it out of there, or "
            "give it a new name, first."
        )
    if name not in names:
        hint = did_you_mean(name, names)
        raise PermanentError(f"The store has no table {name!r}{f'; {hint}' if hint else '.'}")
    if unreadable:
        print(f"{name}: its metadata are lost, so nothing of it can be read; a worker that is away may bring them back")
    else:
        print(_size_line(files, manifest.store, name))
    if not arguments.yes and input("Type its name to drop it for good: ") != name:
        print("nothing was dropped")
        return 1
    if unreadable:
        remove_unreadable(files, folder, name)
        print(f"{name}: removed")
        return 0
    # The metadata first: then it is no table any more, whatever happens next.
    if "metadata" in files.folders(f"{folder}/{name}"):
        files.remove(f"{folder}/{name}/metadata")
    files.remove(f"{folder}/{name}")
    print(f"{name}: dropped")
    return 0
