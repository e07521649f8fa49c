"""Which as-of dates a read covers, and what it says of those that are missing."""

from __future__ import annotations

from datetime import UTC, datetime, timedelta

import pytest
from warehouse.coverage import (
    EmptyWindow,
    MissingIntervals,
    NoSuchSnapshot,
    OverlappingIntervals,
    covered,
    meant,
    newest_known,
)
from warehouse.snapshot_record import SnapshotRecord
from warehouse.table_origin import HISTORY

from tests.unit.records import snapshot_record

DAY = timedelta(days=1)


def record(as_of: str, start: str, end: str) -> SnapshotRecord:
    return snapshot_record("flights", as_of, start, end)


def days(*numbers: int, hour: int = 0) -> list[SnapshotRecord]:
    """Days of June 2013 that start at ``hour`` UTC."""
    starts = [datetime(2013, 6, 1, hour, tzinfo=UTC) + (number - 1) * DAY for number in numbers]
    return [record(f"{s:%Y-%m-%d}", f"{s:%Y-%m-%dT%H:%M:%SZ}", f"{s + DAY:%Y-%m-%dT%H:%M:%SZ}") for s in starts]


def hours(*numbers: int) -> list[SnapshotRecord]:
    starts = [datetime(2013, 11, 3, tzinfo=UTC) + timedelta(hours=number) for number in numbers]
    return [
        record(f"{s:%Y-%m-%dT%H%MZ}", f"{s:%Y-%m-%dT%H:%M:%SZ}", f"{s + timedelta(hours=1):%Y-%m-%dT%H:%M:%SZ}")
        for s in starts
    ]


def labels(records: list[SnapshotRecord], as_of: str, **options: object) -> list[str]:
    asked = {"since": None, "expired": False, "window": None} | options
    return [r.as_of for r in covered("flights", records, as_of, **asked)]  # type: ignore[arg-type]


def test_all_up_to_the_date_and_nothing_later() -> None:
    assert labels(days(3, 1, 2, 4), "2013-06-03") == ["2013-06-01", "2013-06-02", "2013-06-03"]


def test_a_window_needs_nothing_before_it() -> None:
    assert labels(days(1, 5, 6), "2013-06-06", window=2) == ["2013-06-05", "2013-06-06"]


def test_a_window_is_shorter_where_the_table_starts() -> None:
    assert labels(days(1, 2), "2013-06-02", since="2013-06-01T00:00:00Z", window=7) == ["2013-06-01", "2013-06-02"]


@pytest.mark.parametrize("hour", [0, 4])
@pytest.mark.parametrize(
    ("published", "as_of", "window", "missing"),
    [
        ([1, 2, 5], 5, None, ["2013-06-03", "2013-06-04"]),
        ([1, 2, 4, 5], 5, 3, ["2013-06-03"]),
        ([2, 3], 3, None, ["2013-06-01"]),
        ([1, 2], 4, None, ["2013-06-03", "2013-06-04"]),
        ([1, 2, 6], 4, 1, ["2013-06-04"]),
        ([3], 2, None, ["2013-06-01", "2013-06-02"]),
        ([], 2, None, ["2013-06-02"]),
    ],
)
def test_missing_intervals_are_named(
    hour: int, published: list[int], as_of: int, window: int | None, missing: list[str]
) -> None:
    since = f"2013-06-01T{hour:02d}:00:00Z"
    with pytest.raises(MissingIntervals) as failure:
        labels(days(*published, hour=hour), f"2013-06-{as_of:02d}", since=since, window=window)
    assert list(failure.value.missing) == missing
    assert failure.value.kind == "retryable"


def test_days_are_counted_by_the_calendar_when_clocks_change() -> None:
    before = record("2013-11-02", "2013-11-02T04:00:00Z", "2013-11-03T04:00:00Z")
    after = record("2013-11-05", "2013-11-05T05:00:00Z", "2013-11-06T05:00:00Z")
    with pytest.raises(MissingIntervals) as failure:
        labels([before, after], "2013-11-05")
    assert failure.value.missing == ("2013-11-03", "2013-11-04")


def test_hours_are_labelled_by_the_minute() -> None:
    with pytest.raises(MissingIntervals) as failure:
        labels(hours(4, 5, 8), "2013-11-03T0800Z")
    assert failure.value.missing == ("2013-11-03T0600Z", "2013-11-03T0700Z")


def test_a_gap_that_is_no_whole_number_of_intervals_is_named_by_its_ends() -> None:
    month = record("2013-03-01", "2013-03-01T00:00:00Z", "2013-04-01T00:00:00Z")
    may = record("2013-05-10", "2013-05-10T00:00:00Z", "2013-06-10T00:00:00Z")
    with pytest.raises(MissingIntervals, match="between 2013-04-01T00:00Z and 2013-05-10T00:00Z"):
        labels([month, may], "2013-05-10")


def test_many_missing_intervals_are_counted() -> None:
    with pytest.raises(MissingIntervals, match="2013-06-11 and 8 more; backfill"):
        labels(days(1, 20), "2013-06-20")


@pytest.mark.parametrize(
    ("options", "reason"),
    [
        ({"since": "2013-06-02T00:00:00Z", "expired": False}, "the table starts later"),
        ({"since": "2013-06-02T00:00:00Z", "expired": True}, "retention ended what lies before it"),
    ],
)
def test_a_date_before_the_start_never_comes(options: dict[str, object], reason: str) -> None:
    with pytest.raises(NoSuchSnapshot, match=reason) as failure:
        labels(days(2, 3), "2013-06-01", **options)
    assert failure.value.kind == "permanent"
    assert "2013-06-02 to 2013-06-03, 2013-06-02 is the nearest" in str(failure.value)


@pytest.mark.parametrize("window", [0, -1])
@pytest.mark.parametrize("history", ["interval", "current"])
def test_a_window_of_no_interval_is_refused(history: str, window: int) -> None:
    records = {one.as_of: one for one in days(1, 2, 3)}
    with pytest.raises(EmptyWindow, match=f"a window of {window} intervals of table flights has no meaning"):
        meant("flights", {HISTORY: history}, records, "2013-06-03", window=window)


def test_a_window_that_retention_cut_is_refused() -> None:
    with pytest.raises(NoSuchSnapshot, match="a part of its window of 3"):
        labels(days(2, 3), "2013-06-03", since="2013-06-02T00:00:00Z", expired=True, window=3)


def test_an_old_date_captured_anew_is_read_by_a_window() -> None:
    since = "2013-06-10T00:00:00Z"
    assert labels(days(3, 10, 11), "2013-06-03", since=since, expired=True, window=1) == ["2013-06-03"]
    assert labels(days(9, 10, 11), "2013-06-11", since=since, expired=True, window=3) == [
        "2013-06-09",
        "2013-06-10",
        "2013-06-11",
    ]
    with pytest.raises(NoSuchSnapshot):
        labels(days(3, 10, 11), "2013-06-03", since=since, expired=True)


@pytest.mark.parametrize("as_of", ["None", "2013-13-01", "2013-06", "", "2013-06-01T9999Z"])
def test_what_is_no_date_is_refused(as_of: str) -> None:
    with pytest.raises(NoSuchSnapshot, match="is not an as-of date"):
        labels(days(1), as_of)


def test_overlapping_intervals_are_refused() -> None:
    week = record("2013-06-01", "2013-06-01T00:00:00Z", "2013-06-08T00:00:00Z")
    with pytest.raises(OverlappingIntervals, match="2013-06-01 and 2013-06-03"):
        labels([week, *days(3)], "2013-06-03")


WEEKS = [
    record("2013-06-03", "2013-06-03T00:00:00Z", "2013-06-10T00:00:00Z"),
    record("2013-06-10", "2013-06-10T00:00:00Z", "2013-06-17T00:00:00Z"),
]
# Monday to Friday: Friday's interval ends on Monday.
WORKDAYS = [*days(6), record("2013-06-07", "2013-06-07T00:00:00Z", "2013-06-10T00:00:00Z")]


@pytest.mark.parametrize(
    ("records", "as_of", "found"),
    [
        pytest.param(days(1, 3, 5), "2013-06-03", "2013-06-03", id="that of the date itself"),
        pytest.param(days(1, 3, 5), "2013-06-04", "2013-06-03", id="the newest before"),
        pytest.param(days(1, 3, 5), "2014-01-01", "2013-06-05", id="long before"),
        pytest.param(WEEKS, "2013-06-10", "2013-06-10", id="a week, by its own label"),
        pytest.param(WEEKS, "2013-06-12", "2013-06-03", id="a week that is not over does not leak into its days"),
        pytest.param(WEEKS, "2013-06-16", "2013-06-10", id="on its last day it is over"),
        pytest.param(WORKDAYS, "2013-06-07", "2013-06-07", id="Friday, by its own label"),
        pytest.param(WORKDAYS, "2013-06-08", "2013-06-06", id="on Saturday Friday's interval is not over"),
        pytest.param(WORKDAYS, "2013-06-09", "2013-06-07", id="on Sunday it is"),
        pytest.param(hours(1, 2, 5), "2013-11-03T0300Z", "2013-11-03T0200Z", id="hours"),
        pytest.param(hours(22, 23, 24), "2013-11-03", "2013-11-03T2300Z", id="a day of hours"),
        pytest.param(days(1, 2, hour=4), "2013-06-03", "2013-06-02", id="days that begin at four"),
    ],
)  # fmt: skip
def test_the_newest_state_at_or_before(records: list[SnapshotRecord], as_of: str, found: str) -> None:
    assert newest_known("plates", records, as_of).as_of == found


@pytest.mark.parametrize(
    ("end", "found"),
    [
        ("2013-06-10T00:00:00Z", "2013-06-03"),
        ("2013-06-11T00:00:00Z", "2013-06-03"),
        ("2013-06-17T00:00:00Z", "2013-06-10"),
    ],
)
def test_a_training_reads_what_had_ended_with_its_own_interval(end: str, found: str) -> None:
    """Also where the label is that of a week: its state is that of the week's end, which no training of a day knows."""
    assert newest_known("plates", WEEKS, "2013-06-10", end=end).as_of == found


def test_days_end_in_the_sources_time_zone() -> None:
    # A day of 25 hours in New York: its last hour ends at 05:00 UTC of the next day.
    records = hours(27, 28, 29)
    assert newest_known("plates", records, "2013-11-03", time_zone="America/New_York").as_of == "2013-11-04T0400Z"
    assert newest_known("plates", [*days(1), *records], "2013-11-03", time_zone="UTC").as_of == "2013-06-01"


@pytest.mark.parametrize("records", [[], WEEKS])
def test_nothing_so_early(records: list[SnapshotRecord]) -> None:
    with pytest.raises(NoSuchSnapshot):
        newest_known("plates", records, "2013-06-05")
    with pytest.raises(NoSuchSnapshot):
        newest_known("plates", records, "2013-06-03", end="2013-06-04T00:00:00Z")
