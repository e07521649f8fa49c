"""Which as-of dates a read of an interval table covers, and which of them are missing: pure, standard library only."""

from __future__ import annotations

import re
from collections.abc import Collection, Mapping
from dataclasses import dataclass
from datetime import date, datetime, time, timedelta
from itertools import pairwise
from zoneinfo import ZoneInfo

from warehouse.failures import PermanentError, RetryableError
from warehouse.lost_marks import few
from warehouse.retention import RETAINED_FROM
from warehouse.snapshot_record import SnapshotRecord
from warehouse.table_origin import HISTORY, START, TIME_ZONE

_DAY = timedelta(days=1)
# Clocks change by an hour, in one place (Lord Howe Island) by half of it: a calendar day has 23 to 25 hours.
_CLOCK_CHANGE = timedelta(hours=1)
_MOST_NAMED = 10
_DATE_LABEL = re.compile(r"\d{4}-\d{2}-\d{2}")
_MINUTE_LABEL = "%Y-%m-%dT%H%MZ"


@dataclass(eq=False)
class MissingIntervals(RetryableError):
    """Intervals that a read needs are not published, yet: a backfill running beside it may still fill them."""

    table: str
    as_of: str
    missing: tuple[str, ...]

    def __str__(self) -> str:
        return f"table {self.table} as of {self.as_of} lacks {few(self.missing, _MOST_NAMED)}; backfill what is missing"


@dataclass(eq=False)
class NoSuchSnapshot(PermanentError):
    """No snapshot of that date is published, and waiting does not bring one. ``published``: oldest first."""

    table: str
    as_of: str
    published: tuple[str, ...]
    reason: str = "it was never published"

    def __str__(self) -> str:
        if not self.published:
            return f"table {self.table} has no snapshot as of {self.as_of}, nor of any other date: {self.reason}"
        first, last, near = self.published[0], self.published[-1], _nearest(self.as_of, self.published)
        return (
            f"table {self.table} has no snapshot as of {self.as_of}: {self.reason}; of the "
            f"{len(self.published)} published, {first} to {last}, {near} is the nearest"
        )


@dataclass(eq=False)
class OverlappingIntervals(PermanentError):
    table: str
    earlier: str
    later: str

    def __str__(self) -> str:
        return (
            f"table {self.table}: the intervals of {self.earlier} and {self.later} overlap, so rows "
            "would be read twice; the schedule was changed between them"
        )


@dataclass(eq=False)
class EmptyWindow(PermanentError):
    """A window of no interval was asked for."""

    table: str
    window: int

    def __str__(self) -> str:
        return f"a window of {self.window} intervals of table {self.table} has no meaning; the least is 1"


@dataclass(eq=False)
class WindowOfStates(PermanentError):
    """A window was asked of a table whose snapshots are whole states, not intervals to be put together."""

    table: str
    window: int

    def __str__(self) -> str:
        return f"table {self.table} keeps whole states, so a window of {self.window} intervals of it has no meaning"


@dataclass(eq=False)
class NotWholeStates(PermanentError):
    """At or before was asked of a table of whose intervals every one up to the date is needed."""

    table: str

    def __str__(self) -> str:
        return (
            f"table {self.table} is put together from intervals, so 'at or before' has no meaning for it; read it as "
            "of a date, or its newest"
        )


def meant(
    table: str,
    properties: Mapping[str, str],
    records: Mapping[str, SnapshotRecord],
    as_of: str | None,
    *,
    window: int | None = None,
    at_or_before: bool = False,
    end: str | None = None,
) -> tuple[SnapshotRecord, ...]:
    """The records that a read of ``table`` is put together from, oldest first: one, but of interval tables.

    :param properties: of the table in the store.
    :param records: by as-of date, the oldest first.
    :param as_of: None for the newest.
    :param window: as of :func:`covered`; ``end`` as of :func:`newest_known`.
    :raises JobError: as those say; or the table's history does not go with what is asked.
    """
    if window is not None and window < 1:
        raise EmptyWindow(table, window)
    if as_of is None:
        if not records:
            raise NoSuchSnapshot(table, "its newest date", ())
        as_of = next(reversed(list(records)))
    if properties.get(HISTORY) == "interval":
        if at_or_before:
            raise NotWholeStates(table)
        retained = properties.get(RETAINED_FROM)
        since = max(filter(None, (retained, properties.get(START))), default=None)
        return covered(table, records.values(), as_of, since=since, expired=retained is not None, window=window)
    if window is not None and window > 1:
        raise WindowOfStates(table, window)
    if at_or_before:
        return (newest_known(table, records.values(), as_of, end=end, time_zone=properties.get(TIME_ZONE, "UTC")),)
    if as_of not in records:
        raise NoSuchSnapshot(table, as_of, tuple(records))
    return (records[as_of],)


def covered(
    table: str, records: Collection[SnapshotRecord], as_of: str, *, since: str | None, expired: bool, window: int | None
) -> tuple[SnapshotRecord, ...]:
    """The records that make up ``table`` as of ``as_of``, oldest first, without a gap.

    :param since: start of the oldest interval that the table has, ISO 8601 in UTC; None where it is not known, which
        takes the first record for it.
    :param expired: retention ended intervals before ``since``.
    :param window: the last so many intervals only; fewer where the table starts within the window.
    :raises MissingIntervals: some of them are not published, ``as_of`` itself perhaps.
    :raises NoSuchSnapshot: ``as_of`` lies before ``since``, or the window does and retention ended that part.
    :raises OverlappingIntervals: two of them hold the same moment.
    """
    by_start = sorted(records, key=lambda record: record.start)
    if not by_start:
        raise MissingIntervals(table, as_of, (as_of,))
    published = tuple(record.as_of for record in by_start)
    begin = _moment(since or by_start[0].start)
    end = _start_of(as_of, by_start)
    if window is not None:
        begin = _back_to(by_start, min(begin, end) if as_of in published else begin)
    if end < begin - _CLOCK_CHANGE:
        reason = "retention ended what lies before it" if expired else "the table starts later"
        raise NoSuchSnapshot(table, as_of, published, reason)
    slots = _slots(table, by_start, as_of, begin, end)
    if window is not None:
        if expired and len(slots) < window:
            raise NoSuchSnapshot(table, as_of, published, f"retention ended a part of its window of {window} intervals")
        slots = slots[-window:]
    if missing := tuple(slot for slot in slots if isinstance(slot, str)):
        raise MissingIntervals(table, as_of, missing)
    return tuple(slot for slot in slots if isinstance(slot, SnapshotRecord))


def newest_known(
    table: str, records: Collection[SnapshotRecord], as_of: str, *, end: str | None = None, time_zone: str = "UTC"
) -> SnapshotRecord:
    """The newest state that was known when the interval of ``as_of`` ended, so that nothing later leaks into it.

    :param end: of that interval, ISO 8601 in UTC. None: the snapshot labelled ``as_of`` where there is one, else the
        newest whose interval had ended with that day (or, of a label to the minute, with as long an interval as the
        nearest snapshot's).
    :param time_zone: of the source, in which days begin.
    :raises NoSuchSnapshot: there is none so early.
    """
    by_start = sorted(records, key=lambda record: record.start)
    if not by_start:
        raise NoSuchSnapshot(table, as_of, ())
    if end is None and (same := next((record for record in by_start if record.as_of == as_of), None)) is not None:
        return same
    limit = _moment(end) if end is not None else _end_of(as_of, by_start, time_zone)
    known = [record for record in by_start if _moment(record.end) <= limit]
    if not known:
        raise NoSuchSnapshot(table, as_of, tuple(record.as_of for record in by_start), "none had ended by then")
    return known[-1]


def _end_of(as_of: str, by_start: list[SnapshotRecord], time_zone: str) -> datetime:
    """When the day, or the interval, of a label ends that is not published."""
    start = _start_of(as_of, by_start)
    if not _DATE_LABEL.fullmatch(as_of):
        near = min(by_start, key=lambda record: abs(_moment(record.start) - start))
        return start + (_moment(near.end) - _moment(near.start))
    zone = ZoneInfo(time_zone)
    # The earliest: where a change of clocks skips midnight, a day begins later for once.
    begins = min(
        (_moment(r.start).astimezone(zone).time() for r in by_start if _DATE_LABEL.fullmatch(r.as_of)), default=time(0)
    )
    return datetime.combine(date.fromisoformat(as_of) + _DAY, begins, tzinfo=zone)


def _back_to(by_start: list[SnapshotRecord], begin: datetime) -> datetime:
    """Start of the unbroken row of records before ``begin``: an old date captured anew outlives its retention once."""
    for record in reversed(by_start):
        if _moment(record.end) == begin:
            begin = _moment(record.start)
    return begin


def _slots(
    table: str, by_start: list[SnapshotRecord], as_of: str, begin: datetime, end: datetime
) -> list[SnapshotRecord | str]:
    """Every interval from ``begin`` up to and with ``as_of``: its record, or the label of a missing one."""
    upto = [r for r in by_start if _moment(r.start) <= end or r.as_of == as_of]
    # Retention removes what lies before the oldest kept interval; a record of it may be about to go.
    upto = [r for r in upto if _moment(r.start) >= begin]
    slots: list[SnapshotRecord | str] = []
    for record in upto:
        slots += _missing_between(begin, _moment(record.start), like=record)
        slots.append(record)
        begin = _moment(record.end)
    for earlier, later in pairwise(upto):
        if earlier.end > later.start:
            raise OverlappingIntervals(table, earlier.as_of, later.as_of)
    if not upto or upto[-1].as_of != as_of:
        slots += [*_missing_between(begin, end, like=upto[-1] if upto else by_start[0]), as_of]
    return slots


def _missing_between(begin: datetime, end: datetime, like: SnapshotRecord) -> list[str]:
    """Labels of the intervals in ``[begin, end)``, taken to be as long as that of ``like``; else the span as text."""
    gap, start = end - begin, _moment(like.start)
    length = _moment(like.end) - start
    if gap <= timedelta(0):
        return []
    if _DATE_LABEL.fullmatch(like.as_of):
        days = max(1, round(length / _DAY))
        count = round(gap / (days * _DAY))
        if count and abs(gap - count * days * _DAY) <= _CLOCK_CHANGE:
            first = date.fromisoformat(like.as_of) + round((begin - start) / _DAY) * _DAY
            return [(first + index * days * _DAY).isoformat() for index in range(count)]
    elif gap % length == timedelta(0):
        return [(begin + index * length).strftime(_MINUTE_LABEL) for index in range(gap // length)]
    return [f"what lies between {begin:%Y-%m-%dT%H:%MZ} and {end:%Y-%m-%dT%H:%MZ}"]


def _start_of(as_of: str, by_start: list[SnapshotRecord]) -> datetime:
    """When the interval labelled ``as_of`` starts: by its record, else by the labels around it (to the hour)."""
    by_label = {record.as_of: record for record in by_start}
    if as_of in by_label:
        return _moment(by_label[as_of].start)
    try:
        if not _DATE_LABEL.fullmatch(as_of):
            return datetime.strptime(f"{as_of}+0000", f"{_MINUTE_LABEL}%z")
        day = date.fromisoformat(as_of)
    except ValueError:
        raise NoSuchSnapshot(by_start[0].table, as_of, tuple(by_label), "it is not an as-of date") from None
    # A day starts when its time zone says, which the neighbouring days know.
    starts = {date.fromisoformat(label): r.start for label, r in by_label.items() if _DATE_LABEL.fullmatch(label)}
    if not starts:
        return _moment(f"{as_of}T00:00:00Z")
    near = min(starts, key=lambda other: abs(other - day))
    return _moment(starts[near]) + (day - near)


def _moment(iso: str) -> datetime:
    return datetime.fromisoformat(iso)


def _nearest(as_of: str, published: tuple[str, ...]) -> str:
    """By text, which for labels is by time: the newest before ``as_of``, else the oldest."""
    return max((label for label in published if label <= as_of), default=published[0])
