"""Which interval a run is about."""

from __future__ import annotations

import pendulum
import pytest
from logical_warehouse.as_of import intervals_before, resolve_interval
from logical_warehouse.intervals import Schedule
from warehouse.failures import PermanentError

from tests.support.moments import moment_of

DAILY = Schedule("@daily", "UTC")
NOON = pendulum.datetime(2013, 6, 20, 12)


def resolve(as_of: str | None = None, data_interval: tuple[str, str] | None = None) -> str:
    bounds = None if data_interval is None else (moment_of(data_interval[0]), moment_of(data_interval[1]))
    return resolve_interval(DAILY, as_of_param=as_of, data_interval=bounds, run_after=NOON).as_of


def test_the_param_comes_first() -> None:
    assert resolve("2013-06-01", ("2013-06-02T00:00Z", "2013-06-03T00:00Z")) == "2013-06-01"


def test_then_the_runs_data_interval() -> None:
    assert resolve(None, ("2013-06-02T00:00Z", "2013-06-03T00:00Z")) == "2013-06-02"


def test_then_the_last_interval_complete_when_the_run_was_due() -> None:
    assert resolve() == "2013-06-19"


def test_a_param_that_is_no_date_of_the_schedule_is_refused() -> None:
    with pytest.raises(PermanentError, match="'2013-06-31' is not an as-of date"):
        resolve("2013-06-31")


@pytest.mark.parametrize(
    "data_interval",
    [("2013-06-02T06:00Z", "2013-06-03T06:00Z"), ("2013-06-02T00:00Z", "2013-06-04T00:00Z")],
    ids=["starts within one", "spans two"],
)
def test_a_data_interval_of_another_schedule_is_refused(data_interval: tuple[str, str]) -> None:
    with pytest.raises(PermanentError, match="data interval"):
        resolve(None, data_interval)


@pytest.mark.parametrize(
    ("schedule", "as_of", "lookback", "start", "labels"),
    [
        (Schedule("@daily", "UTC"), "2013-06-05", 0, "2013-06-01", []),
        (Schedule("@daily", "UTC"), "2013-06-05", 2, "2013-06-01", ["2013-06-03", "2013-06-04"]),
        (Schedule("@daily", "UTC"), "2013-06-02", 3, "2013-06-01", ["2013-06-01"]),
        (Schedule("@daily", "UTC"), "2013-06-01", 3, "2013-06-01", []),
        (Schedule("@daily", "Europe/Berlin"), "2024-04-01", 2, "2024-01-01", ["2024-03-30", "2024-03-31"]),
        (Schedule("@hourly", "America/New_York"), "2024-11-03T0700Z", 3, "2024-01-01",
         ["2024-11-03T0400Z", "2024-11-03T0500Z", "2024-11-03T0600Z"]),
        (Schedule("0 6 * * 1-5", "UTC"), "2013-06-10", 2, "2013-06-01", ["2013-06-06", "2013-06-07"]),
    ],
)  # fmt: skip
def test_intervals_before(schedule: Schedule, as_of: str, lookback: int, start: str, labels: list[str]) -> None:
    first = moment_of(start, schedule.time_zone)
    assert [one.as_of for one in intervals_before(schedule, as_of, lookback, first)] == labels
