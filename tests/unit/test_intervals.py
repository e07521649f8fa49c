"""Intervals and as-of dates, compared with Airflow's own timetable across clock changes."""

# ruff: noqa: E501 - a message is one line, here too

from __future__ import annotations

import datetime
import itertools

import pytest
from airflow.exceptions import AirflowTimetableInvalid
from airflow.timetables.interval import CronDataIntervalTimetable
from airflow.utils.dates import cron_presets
from logical_warehouse.intervals import PRESETS, Interval, NotAnAsOf, Schedule, ScheduleError
from pendulum import DateTime

from tests.support.moments import moment_of

ZONES = (
    "UTC",
    "America/New_York",
    "Europe/Berlin",
    "Asia/Kolkata",
    "Australia/Lord_Howe",  # changes its clock by half an hour
    "America/Nuuk",  # from 2024, skips 23:00 to 24:00 in spring
    "America/Sao_Paulo",  # until 2018, skipped midnight itself
    "Pacific/Apia",  # had no 30 December 2011
)
CRONS = (
    "@hourly",
    "@daily",
    "@weekly",
    "@monthly",
    "30 2 * * *",
    "30 1 * * *",
    "30 23 * * *",
    "0 */2 * * *",
    "*/30 0-3 * * *",
    "45 * * * *",
    "*/15 1,2 * * *",
    "*/20 2 * * 0",
    "0 6 * * 1-5",
    "15 1-3 * * *",
)
CLOCK_CHANGES = {
    "UTC": ("2013-03-10",),
    "America/New_York": ("2013-03-10", "2013-11-03"),
    "Europe/Berlin": ("2013-03-31", "2013-10-27"),
    "Asia/Kolkata": ("2013-03-10",),
    "Australia/Lord_Howe": ("2013-04-07", "2013-10-06"),
    "America/Nuuk": ("2024-03-30", "2024-10-26"),
    "America/Sao_Paulo": ("2013-10-20", "2014-02-16"),
    "Pacific/Apia": ("2011-12-30", "2012-04-01"),
}
CASES = [(zone, cron, day) for zone in ZONES for cron in CRONS for day in CLOCK_CHANGES[zone]]


def airflow_starts(cron: str, zone: str, first: DateTime, last: DateTime) -> list[DateTime]:
    """Starts between ``first`` and ``last`` of the runs that Airflow schedules one after another.

    The chain begins 40 days earlier, so that it is not the one that only begins amid a clock change.
    """
    timetable = CronDataIntervalTimetable(cron, zone)
    start = timetable._align_to_next(first.subtract(days=40))
    starts = []
    while start <= last:
        starts.append(start)
        start = timetable._get_next(start)
    return [start for start in starts if start >= first]


@pytest.mark.parametrize(("zone", "cron", "day"), CASES)
def test_intervals_are_those_that_airflow_schedules_across_a_clock_change(zone: str, cron: str, day: str) -> None:
    first, last = (
        moment_of(day).subtract(days=2),
        moment_of(day).add(days=35 if Schedule(cron, zone).longest.days > 1 else 2),
    )
    starts = airflow_starts(cron, zone, first, last)
    schedule = Schedule(cron, zone)

    intervals = []
    interval = schedule.first_from(first)
    while interval.start <= last:
        intervals.append(interval)
        interval = schedule.interval_starting(interval.end)

    assert [one.start for one in intervals] == starts
    assert all(one.end == after.start for one, after in itertools.pairwise(intervals))


@pytest.mark.parametrize(("zone", "cron", "day"), CASES)
def test_labels_lead_back_to_their_interval_and_never_collide(zone: str, cron: str, day: str) -> None:
    schedule = Schedule(cron, zone)
    starts = airflow_starts(cron, zone, moment_of(day).subtract(days=1), moment_of(day).add(days=3))
    labels = [schedule.label(start) for start in starts]

    assert len(set(labels)) == len(starts)
    assert labels == sorted(labels)
    for label, start in zip(labels, starts, strict=True):
        assert schedule.interval_of_label(label) == schedule.interval_starting(start)
    if labels:
        assert list(schedule.labels_between(labels[0], labels[-1])) == labels
        assert [one.as_of for one in schedule.window(labels[-1], len(labels))] == labels


@pytest.mark.parametrize(("zone", "cron", "day"), CASES)
def test_any_moment_belongs_to_the_interval_of_the_chain(zone: str, cron: str, day: str) -> None:
    schedule = Schedule(cron, zone)
    first = moment_of(day).subtract(days=1)
    starts = airflow_starts(cron, zone, first.subtract(days=70), first.add(days=3))
    for quarter in range(0, 3 * 24 * 4, 7):
        moment = first.add(minutes=15 * quarter, seconds=quarter % 2, microseconds=quarter % 3)
        *_, start, end = (one for one in starts if one <= moment)
        assert schedule.last_complete(moment) == Interval(schedule.label(start), start, end)


@pytest.mark.parametrize("zone", ["UTC", "America/New_York", "Europe/Berlin", "Asia/Kolkata"])
@pytest.mark.parametrize("cron", ["@hourly", "@daily", "@weekly", "@monthly", "@quarterly", "@yearly", "0 6 * * 1-5"])
def test_last_complete_is_the_interval_that_airflow_gives_to_a_manual_run(zone: str, cron: str) -> None:
    timetable = CronDataIntervalTimetable(cron, zone)
    for hours in range(0, 24 * 400, 61):
        moment = moment_of("2013-01-01T00:10").add(hours=hours)
        expected = timetable.infer_manual_data_interval(run_after=moment)
        found = Schedule(cron, zone).last_complete(moment)
        assert (found.start, found.end) == (expected.start, expected.end)


def test_presets_are_airflows() -> None:
    assert cron_presets == PRESETS


def test_a_daily_interval_is_a_day_of_the_zone() -> None:
    spring = Schedule("@daily", "America/New_York").interval_of_label("2013-03-10")
    assert (spring.start, spring.end) == (moment_of("2013-03-10T05:00"), moment_of("2013-03-11T04:00"))
    assert spring.start.timezone_name == spring.end.timezone_name == "UTC"


def test_hours_that_repeat_have_labels_of_their_own() -> None:
    schedule = Schedule("@hourly", "America/New_York")
    labels = schedule.labels_between("2013-11-03T0400Z", "2013-11-03T0700Z")
    assert labels == ("2013-11-03T0400Z", "2013-11-03T0500Z", "2013-11-03T0600Z", "2013-11-03T0700Z")


def test_a_start_that_the_clock_change_moved_past_midnight_keeps_its_date() -> None:
    schedule = Schedule("30 23 * * *", "America/Nuuk")
    interval = schedule.interval_of_label("2024-03-30")
    assert interval.start.in_timezone("America/Nuuk").to_datetime_string() == "2024-03-31 00:30:00"
    assert schedule.interval_starting(interval.end).as_of == "2024-03-31"


@pytest.mark.parametrize(
    ("cron", "by_date"),
    [
        ("@daily", True),
        ("@weekly", True),
        ("@yearly", True),
        ("30 6 * * 1-5", True),
        ("0 */24 * * *", True),
        ("@hourly", False),
        ("0 6,18 * * *", False),
        ("0,30 6 * * *", False),
        ("* 6 * * *", False),
    ],
)
def test_labels_are_dates_where_minute_and_hour_are_single_values(cron: str, by_date: bool) -> None:
    schedule = Schedule(cron, "UTC")
    assert schedule.is_by_date is by_date
    label = schedule.last_complete(moment_of("2013-06-15T12:00")).as_of
    assert len(label) == (len("2013-06-15") if by_date else len("2013-06-15T1200Z"))


@pytest.mark.parametrize(
    ("cron", "as_of", "message"),
    [
        (
            "@weekly",
            "2013-06-05",
            "'2013-06-05' is not an as-of date of schedule '@weekly' in UTC, the nearest are 2013-06-02 and 2013-06-09",
        ),
        (
            "0 6 * * 1-5",
            "2013-06-01",
            "'2013-06-01' is not an as-of date of schedule '0 6 * * 1-5' in UTC, "
            "the nearest are 2013-05-31 and 2013-06-03",
        ),
        (
            "@hourly",
            "2013-06-01",
            "'2013-06-01' is not an as-of date of schedule '@hourly' in UTC, "
            "the nearest are 2013-06-01T0000Z and 2013-06-01T0100Z",
        ),
        (
            "@hourly",
            "2013-06-01T0030Z",
            "'2013-06-01T0030Z' is not an as-of date of schedule '@hourly' in UTC, "
            "the nearest are 2013-06-01T0000Z and 2013-06-01T0100Z",
        ),
        (
            "@daily",
            "2013-06-01T0000Z",
            "'2013-06-01T0000Z' is not an as-of date of schedule '@daily' in UTC, "
            "the nearest are 2013-06-01 and 2013-06-02",
        ),
        (
            "@daily",
            "yesterday",
            "'yesterday' is not an as-of date of schedule '@daily' in UTC, which look like YYYY-MM-DD: 2013-06-01",
        ),
        (
            "@daily",
            "2013-02-30",
            "'2013-02-30' is not an as-of date of schedule '@daily' in UTC, which look like YYYY-MM-DD: 2013-06-01",
        ),
        (
            "@hourly",
            "None",
            "'None' is not an as-of date of schedule '@hourly' in UTC, "
            "which look like YYYY-MM-DDTHHMMZ (UTC): 2013-06-01T0000Z",
        ),
    ],
)
def test_a_text_that_names_no_interval_is_refused_with_its_neighbours(cron: str, as_of: str, message: str) -> None:
    with pytest.raises(NotAnAsOf) as refused:
        Schedule(cron, "UTC").interval_of_label(as_of)
    assert str(refused.value) == message


def test_a_moment_at_which_no_interval_starts_is_refused() -> None:
    with pytest.raises(NotAnAsOf) as refused:
        Schedule("@daily", "UTC").interval_starting(moment_of("2013-06-01T12:00"))
    assert str(refused.value) == (
        "no interval of schedule '@daily' in UTC starts at 2013-06-01T12:00:00Z, the nearest are 2013-06-01 and 2013-06-02"
    )


def test_no_labels_lie_between_a_later_and_an_earlier_one() -> None:
    assert Schedule("@daily", "UTC").labels_between("2013-06-02", "2013-06-01") == ()


def test_a_window_ends_with_its_date() -> None:
    window = Schedule("@monthly", "Europe/Berlin").window("2013-03-01", 3)
    assert [one.as_of for one in window] == ["2013-01-01", "2013-02-01", "2013-03-01"]
    assert all(one.end == after.start for one, after in itertools.pairwise(window))


@pytest.mark.parametrize(
    ("cron", "shortest", "longest"),
    [
        ("@hourly", datetime.timedelta(hours=1), datetime.timedelta(hours=1)),
        ("@daily", datetime.timedelta(days=1), datetime.timedelta(days=1)),
        ("0 6 * * 1-5", datetime.timedelta(days=1), datetime.timedelta(days=3)),
        ("@monthly", datetime.timedelta(days=28), datetime.timedelta(days=31)),
        ("@yearly", datetime.timedelta(days=365), datetime.timedelta(days=366)),
    ],
)
def test_lengths_are_those_of_the_wall_clock(
    cron: str, shortest: datetime.timedelta, longest: datetime.timedelta
) -> None:
    schedule = Schedule(cron, "America/New_York")
    assert (schedule.shortest, schedule.longest) == (shortest, longest)


@pytest.mark.parametrize(
    ("cron", "zone", "message"),
    [
        ("@once", "UTC", "'@once' is not one of the presets @hourly, @daily, @weekly, @monthly, @quarterly, @yearly"),
        ("@midnight", "UTC", "'@midnight' is not one of the presets @hourly, @daily, @weekly, @monthly, @quarterly, @yearly"),
        ("daily", "UTC", "'daily' has 1 fields, not the five of a cron expression"),
        ("0 0 * * * 0", "UTC", "'0 0 * * * 0' has 6 fields, not the five of a cron expression"),
        ("61 * * * *", "UTC", "'61 * * * *' is not a cron expression: [61 * * * *] is not acceptable, out of range"),
        ("0 0 30 2 *", "UTC", "'0 0 30 2 *' is not a cron expression: failed to find next date"),
        ("R R * * *", "UTC", "'R R * * *' is different each time it is read ('R' and 'H' are random)"),
        ("@daily", "Mars", "'Mars' is not an IANA time zone such as 'Europe/Berlin' or 'UTC'"),
        ("@daily", "", "'' is not an IANA time zone such as 'Europe/Berlin' or 'UTC'"),
        ("@daily", "../etc", "'../etc' is not an IANA time zone such as 'Europe/Berlin' or 'UTC'"),
    ],
)  # fmt: skip
def test_a_schedule_that_airflow_would_refuse_is_refused(cron: str, zone: str, message: str) -> None:
    with pytest.raises(ScheduleError) as refused:
        Schedule(cron, zone)
    assert str(refused.value) == message


@pytest.mark.parametrize("cron", ["61 * * * *", "nonsense", "@once", "H * * * *"])
def test_airflow_refuses_what_is_refused_here(cron: str) -> None:
    with pytest.raises(AirflowTimetableInvalid):
        CronDataIntervalTimetable(cron, "UTC").validate()
    with pytest.raises(ScheduleError):
        Schedule(cron, "UTC")
