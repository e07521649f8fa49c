"""Which as-of dates a run may claim, as a table of cases."""

from __future__ import annotations

from datetime import timedelta

import pytest
from logical_warehouse.history import ImpossibleHistory, ensure_capturable, ensure_source_knows
from logical_warehouse.intervals import Schedule
from logical_warehouse.manifest import History

from tests.support.moments import moment_of

DAILY_UTC = Schedule("@daily", "UTC")
DAILY_BERLIN = Schedule("@daily", "Europe/Berlin")
HOURLY_NEW_YORK = Schedule("@hourly", "America/New_York")
WEEKLY_BERLIN = Schedule("@weekly", "Europe/Berlin")

BY_INTERVAL = History("interval", column="at")
AGAIN = History("interval", column="at", lookback=3)
VALID = History("valid_between", valid_from="a", valid_to="b")
FOR_EVER = History("time_travel")
NINETY_DAYS = History("time_travel", keeps=timedelta(days=90))
ONE_HOUR = History("current", lateness=timedelta(hours=1))
HALF_DAY = History("current", lateness=timedelta(hours=12))
HALF_HOUR = History("current", lateness=timedelta(minutes=30))


@pytest.mark.parametrize(
    ("schedule", "as_of", "history", "now"),
    [
        pytest.param(DAILY_UTC, "2013-06-12", BY_INTERVAL, "2013-06-13T00:00:00Z", id="complete at its very end"),
        pytest.param(DAILY_UTC, "2013-06-12", BY_INTERVAL, "2026-01-01T00:00:00Z", id="interval reaches back for ever"),
        pytest.param(DAILY_UTC, "2013-06-12", AGAIN, "2026-01-01T00:00:00Z", id="with a lookback, too"),
        pytest.param(DAILY_UTC, "2013-06-12", VALID, "2026-01-01T00:00:00Z", id="valid_between reaches back for ever"),
        pytest.param(DAILY_BERLIN, "2024-03-31", VALID, "2024-03-31T22:00:00Z", id="valid_between, a day of 23 hours"),
        pytest.param(DAILY_UTC, "2013-06-12", FOR_EVER, "2026-01-01T00:00:00Z", id="time_travel that says no end"),
        pytest.param(DAILY_UTC, "2013-06-12", NINETY_DAYS, "2013-09-11T00:00:00Z", id="time_travel, last moment"),
        # 90 days are 90 times 24 hours, also over a change of clocks: the source counts by its own clock.
        pytest.param(DAILY_BERLIN, "2024-03-30", NINETY_DAYS, "2024-06-28T23:00:00Z", id="over a change of clocks"),
        pytest.param(DAILY_UTC, "2013-06-12", HALF_DAY, "2013-06-13T12:00:00Z", id="current, last moment"),
        pytest.param(DAILY_BERLIN, "2024-03-31", ONE_HOUR, "2024-03-31T23:00:00Z", id="a day of 23 hours"),
        pytest.param(DAILY_BERLIN, "2024-10-27", ONE_HOUR, "2024-10-28T00:00:00Z", id="a day of 25 hours"),
        pytest.param(HOURLY_NEW_YORK, "2024-11-03T0600Z", HALF_HOUR, "2024-11-03T07:30:00Z", id="the repeated hour"),
        pytest.param(WEEKLY_BERLIN, "2024-03-31", HALF_DAY, "2024-04-07T10:00:00Z", id="a week less an hour"),
    ],
)  # fmt: skip
def test_may_be_captured(schedule: Schedule, as_of: str, history: History, now: str) -> None:
    ensure_capturable("flights", history, schedule.interval_of_label(as_of), moment_of(now))


NOT_OVER = "the interval ends at {}, which is not yet past; run it after that"
TOO_LATE = (
    "its history is 'current', so the source knows it only as it is now, {} after the end of the interval (its "
    "lateness allows {}); capture the newest complete interval instead, give the table a history that reaches back, or "
    "trigger this date with capture_late, which marks the snapshot late for ever"
)
NOT_KEPT = (
    "its history is 'time_travel', which reaches back 90 d (keeps in the manifest), and the interval ended {} ago; "
    "capture intervals that end at {} or later"
)


@pytest.mark.parametrize(
    ("schedule", "as_of", "history", "now", "reason"),
    [
        *(
            pytest.param(DAILY_UTC, "2013-06-12", history, "2013-06-12T23:59:59Z",
                         NOT_OVER.format("2013-06-13T00:00Z"), id=f"not over: {history.mode}")
            for history in (BY_INTERVAL, VALID, FOR_EVER, HALF_DAY)
        ),
        pytest.param(DAILY_UTC, "2013-06-12", HALF_DAY, "2013-06-13T12:00:01Z", TOO_LATE.format("12 h", "12 h"),
                     id="a second too late"),
        pytest.param(DAILY_BERLIN, "2024-03-31", ONE_HOUR, "2024-03-31T23:00:01Z", TOO_LATE.format("1 h", "1 h"),
                     id="a day of 23 hours"),
        pytest.param(DAILY_UTC, "2013-06-12", HALF_DAY, "2013-06-15T01:30:00Z",
                     TOO_LATE.format("2 d 1 h 30 min", "12 h"), id="days too late"),
        pytest.param(DAILY_BERLIN, "2024-10-27", BY_INTERVAL, "2024-10-27T22:30:00Z",
                     NOT_OVER.format("2024-10-27T23:00Z"), id="a day of 25 hours is not over at midnight of UTC+2"),
        pytest.param(DAILY_UTC, "2013-06-12", NINETY_DAYS, "2013-09-11T00:00:01Z",
                     NOT_KEPT.format("90 d", "2013-06-13T00:00Z"), id="a second longer than it is kept"),
        pytest.param(DAILY_BERLIN, "2024-03-30", NINETY_DAYS, "2024-06-28T23:30:00Z",
                     NOT_KEPT.format("90 d 30 min", "2024-03-30T23:30Z"), id="not kept, over a change of clocks"),
    ],
)  # fmt: skip
def test_may_not_be_captured(schedule: Schedule, as_of: str, history: History, now: str, reason: str) -> None:
    with pytest.raises(ImpossibleHistory) as refused:
        ensure_capturable("flights", history, schedule.interval_of_label(as_of), moment_of(now))
    assert str(refused.value) == f"flights cannot be captured as of {as_of}: {reason}"
    assert (refused.value.table, refused.value.as_of) == ("flights", as_of)


def test_late_on_purpose() -> None:
    day = DAILY_UTC.interval_of_label("2013-06-12")
    ensure_capturable("flights", HALF_DAY, day, moment_of("2026-01-01T00:00:00Z"), capture_late=True)


@pytest.mark.parametrize("history", [BY_INTERVAL, HALF_DAY, NINETY_DAYS], ids=lambda history: history.mode)
def test_asking_for_a_late_capture_ends_no_interval_early_and_brings_no_history_back(history: History) -> None:
    now = moment_of("2013-12-31T12:00:00Z")
    with pytest.raises(ImpossibleHistory, match="not yet past"):
        ensure_capturable("flights", history, DAILY_UTC.interval_of_label("2013-12-31"), now, capture_late=True)
    if history is NINETY_DAYS:
        with pytest.raises(ImpossibleHistory, match="reaches back 90 d"):
            ensure_capturable("flights", history, DAILY_UTC.interval_of_label("2013-06-12"), now, capture_late=True)


def test_the_sources_own_history_must_reach_the_end_of_the_interval() -> None:
    day = DAILY_UTC.interval_of_label("2013-06-12")
    ensure_source_knows("flights", day, moment_of("2013-06-12T23:59:59Z"))
    with pytest.raises(ImpossibleHistory) as refused:
        ensure_source_knows("flights", day, moment_of("2013-06-13T00:00:00Z"))
    assert str(refused.value) == (
        "flights cannot be captured as of 2013-06-12: its history is 'time_travel', and the source's own history of it "
        "begins at 2013-06-13T00:00Z, after the end of the interval; capture intervals that end later"
    )
