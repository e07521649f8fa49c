"""What tables of a group, and the inputs of a training, must have in common."""

from __future__ import annotations

from collections.abc import Iterator, Mapping, Sequence

from logical_warehouse.intervals import Schedule
from logical_warehouse.manifest.history import MODES, History
from logical_warehouse.manifest.source import Source
from logical_warehouse.manifest.table import Table
from logical_warehouse.manifest.training import Training, TrainingInput
from logical_warehouse.manifest.validation import Complaint


def check_group(name: str, tables: Sequence[Table]) -> Iterator[Complaint]:
    """Complaints about the tables that differ from the first of their group."""
    first = tables[0]
    for table in tables[1:]:
        for key, there, here in (
            ("source", first.source, table.source),
            ("schedule", first.schedule, table.schedule),
            ("start", str(first.start), str(table.start)),
            ("end", str(first.end or "null"), str(table.end or "null")),
        ):
            if there != here:
                yield Complaint(
                    ("tables", table.name, key),
                    f"{here!r} differs from {there!r} of {first.name!r}, which the group {name!r} captures with it",
                    (there,),
                )
        if table.history.can_be_backfilled != first.history.can_be_backfilled:
            words = {True: "can be backfilled", False: "cannot be backfilled"}
            yield Complaint(
                ("tables", table.name, "history"),
                f"{table.history.mode!r} {words[table.history.can_be_backfilled]}, but {first.history.mode!r} of "
                f"{first.name!r}, which the group {name!r} captures with it, {words[first.history.can_be_backfilled]}",
                tuple(mode for mode in MODES if History(mode).can_be_backfilled == first.history.can_be_backfilled),
            )


def check_training(
    training: Training, tables: Mapping[str, Table], sources: Mapping[str, Source]
) -> Iterator[Complaint]:
    """Complaints about a training all of whose inputs are in ``tables``."""
    path = ("trainings", training.name, "inputs")
    for name, read in training.inputs.items():
        yield from _check_input(
            tables[name], read, Schedule(tables[name].schedule, sources[tables[name].source].time_zone), path
        )
    dated = [tables[name] for name in training.dated_inputs]
    if not dated:
        yield Complaint(
            path, "no input is dated, so nothing says when to run", ("{window: n} or all for at least one input",)
        )
    for table in dated[1:]:
        first, other = (Schedule(one.schedule, sources[one.source].time_zone) for one in (dated[0], table))
        if (first.expression, first.time_zone) != (other.expression, other.time_zone):
            yield Complaint(
                (*path, table.name),
                f"the schedule of {table.name!r}, {other}, differs from that of {dated[0].name!r}, {first}",
                ("latest, at_or_before, or tables of one schedule and time zone",),
            )


def _check_input(table: Table, read: TrainingInput, schedule: Schedule, path: tuple[str, ...]) -> Iterator[Complaint]:
    here = (*path, table.name)
    if not table.history.is_by_interval:
        if read.mode == "all" or (read.window or 1) > 1:
            yield Complaint(
                here,
                f"{table.name!r} has the history {table.history.mode!r}, whose snapshots are whole",
                ("latest", "at_or_before", "{window: 1}"),
            )
        return
    if read.mode == "at_or_before":
        yield Complaint(
            here,
            f"{table.name!r} has the history 'interval', of which every interval up to the date is needed",
            ("latest", "all", "{window: n}"),
        )
        return
    kept = table.retention.intervals(schedule)
    if kept is None:
        return
    if read.mode == "all":
        message = f"all intervals are read, but the retention of {table.name!r}, {table.retention}, keeps {kept}"
        yield Complaint(here, message, ("latest", f"{{window: 1}} to {{window: {kept}}}"))
    elif read.window is not None and read.window > kept:
        message = f"{read.window} intervals are more than the retention of {table.name!r}, {table.retention}, keeps"
        yield Complaint((*here, "window"), message, (f"1 to {kept}",))
