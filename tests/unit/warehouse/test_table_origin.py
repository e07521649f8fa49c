"""What a manifest may say differently of a stored table, and what must be another table."""

from __future__ import annotations

from dataclasses import replace
from typing import Any

import pytest
from warehouse.run_spec import IntervalSpec
from warehouse.schema_failures import TableRedefined
from warehouse.snapshot_record import SnapshotRecord
from warehouse.table_origin import changed_properties, ensure_same_table, origin_of
from warehouse.table_spec import ChecksSpec, HistorySpec, RetentionSpec, SplitSpec, TableSpec

from tests.unit.records import snapshot_record

VALIDITY = HistorySpec("valid_between", valid_from="since", valid_to="until")
TABLE = TableSpec(
    name="events",
    source_schema="public",
    source_table="events",
    columns=(),
    history=HistorySpec("interval", "at"),
    split=SplitSpec(),
    checks=ChecksSpec(),
    retention=RetentionSpec(),
    schedule="@daily",
    start="2013-06-01T00:00:00Z",
)
STORED = origin_of(TABLE, "shop", "UTC")


def day(number: int, hour: int = 0, days: int = 1, as_of: str = "") -> IntervalSpec:
    label = as_of or f"2013-06-{number:02}"
    return IntervalSpec(label, f"2013-06-{number:02}T{hour:02}:00:00Z", f"2013-06-{number + days:02}T{hour:02}:00:00Z")


def record(of: IntervalSpec) -> SnapshotRecord:
    return snapshot_record("events", of.as_of, of.start, of.end)


PUBLISHED = [record(day(number)) for number in (3, 4, 5)]


@pytest.mark.parametrize(
    ("changes", "words"),
    [
        ({"source_table": "events_v2"}, "its table in the source is 'public.events_v2', was 'public.events'"),
        ({"history": HistorySpec("interval", "seen")}, "its history's columns is 'seen', was 'at'"),
        ({"history": HistorySpec("current")}, "its history is 'current', was 'interval'"),
        ({"history": VALIDITY}, "its history's columns is 'since, until', was 'at'"),
    ],
)
def test_another_table_needs_another_name(changes: dict[str, Any], words: str) -> None:
    origin = origin_of(replace(TABLE, **changes), "shop", "UTC")
    with pytest.raises(TableRedefined) as caught:
        ensure_same_table("events", STORED, origin, PUBLISHED, day(6))
    assert words in str(caught.value) and "new name in the manifest" in str(caught.value)


def test_another_source_needs_another_name() -> None:
    with pytest.raises(TableRedefined, match="its source is 'other', was 'shop'"):
        ensure_same_table("events", STORED, origin_of(TABLE, "other", "UTC"), PUBLISHED, day(6))


def test_another_end_of_validity_needs_another_name() -> None:
    stored = origin_of(replace(TABLE, history=VALIDITY), "shop", "UTC")
    inclusive = origin_of(replace(TABLE, history=replace(VALIDITY, to_inclusive=True)), "shop", "UTC")
    with pytest.raises(TableRedefined, match=r"is 'since, until \(inclusive\)', was 'since, until'"):
        ensure_same_table("events", stored, inclusive, PUBLISHED, day(6))


@pytest.mark.parametrize("changes", [{"history": HistorySpec("interval", "at", lookback=3)}, {"filter": "id > 3"}])
def test_what_means_the_same_table(changes: dict[str, Any]) -> None:
    ensure_same_table("events", STORED, origin_of(replace(TABLE, **changes), "shop", "UTC"), PUBLISHED, day(6))


def test_a_table_without_snapshots_may_become_any_of_its_kind() -> None:
    other = replace(TABLE, source_table="other", history=HistorySpec("interval", "seen"))
    ensure_same_table("events", STORED, origin_of(other, "elsewhere", "UTC"), [], day(6))
    with pytest.raises(TableRedefined, match="its history is 'current'"):
        current = replace(TABLE, history=HistorySpec("current"))
        ensure_same_table("events", STORED, origin_of(current, "shop", "UTC"), [], day(6))


def test_what_an_older_version_did_not_write_is_not_compared() -> None:
    ensure_same_table("events", {"warehouse.history": "interval"}, STORED, PUBLISHED, day(6))


@pytest.mark.parametrize(
    ("interval", "clash"),
    [
        (day(4), None),  # again
        (day(2), None),
        (day(6, days=7), None),  # from here on weekly
        (day(3, days=7), "2013-06-03"),  # weekly, with the label of a day
        (day(2, days=7), "2013-06-03"),  # weekly, over days
        (day(5, hour=22), "2013-06-05"),  # another time zone
        (day(8, as_of="2013-06-04"), "2013-06-04"),  # a label twice
        (IntervalSpec("2013-06-04T0100Z", "2013-06-04T01:00:00Z", "2013-06-04T02:00:00Z"), "2013-06-04"),  # hourly
    ],
)
def test_intervals_do_not_overlap(interval: IntervalSpec, clash: str | None) -> None:
    origin = origin_of(replace(TABLE, schedule="@weekly"), "shop", "Europe/Prague")
    if clash is None:
        ensure_same_table("events", STORED, origin, PUBLISHED, interval)
        return
    with pytest.raises(TableRedefined) as caught:
        ensure_same_table("events", STORED, origin, PUBLISHED, interval)
    text = str(caught.value)
    assert f"overlaps the published {clash}, " in text
    assert "its schedule is '@weekly' in Europe/Prague, was '@daily' in UTC" in text


@pytest.mark.parametrize(
    ("stored", "start", "kept"),
    [
        ("2013-06-01", "2013-06-01", "2013-06-01"),
        ("2013-06-01", "2013-05-01", "2013-05-01"),  # what lies between is missing until it is captured
        ("2013-06-01", "2013-06-02", "2013-06-02"),  # before the oldest that is published
        ("2013-06-01", "2013-06-03", "2013-06-03"),
        ("2013-06-01", "2013-06-05", "2013-06-03"),  # hides nothing that is published
        ("2013-06-04", "2013-06-05", "2013-06-03"),
    ],
)
def test_the_start_that_readers_know(stored: str, start: str, kept: str) -> None:
    properties = {**STORED, "warehouse.start": f"{stored}T00:00:00Z"}
    origin = {**STORED, "warehouse.start": f"{start}T00:00:00Z"}
    changed = changed_properties(properties, origin, PUBLISHED)
    assert {**properties, **changed}["warehouse.start"] == f"{kept}T00:00:00Z"
    assert set(changed) <= {"warehouse.start"}


def test_a_schedule_is_kept_as_it_is_now() -> None:
    origin = origin_of(replace(TABLE, schedule="@hourly"), "shop", "Europe/Prague")
    changed = changed_properties(STORED, origin, PUBLISHED)
    assert changed == {"warehouse.schedule": "@hourly", "warehouse.time_zone": "Europe/Prague"}
