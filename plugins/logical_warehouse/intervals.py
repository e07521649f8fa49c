"""Schedules, intervals and as-of dates: which data interval is which label, in the source's time zone.

The boundaries are those of Airflow's ``CronDataIntervalTimetable`` (``airflow/timetables/_cron.py``), whose steps are
repeated here so that the pure core, the linter and the history rules can name dates without Airflow. Where a clock
change makes Airflow step back to another moment than it stepped forward from, the forward chain counts, since it is
the one that scheduled runs and backfills follow.
"""

from __future__ import annotations

import datetime
import itertools
import re
from dataclasses import dataclass
from functools import cached_property, lru_cache
from zoneinfo import ZoneInfoNotFoundError

import pendulum
from croniter import croniter
from pendulum import DateTime, Timezone

PRESETS = {
    "@hourly": "0 * * * *",
    "@daily": "0 0 * * *",
    "@weekly": "0 0 * * 0",
    "@monthly": "0 0 1 * *",
    "@quarterly": "0 0 1 */3 *",
    "@yearly": "0 0 1 1 *",
}
"""Airflow's presets (``airflow.utils.dates.cron_presets``)."""

_CRON_FIELDS = 5
_UTC = pendulum.UTC
_DATE_LABEL = re.compile(r"\d{4}-\d{2}-\d{2}")
_MINUTE_LABEL = re.compile(r"\d{4}-\d{2}-\d{2}T\d{4}Z")
_LONGEST_CLOCK_CHANGE = datetime.timedelta(hours=26)
"""Samoa skipped a whole day in 2011; nothing moved a clock further."""

_SAMPLE_START = datetime.datetime(2023, 12, 31, 23, 59)
"""Of the wall clock, which no change of clocks disturbs."""
_SAMPLES = 400
"""Enough for a year of days, whose gaps then repeat."""


class ScheduleError(ValueError):
    """A schedule or a time zone that Airflow would refuse, or that has no intervals."""


class NotAnAsOf(ValueError):
    """A text that names no interval of a schedule; the message is one sentence that names valid neighbours."""


@dataclass(frozen=True)
class Interval:
    """A data interval ``[start, end)`` in UTC and its label."""

    as_of: str
    start: DateTime
    end: DateTime


def utc_text(moment: DateTime) -> str:
    """ISO 8601 in UTC to the second, as specs and records have it: ``2013-06-01T00:00:00Z``."""
    return moment.in_timezone(_UTC).strftime("%Y-%m-%dT%H:%M:%SZ")


@dataclass(frozen=True)
class Schedule:
    """A cron expression or preset in a source's time zone.

    :param cron: as the manifest has it, a preset or five fields.
    :param time_zone: IANA name.
    :raises ScheduleError: Airflow would refuse it, or it never happens.
    """

    cron: str
    time_zone: str

    def __post_init__(self) -> None:
        zone_named(self.time_zone)
        _check_cron(self.cron)

    def __str__(self) -> str:
        return f"{self.cron!r} in {self.time_zone}"

    @property
    def expression(self) -> str:
        """The five fields, presets spelt out."""
        return PRESETS.get(self.cron, self.cron)

    @property
    def is_by_date(self) -> bool:
        """Whether labels are dates: minute and hour are single values, so a calendar date has one interval at most."""
        return all(len(values) == 1 and values != ["*"] for values in _expanded(self.expression)[:2])

    @cached_property
    def shortest(self) -> datetime.timedelta:
        """Length of the shortest interval by the wall clock; clock changes do not count."""
        return min(_wall_clock_lengths(self.expression))

    @cached_property
    def longest(self) -> datetime.timedelta:
        """Length of the longest interval by the wall clock; clock changes do not count."""
        return max(_wall_clock_lengths(self.expression))

    def label(self, start: DateTime) -> str:
        """As-of date of the interval that starts at ``start``, which is taken to be a start.

        A date is that of the wall-clock time in the cron expression, also where a clock change skips that time and the
        interval starts after midnight: two intervals would otherwise share the next date.
        """
        if not self.is_by_date:
            return start.in_timezone(_UTC).strftime("%Y-%m-%dT%H%MZ")
        wall_clock = _wall_clock(start.in_timezone(self._zone)) + datetime.timedelta(seconds=1)
        return str(croniter(self.expression, start_time=wall_clock).get_prev(datetime.datetime).date())

    def interval_starting(self, start: DateTime) -> Interval:
        """The interval that starts at ``start``.

        :raises NotAnAsOf: no interval starts there.
        """
        start = start.in_timezone(_UTC)
        if self._at_or_before(start) != start:
            raise NotAnAsOf(
                f"no interval of schedule {self} starts at {start.to_iso8601_string()}, {self._neighbours(start)}"
            )
        return self._interval(start)

    def interval_of_label(self, as_of: str) -> Interval:
        """The interval with the label ``as_of``.

        :raises NotAnAsOf: no interval has it.
        """
        moment = self._moment_of(as_of)
        if moment is None:
            form = "YYYY-MM-DD" if self.is_by_date else "YYYY-MM-DDTHHMMZ (UTC)"
            example = self.first_from(pendulum.datetime(2013, 6, 1)).as_of
            raise NotAnAsOf(f"{as_of!r} is not an as-of date of schedule {self}, which look like {form}: {example}")
        start = self._at_or_before(moment)
        if self.label(start) != as_of:
            raise NotAnAsOf(f"{as_of!r} is not an as-of date of schedule {self}, {self._neighbours(moment)}")
        return self._interval(start)

    def last_complete(self, before: DateTime) -> Interval:
        """The newest interval that ends at or before ``before``: what Airflow gives to a run triggered by hand."""
        end = self._at_or_before(before.in_timezone(_UTC))
        return Interval(self.label(start := self._before(end)), start, end)

    def first_from(self, moment: DateTime) -> Interval:
        """The first interval that starts at or after ``moment``."""
        moment = moment.in_timezone(_UTC)
        start = self._at_or_before(moment)
        return self._interval(start if start == moment else self._next(start))

    def labels_between(self, first: str, last: str) -> tuple[str, ...]:
        """All as-of dates from ``first`` to ``last``, both included, oldest first; none where ``last`` is older.

        :raises NotAnAsOf: one of them is not an as-of date.
        """
        start, end = self.interval_of_label(first).start, self.interval_of_label(last).start
        labels = []
        while start <= end:
            labels.append(self.label(start))
            start = self._next(start)
        return tuple(labels)

    def window(self, as_of: str, n: int) -> tuple[Interval, ...]:
        """The ``n`` intervals up to ``as_of``, oldest first.

        :raises NotAnAsOf: ``as_of`` is not an as-of date.
        """
        intervals = [self.interval_of_label(as_of)]
        while len(intervals) < n:
            end = intervals[-1].start
            start = self._before(end)
            intervals.append(Interval(self.label(start), start, end))
        return tuple(reversed(intervals))

    @property
    def _zone(self) -> Timezone:
        return zone_named(self.time_zone)

    def _interval(self, start: DateTime) -> Interval:
        return Interval(self.label(start), start, self._next(start))

    def _neighbours(self, moment: DateTime) -> str:
        earlier = self._at_or_before(moment)
        return f"the nearest are {self.label(earlier)} and {self.label(self._next(earlier))}"

    def _moment_of(self, as_of: str) -> DateTime | None:
        """A moment at or just after the start that ``as_of`` would name; None where it is no date at all."""
        try:
            if _MINUTE_LABEL.fullmatch(as_of):
                return pendulum.instance(datetime.datetime.strptime(as_of, "%Y-%m-%dT%H%M%z")).in_timezone(_UTC)
            if not _DATE_LABEL.fullmatch(as_of):
                return None
            day = datetime.datetime.strptime(as_of, "%Y-%m-%d")
        except ValueError:
            return None
        if self.is_by_date:
            minute, hour = (int(values[0]) for values in _expanded(self.expression)[:2])
            day = day.replace(hour=hour, minute=minute)
        return self._from_wall_clock(day)

    def _from_wall_clock(self, wall_clock: datetime.datetime) -> DateTime:
        # fold=1 as Airflow's make_aware has it: of a time that happens twice, the second.
        return pendulum.instance(self._zone.convert(wall_clock.replace(fold=1))).in_timezone(_UTC)

    def _next(self, current: DateTime) -> DateTime:
        """Airflow's ``CronMixin._get_next``."""
        local = current.in_timezone(self._zone)
        naive = _wall_clock(local)
        scheduled: datetime.datetime = croniter(self.expression, start_time=naive).get_next(datetime.datetime)
        if _covers_every_hour(self.expression):
            return (local + (scheduled - naive)).in_timezone(_UTC)
        return self._from_wall_clock(scheduled)

    def _previous(self, current: DateTime) -> DateTime:
        """Airflow's ``CronMixin._get_prev``, which after a clock change may answer a moment off the forward chain."""
        local = current.in_timezone(self._zone)
        naive = _wall_clock(local)
        scheduled: datetime.datetime = croniter(self.expression, start_time=naive).get_prev(datetime.datetime)
        if _covers_every_hour(self.expression):
            return (local - (naive - scheduled)).in_timezone(_UTC)
        return self._from_wall_clock(scheduled)

    def _at_or_before(self, moment: DateTime) -> DateTime:
        """The newest boundary of the forward chain that is not after ``moment``."""
        after = moment.replace(microsecond=0).add(seconds=1)
        boundary = self._previous(after)
        earlier = min(boundary, moment) - _LONGEST_CLOCK_CHANGE
        if len({instant.in_timezone(self._zone).offset for instant in (earlier, boundary, after)}) == 1:
            return boundary
        # The clock has changed near it: walk the chain from well before the change.
        boundary = self._previous(earlier)
        while (following := self._next(boundary)) <= moment:
            boundary = following
        return boundary

    def _before(self, boundary: DateTime) -> DateTime:
        return self._at_or_before(boundary.subtract(seconds=1))


@lru_cache(maxsize=256)
def zone_named(name: str) -> Timezone:
    """The IANA time zone ``name``.

    :raises ScheduleError: there is none.
    """
    try:
        return Timezone(name)
    except (ZoneInfoNotFoundError, ValueError, OSError) as error:
        raise ScheduleError(f"{name!r} is not an IANA time zone such as 'Europe/Berlin' or 'UTC'") from error


def _wall_clock(local: DateTime) -> datetime.datetime:
    """A datetime of the standard library, whose differences are plain seconds; pendulum's count days and months."""
    return datetime.datetime.combine(local.date(), local.time())


@lru_cache(maxsize=1024)
def _check_cron(cron: str) -> None:
    expression = PRESETS.get(cron, cron)
    if cron.startswith("@") and cron not in PRESETS:
        raise ScheduleError(f"{cron!r} is not one of the presets {', '.join(PRESETS)}")
    if len(expression.split()) != _CRON_FIELDS:
        raise ScheduleError(f"{cron!r} has {len(expression.split())} fields, not the five of a cron expression")
    if re.search(r"\b[RH]\b|[RH]\(", expression, re.IGNORECASE):
        raise ScheduleError(f"{cron!r} is different each time it is read ('R' and 'H' are random)")
    try:
        croniter(expression, start_time=_SAMPLE_START).get_next(datetime.datetime)
    except ValueError as error:
        raise ScheduleError(f"{cron!r} is not a cron expression: {error}") from error


@lru_cache(maxsize=1024)
def _expanded(expression: str) -> list[list[int | str]]:
    expanded: list[list[int | str]] = croniter(expression).expanded
    return expanded


def _covers_every_hour(expression: str) -> bool:
    # Airflow's _covers_every_hour: then repeated hours are intervals of their own.
    return _expanded(expression)[1] == ["*"]


@lru_cache(maxsize=1024)
def _wall_clock_lengths(expression: str) -> tuple[datetime.timedelta, ...]:
    times = croniter(expression, start_time=_SAMPLE_START)
    boundaries = [times.get_next(datetime.datetime) for _ in range(_SAMPLES)]
    return tuple(after - before for before, after in itertools.pairwise(boundaries))
