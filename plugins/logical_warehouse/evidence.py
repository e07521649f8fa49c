"""``evidence``: what an officer asks about one snapshot, from its record, its memory, and what Airflow knows of it."""

from __future__ import annotations

import argparse
import dataclasses
import json
from collections.abc import Iterator
from dataclasses import dataclass
from pathlib import Path

from warehouse.expire_spec import Ending
from warehouse.failures import PermanentError
from warehouse.lost_marks import LostMark, LostMarks
from warehouse.retention import AS_OF_COLUMN
from warehouse.snapshot_record import SnapshotRecord

from logical_warehouse.airflow_history import AirflowHistory, Ended, PublishedEvent, ask_airflow
from logical_warehouse.audit_log import Reader, log_lines, readers
from logical_warehouse.intervals import NotAnAsOf
from logical_warehouse.losses import Held, lost, sure
from logical_warehouse.manifest import Manifest
from logical_warehouse.manifest.commands import add_manifest_option
from logical_warehouse.named_plans import find_table
from logical_warehouse.plan import asset_uri, training_dag_id
from logical_warehouse.store_contents import held_in, read_marks
from logical_warehouse.store_files import StoreFiles, store_files, tables_path
from logical_warehouse.store_health import browse
from logical_warehouse.stored_tables import read_stored_table
from logical_warehouse.trained_models import TrainedModel, models_in_store, models_of_results, that_read, together

UNKNOWN = "not known"


@dataclass(frozen=True)
class StoredNow:
    """The table's directory in Alluxio as it is now; its files are those of all dates, with their metadata.

    ``on_disk``: files that are not wholly in memory, or also in the under-store.
    """

    files: int
    on_disk: int
    pinned: bool
    owner: str
    group: str
    mode: str


@dataclass(frozen=True)
class Evidence:
    """``state``: ``published``, ``lost``, ``expired``, ``never published``, or ``not known`` where it has events that
    this version cannot read. ``record``: of the published snapshot, or the last that Airflow was told of;
    ``published``: every time that one was. ``now``: None where the store cannot be asked.

    ``readers``: who asked for its files, None where no audit log was given; ``of_all_dates``: for files of the table,
    which do not tell their date. ``ended_by_hand``: by the command, as the table and Airflow have kept it. ``lost``:
    what the monitor says of a lost one; None where it has not looked, and ``loss`` is what the store shows.
    """

    table: str
    as_of: str
    state: str
    record: SnapshotRecord | None
    published: tuple[PublishedEvent, ...]
    ended: tuple[Ended, ...]
    now: StoredNow | None
    trainings: tuple[TrainedModel, ...]
    readers: tuple[Reader, ...] | None = None
    ended_by_hand: tuple[Ending, ...] = ()
    lost: LostMark | None = None
    loss: str = ""
    of_all_dates: bool = False


def register(subparsers: argparse._SubParsersAction[argparse.ArgumentParser]) -> None:
    """Add ``evidence`` to the command line."""
    parser = subparsers.add_parser(
        "evidence", help="what is known of a snapshot: when and from where, checked how, where it lies, who read it"
    )
    parser.add_argument("table", help="a table of the manifest")
    parser.add_argument("as_of", help="the as-of date, 2013-06-01")
    parser.add_argument("--audit-log", type=Path, help="that of Alluxio's master: who asked for the snapshot's files")
    parser.add_argument("--json", action="store_true", help="for a machine")
    add_manifest_option(parser)
    parser.set_defaults(execute=_evidence)


def _evidence(arguments: argparse.Namespace) -> int:
    manifest, plan, _ = find_table(arguments.manifest, arguments.table)
    try:
        as_of = plan.schedule.interval_of_label(arguments.as_of).as_of
    except NotAnAsOf as error:
        raise PermanentError(f"table {arguments.table}: {error}") from error
    history = ask_airflow(
        asset_uri(plan.store, arguments.table),
        arguments.table,
        as_of,
        plan.dag_id,
        [training_dag_id(name) for name in manifest.trainings],
    )
    found = gather(manifest, arguments.table, as_of, history)
    if arguments.audit_log is not None:
        # An interval's files lie in folders of the tries that wrote them; those of a whole state carry no date.
        is_interval = found.record is not None and found.record.history == "interval"
        part = f"/{AS_OF_COLUMN}={as_of}/" if is_interval else "/data/"
        asked = readers(log_lines(arguments.audit_log), f"{tables_path(plan.store)}/{arguments.table}", part)
        found = dataclasses.replace(found, readers=asked, of_all_dates=not is_interval)
    if arguments.json:
        print(json.dumps(dataclasses.asdict(found), indent=2))
    else:
        width = max(len(name) for name, _ in lines(found))
        for name, value in lines(found):
            print(f"{name:<{width}}  {value}")
    return 0 if found.record is not None else 1


def gather(manifest: Manifest, table: str, as_of: str, history: AirflowHistory) -> Evidence:
    """All that is known of the snapshot.

    :raises RetryableError: the store does not answer.
    """
    store = manifest.store
    files, folder = store_files(store), tables_path(store)
    held, damage = _held(files, folder, table, as_of)
    stored = read_stored_table(files, folder, table) if not held.unreadable else None
    record = stored.record_of(as_of) if stored is not None else None
    mark = _mark(read_marks(files, store, table), as_of, record)
    by_hand = {*history.published.by_hand, *(stored.ended_by_hand.endings if stored is not None else ())}
    published = dataclasses.replace(history.published, by_hand=tuple(sorted(by_hand, key=lambda one: one.at)))
    losses = lost(published, held, manifest.tables[table].retention)
    if mark is not None or as_of in held.broken or any(one.as_of == as_of for one in losses):
        state = "lost"
    elif record is not None:
        state = "published"
    elif as_of in published.newest:
        state = "expired"
    else:
        state = UNKNOWN if history.events else "never published"
    if record is None:
        record = next((event.record for event in reversed(history.events) if event.record is not None), None)
    models = together(models_in_store(manifest, table), models_of_results(history.training_results, table))
    return Evidence(
        table,
        as_of,
        state,
        record,
        history.events,
        history.ended,
        _now(store.web, f"{folder}/{table}") if store.web is not None else None,
        that_read(models, [as_of]),
        ended_by_hand=tuple(one for one in published.by_hand if _meant(one, as_of, history)),
        lost=mark,
        loss=(damage or _loss(held, as_of)) if state == "lost" else "",
    )


def _meant(ending: Ending, as_of: str, history: AirflowHistory) -> bool:
    """Whether an ending, which names the first date and the last, met this one: it had to be published by then."""
    return ending.includes(as_of) and bool(history.events) and history.events[0].at < ending.at


def _held(files: StoreFiles, folder: str, table: str, as_of: str) -> tuple[Held, str]:
    """What the store has of the table; of one with damaged metadata nothing can be read, and how it is is said, too."""
    try:
        held = held_in(files, folder, table)
        return held if as_of in held.whole else sure(held, held_in(files, folder, table)), ""
    except ValueError as error:  # NotAvro, or JSON that is none
        return Held(unreadable=True), f"the metadata of its table are damaged ({error})"


def _loss(held: Held, as_of: str) -> str:
    if held.unreadable:
        return "the metadata of its table are not in memory any more"
    if as_of in held.broken:
        return "files of it are not in memory any more"
    return "the store does not have it, and nothing says that it was ended"


def _mark(marks: LostMarks, as_of: str, record: SnapshotRecord | None) -> LostMark | None:
    """The monitor's word on a date that is lost; not of one that was published anew since."""
    of_date = marks.of([as_of]) if record is None else marks.still_lost([record])
    return of_date[0] if of_date else None


def _now(web: str, path: str) -> StoredNow | None:
    parent, _, name = path.rpartition("/")
    directory = next((one for one in browse(web, parent) if one["name"] == name), None)
    if directory is None:
        return None
    files = on_disk = 0
    folders, pinned = [path], bool(directory["pinned"])
    while folders:
        folder = folders.pop()
        for entry in browse(web, folder):
            if entry["isDirectory"]:
                folders.append(f"{folder}/{entry['name']}")
                continue
            files += 1
            in_memory = entry["inAlluxioPercentage"] == 100 or not _has_bytes(entry)  # noqa: PLR2004 - per cent
            on_disk += not (in_memory and entry["persistenceState"] == "NOT_PERSISTED")
            pinned = pinned and bool(entry["pinned"])
    return StoredNow(files, on_disk, pinned, directory["owner"], directory["group"], directory["mode"])


def _has_bytes(entry: dict[str, str]) -> bool:
    return not str(entry["size"]).startswith("0")


def lines(found: Evidence) -> Iterator[tuple[str, str]]:
    """Name and value of each piece of evidence, for people."""
    yield "snapshot", f"{found.table} as of {found.as_of}: {found.state}"
    if (record := found.record) is not None:
        yield from _captured(record)
        yield from _checked(record)
        yield from _protected(found, record)
    for event in found.published:
        yield "published", f"at {event.at} by {event.dag_id}, run {event.run_id}"
    for ended in found.ended:
        yield "expired", f"at {ended.at} by retention, in {ended.dag_id}, run {ended.run_id}"
    for ending in found.ended_by_hand:
        yield "expired", f"at {ending.at} by hand, as {ending.by} asked (expire)"
    if found.lost is not None:
        yield "lost", f"noticed at {found.lost.noticed_at}: {found.lost.remedy}"
    elif found.state == "lost":
        yield "lost", f"{found.loss}; the monitor has not said so yet"
    if found.state == "expired" and not _is_told_when(found):
        yield "expired", "when is not known: by retention or by hand, of which no run or note is left"
    for model in found.trainings:
        run = f"run {model.run_id}" if model.run_id else UNKNOWN
        where = model.path or "its model is not in the store (any more)"
        yield "read by training", f"{model.training} as of {model.as_of}, {run}: {where}"
    if not found.trainings:
        yield "read by training", "none that is known"
    of_what = " for the table's files of all dates" if found.of_all_dates else ""
    for reader in found.readers or ():
        refused = f", refused {reader.refused:,} times" if reader.refused else ""
        requests = f"{reader.allowed:,} requests{of_what}{refused}"
        yield "audit log", f"{reader.user}: {requests}, {reader.first} to {reader.last}"
    if found.readers == ():
        yield "audit log", "nobody asked for its files"


def _is_told_when(found: Evidence) -> bool:
    """Whether an ending is known that came after the last publishing."""
    published = max((event.at for event in found.published), default="")
    endings = [*(one.at for one in found.ended), *(one.at for one in found.ended_by_hand)]
    return max(endings, default="") > published


def _captured(record: SnapshotRecord) -> Iterator[tuple[str, str]]:
    late = ", LATE: it may hold what was not known at its date" if record.late else ""
    yield "interval", f"{record.start} to {record.end}, history {record.history}"
    yield "captured", f"at {record.captured_at} from source {record.source}{late}"
    yield "source's state", f"{record.source_position or UNKNOWN} ({record.consistency})"
    yield "by run", f"{record.dag_id}, {record.run_id}"


def _checked(record: SnapshotRecord) -> Iterator[tuple[str, str]]:
    yield "rows", f"{record.rows:,} stored, {record.source_rows:,} in the source when captured; {record.bytes:,} bytes"
    first = record.forgotten[0] if record.forgotten else None
    fingerprint = first.fingerprint if first is not None else record.fingerprint
    if record.validate == "count":
        yield "equal to the source", "in the number of rows (validate: count)"
    else:
        what = "all columns" if record.validate == "columns" else "all columns and a hash of all rows"
        yield "equal to the source", f"in {what}, when published: fingerprint {fingerprint}"
    yield "digest of rows", record.digest
    for note in record.forgotten:
        yield "forgotten since", f"{note}; digest before: {note.digest}"


def _protected(found: Evidence, record: SnapshotRecord) -> Iterator[tuple[str, str]]:
    yield "masked columns", _named(record.masked) or "none"
    yield "classification", _named(record.classification) or "none"
    at_publishing = {True: "yes", False: "NO", None: UNKNOWN}[getattr(record, "in_memory", None)]
    yield "in memory only", f"{at_publishing}, when published"
    if found.now is not None:
        state = f"{found.now.on_disk} of {found.now.files} files NOT" if found.now.on_disk else "yes"
        pinned = "pinned" if found.now.pinned else "NOT pinned"
        yield "in memory only", f"{state}, now ({found.now.files} files of the table, {pinned})"
    yield "allowed to read", f"{_readers(record)}, when published"
    if found.now is not None:
        yield "allowed to read", f"now: {found.now.owner}:{found.now.group} {found.now.mode}"


def _readers(record: SnapshotRecord) -> str:
    if record.access is None:
        return "as the store was, since the manifest did not say"
    if record.access.group is None:
        return "everyone who reaches the store"
    return f"group {record.access.group}"


def _named(columns: object) -> str:
    """Names, or names with what is said of each."""
    if isinstance(columns, dict):
        return ", ".join(f"{name}: {value}" for name, value in columns.items())
    if isinstance(columns, tuple | list):
        return ", ".join(map(str, columns))
    return ""
