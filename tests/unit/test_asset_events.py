"""How far back the asset events of a table are read, and in which pages."""

from __future__ import annotations

import dataclasses
from collections.abc import Iterator
from dataclasses import dataclass
from datetime import UTC, datetime, timedelta
from typing import Any

import pytest
from logical_warehouse.manifest import Retention
from logical_warehouse.operators import asset_events
from logical_warehouse.operators.asset_events import read_published

from tests.unit.records import snapshot_record

BEGIN = datetime(2013, 6, 1, tzinfo=UTC)
QUARTER = timedelta(minutes=15)


@dataclass(frozen=True)
class Event:
    id: int
    timestamp: datetime
    partition_key: str
    extra: dict[str, Any]


def event(number: int, *, told: datetime | None = None) -> Event:
    """Of the interval of that number, told right after its end unless said otherwise."""
    start, end = BEGIN + number * QUARTER, BEGIN + (number + 1) * QUARTER
    label = f"{start:%Y-%m-%dT%H%MZ}"
    record = snapshot_record("ticks", label, f"{start:%Y-%m-%dT%H:%M:%SZ}", f"{end:%Y-%m-%dT%H:%M:%SZ}")
    return Event(number, told or end, label, dataclasses.asdict(record))


class Log:
    """As the accessor of Airflow's SDK: what it is told changes it; events of one moment come in any order."""

    def __init__(self, events: list[Event]) -> None:
        self.events = events
        self.asked = 0
        self._limit = 0
        self._before: datetime | None = None

    def ascending(self, ascending: bool) -> Log:
        assert not ascending
        return self

    def limit(self, limit: int) -> Log:
        self._limit = limit
        return self

    def before(self, before: str) -> Log:
        self._before = datetime.fromisoformat(before)
        return self

    def __iter__(self) -> Iterator[Event]:
        self.asked += 1
        newest_first = sorted(self.events, key=lambda one: one.timestamp, reverse=True)
        return iter([one for one in newest_first if not self._before or one.timestamp <= self._before][: self._limit])


@pytest.fixture(autouse=True)
def small_pages(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(asset_events, "PAGE", 10)


@pytest.mark.parametrize("count", [0, 1, 10, 11, 95])
def test_without_a_retention_all_are_read(count: int) -> None:
    events = [event(number) for number in range(count)]
    assert set(read_published(Log(events), Retention()).newest) == {one.partition_key for one in events}


@pytest.mark.parametrize("count", [9, 10, 11, 45])
def test_events_of_one_moment_are_all_read(count: int) -> None:
    together = [event(number, told=BEGIN + 60 * QUARTER) for number in range(count)]
    events = [*together, *(event(number) for number in range(60, 64)), event(-1)]
    assert set(read_published(Log(events), Retention()).newest) == {one.partition_key for one in events}


@pytest.mark.parametrize("retention", [Retention(keep=15), Retention(days=1)])
def test_what_can_only_be_ended_is_not_read(retention: Retention) -> None:
    log = Log([event(number) for number in range(1000)])
    said = read_published(log, retention)
    kept = 15 if retention.keep else 97
    assert {event(number).partition_key for number in range(1000 - kept, 1000)} <= set(said.newest)
    assert log.asked <= kept // 9 + 2


def test_a_kept_date_that_was_told_of_long_ago_is_read() -> None:
    """Earlier dates were published, or published again, since."""
    events = [event(20), *(event(number, told=BEGIN + (number + 100) * QUARTER) for number in range(20))]
    said = read_published(Log(events), Retention(keep=2))
    assert event(20).partition_key in said.newest


def test_the_newest_publication_of_a_date_counts_across_pages() -> None:
    old = event(0)
    again = dataclasses.replace(
        event(0, told=BEGIN + 50 * QUARTER), id=99, extra=old.extra | {"published_at": "2013-06-02T00:00:00Z"}
    )
    said = read_published(Log([old, *(event(number) for number in range(1, 30)), again]), Retention())
    assert said.newest[old.partition_key].published_at == "2013-06-02T00:00:00Z"
