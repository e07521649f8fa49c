"""Which as-of dates a run may claim, as a table of cases."""

from __future__ import annotations

from datetime import timedelta

import pendulum
import pytest
from logical_warehouse.history import ImpossibleHistory, ensure_capturable
from logical_warehouse.intervals import Schedule

DAILY_UTC = Schedule("@daily", "UTC")
DAILY_BERLIN = Schedule("@daily", "Europe/Berlin")
HOURLY_NEW_YORK = Schedule("@hourly", "America/New_York")


@pytest.mark.parametrize(
    ("schedule", "as_of", "lateness", "now"),
    [
        pytest.param(DAILY_UTC, "2013-06-12", None, "2013-06-13T00:00:00Z", id="complete at its very end"),
        pytest.param(DAILY_UTC, "2013-06-12", None, "2026-01-01T00:00:00Z", id="interval tables reach back for ever"),
        pytest.param(DAILY_UTC, "2013-06-12", timedelta(hours=12), "2013-06-13T12:00:00Z", id="current, last moment"),
        pytest.param(
            DAILY_BERLIN,
            "2024-03-31",
            timedelta(hours=1),
            "2024-03-31T23:00:00Z",
            id="a day of 23 hours ends at 22:00 UTC",
        ),
        pytest.param(
            DAILY_BERLIN,
            "2024-10-27",
            timedelta(hours=1),
            "2024-10-28T00:00:00Z",
            id="a day of 25 hours ends at 23:00 UTC",
        ),
        pytest.param(
            HOURLY_NEW_YORK, "2024-11-03T0600Z", timedelta(minutes=30), "2024-11-03T07:30:00Z", id="the repeated hour"
        ),
    ],
)
def test_may_be_captured(schedule: Schedule, as_of: str, lateness: timedelta | None, now: str) -> None:
    ensure_capturable("flights", lateness, schedule.interval_of_label(as_of), pendulum.parse(now))


@pytest.mark.parametrize(
    ("schedule", "as_of", "lateness", "now", "reason"),
    [
        pytest.param(
            DAILY_UTC, "2013-06-12", None, "2013-06-12T23:59:59Z",
            "the interval ends at 2013-06-13T00:00Z, which is not yet past; run it after that", id="not over",
        ),
        pytest.param(
            DAILY_UTC, "2013-06-12", timedelta(hours=12), "2013-06-13T12:00:01Z",
            "its history is 'current', so the source knows it only as it is now, 12 h after the end of the interval "
            "(its lateness allows 12 h); capture the newest complete interval instead, or give the table a history "
            "that reaches back", id="a second too late",
        ),
        pytest.param(
            DAILY_BERLIN, "2024-03-31", timedelta(hours=1), "2024-03-31T23:00:01Z", "(its lateness allows 1 h)",
            id="a day of 23 hours",
        ),
        pytest.param(
            DAILY_BERLIN, "2024-10-27", None, "2024-10-27T22:30:00Z",
            "the interval ends at 2024-10-27T23:00Z", id="a day of 25 hours is not over at midnight of UTC+2",
        ),
    ],
)  # fmt: skip
def test_may_not_be_captured(schedule: Schedule, as_of: str, lateness: timedelta | None, now: str, reason: str) -> None:
    with pytest.raises(ImpossibleHistory) as refused:
        ensure_capturable("flights", lateness, schedule.interval_of_label(as_of), pendulum.parse(now))
    assert str(refused.value).startswith(f"flights cannot be captured as of {as_of}: ")
    assert reason in str(refused.value)
    assert (refused.value.table, refused.value.as_of) == ("flights", as_of)
