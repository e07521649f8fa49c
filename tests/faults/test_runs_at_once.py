"""Runs beside each other end as if one had followed the other: of one date, of eight, a backfill and a schedule."""

from __future__ import annotations

from collections.abc import Iterator
from contextlib import contextmanager
from datetime import UTC, datetime, timedelta

import pytest
from warehouse.records import read_records
from warehouse.spec_json import from_json
from warehouse.validate_spec import PublishedTable, ValidateResult

from tests.e2e.runs import eventually, succeed
from tests.faults.ledger import DATE, TABLES, Ledger
from tests.faults.matrix import DAG, World, content_problems, rows_lost
from tests.faults.store_contents import contents
from tests.support.driver_switches import Hold

MOVEMENTS = "snapshot_movements"


@contextmanager
def together(world: World, point: Hold, drivers: int) -> Iterator[None]:
    """Start runs in the block; so many drivers or more stop at the point, and all go on at the same moment."""
    with world.drivers.hold(point):
        yield
        eventually(f"{drivers} drivers at once", lambda: len(world.drivers.waiting(point)) >= drivers, 300)


def published_by(world: World, dag_id: str, run_id: str) -> tuple[PublishedTable, ...]:
    return from_json(ValidateResult, world.api.xcom(dag_id, run_id, "validate")).published


def tidy(world: World, *tables: str) -> list[str]:
    return content_problems({table: contents(world.session, world.store, table) for table in tables})


def test_two_runs_of_one_date_publish_at_once(world: World) -> None:
    world.ledger.change()
    with together(world, "publishing", 2):
        runs = [world.capture(DATE) for _ in range(2)]
    for run_id in runs:
        succeed(world.api, DAG, run_id)
    assert [rows_lost(world, table, DATE) for table in TABLES] == [0, 0]
    for table in TABLES:
        records = read_records(world.session, world.store, table)
        captured = {
            run_id: one.record.captured_at
            for run_id in runs
            for one in published_by(world, DAG, run_id)
            if one.record.table == table and not one.superseded
        }
        assert records[DATE].run_id == max(captured, key=lambda run_id: captured[run_id])
    assert tidy(world, *TABLES) == []


def test_a_run_that_captured_earlier_does_not_take_a_later_state_back(world: World) -> None:
    world.ledger.change()
    with world.drivers.hold("validating"):
        early = world.capture(DATE)
        eventually("the early run", lambda: len(world.drivers.waiting("validating")) == 1, 180)
        world.ledger.change()
        late = world.capture(DATE)
        eventually("both runs", lambda: len(world.drivers.waiting("validating")) == 2, 180)
    for run_id in (early, late):
        succeed(world.api, DAG, run_id)
    assert [rows_lost(world, table, DATE) for table in TABLES] == [0, 0]
    assert all(not one.superseded for one in published_by(world, DAG, late))
    for table in TABLES:
        assert read_records(world.session, world.store, table)[DATE].run_id == late
    assert tidy(world, *TABLES) == []


@pytest.fixture(scope="module")
def yesterday(world: World) -> str:
    """As-of date of the newest complete interval, with rows in the source."""
    day = (datetime.now(UTC) - timedelta(days=1)).date().isoformat()
    Ledger(world.stack.source).run(
        f"INSERT INTO public.movements SELECT 100000 + n, '{day} 00:00Z'::timestamptz + n * interval '1 minute', n "
        "FROM generate_series(0, 99) n"
    )
    return day


def test_a_backfill_beside_a_scheduled_run(world: World, yesterday: str) -> None:
    days = ["2013-06-01", "2013-06-02", "2013-06-03"]
    with together(world, "publishing", 1 + len(days)):
        world.api.set_paused(MOVEMENTS, False)  # at once the scheduler makes the run of the newest interval
        first, last = (f"{day}T00:00:00Z" for day in (days[0], days[-1]))
        backfill = world.api.create_backfill(MOVEMENTS, first, last, max_active_runs=len(days))["id"]
    eventually("the backfill", lambda: world.api.backfill(backfill)["completed_at"], 300)
    runs = world.api.runs(MOVEMENTS)
    for run in runs:
        succeed(world.api, MOVEMENTS, run["dag_run_id"])
    assert sorted(run["run_type"] for run in runs) == ["backfill"] * len(days) + ["scheduled"]
    assert {day: rows_lost(world, "movements", day) for day in (*days, yesterday)} == dict.fromkeys(
        (*days, yesterday), 0
    )
    assert list(read_records(world.session, world.store, "movements")) == [*days, yesterday]
    assert tidy(world, "movements") == []


def test_eight_dates_of_one_table_publish_at_once(world: World, yesterday: str) -> None:
    days = [f"2013-06-{day:02d}" for day in range(10, 18)]
    world.api.set_paused(MOVEMENTS, False)
    with together(world, "publishing", len(days)):
        runs = [world.api.trigger(MOVEMENTS, params={"as_of": day})["dag_run_id"] for day in days]
    for run_id in runs:
        succeed(world.api, MOVEMENTS, run_id)
    assert {day: rows_lost(world, "movements", day) for day in days} == dict.fromkeys(days, 0)
    assert set(days) <= read_records(world.session, world.store, "movements").keys()
    assert tidy(world, "movements") == []
