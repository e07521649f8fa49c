"""Intervals captured again: those that differ are published again, and nothing else happens to any other."""

from __future__ import annotations

import random
from concurrent.futures import ThreadPoolExecutor
from dataclasses import replace
from datetime import date, timedelta

import pytest
from warehouse.reading import read_as_of
from warehouse.snapshot_record import SnapshotRecord
from warehouse.table_spec import ChecksSpec, HistorySpec, RetentionSpec, TableSpec
from warehouse.validate_spec import PublishedTable
from warehouse.validation_failures import CheckFailed

from tests.spark.runs import Runs, interval

FIRST = date(2013, 6, 1)
DAYS = [str(FIRST + timedelta(days=number)) for number in range(5)]


def before(day: str, days: int) -> list[str]:
    """The days before ``day``, from the table's first on."""
    found = (date.fromisoformat(day) - timedelta(days=number) for number in range(days, 0, -1))
    return [str(one) for one in found if one >= FIRST]


def table(runs: Runs, day: str, lookback: int, checks: ChecksSpec | None = None) -> TableSpec:
    """As `check` freezes it for the run of ``day``."""
    history = HistorySpec("interval", "at", lookback=lookback)
    earlier = tuple(interval(one) for one in before(day, lookback))
    return replace(runs.table(history=history, checks=checks), earlier=earlier)


def run(runs: Runs, day: str, lookback: int, *, name: str = "") -> tuple[PublishedTable, ...]:
    spec = table(runs, day, lookback)
    captured = runs.snapshot([spec], day, run=name)
    return runs.validate([spec], day, captured, run=name).published


def in_source(runs: Runs, day: str) -> list[int]:
    return [row[0] for row in runs.database.run(f"SELECT id FROM events WHERE at::date = '{day}' ORDER BY id")]


def in_store(runs: Runs, day: str) -> list[int]:
    rows = read_as_of(runs.session, runs.store, "events", day, window=1).select("id").collect()
    return sorted(row.id for row in rows)


def test_what_changed_is_published_again_and_nothing_else(tmpfs_runs: Runs, capsys: pytest.CaptureFixture[str]) -> None:
    runs = tmpfs_runs
    runs.events(DAYS)
    for day in (DAYS[0], DAYS[1], DAYS[3]):
        run(runs, day, 0)
    before_it = runs.records()
    runs.database.run(
        f"DELETE FROM events WHERE id = 15; INSERT INTO events VALUES (900, '{DAYS[0]} 12:00+00', 1, 'too late')"
    )
    capsys.readouterr()
    published = run(runs, DAYS[4], 3)

    # 3 June was never captured and stays missing, 1 June lies before the three, 4 June is as it was.
    assert [(one.record.as_of, one.again) for one in published] == [(DAYS[1], True), (DAYS[4], False)]
    assert list(runs.records()) == [DAYS[0], DAYS[1], DAYS[3], DAYS[4]]
    assert {day: record for day, record in runs.records().items() if day in (DAYS[0], DAYS[3])} == {
        day: before_it[day] for day in (DAYS[0], DAYS[3])
    }
    assert published[1].record.run_id == published[0].record.run_id == f"run {DAYS[4]}"
    assert (published[0].record.rows, runs.records()[DAYS[1]]) == (9, published[0].record)
    # What was written for nothing is gone from memory, too: 4 June.
    assert runs.data_files() == runs.live_files()
    assert in_store(runs, DAYS[1]) == [*range(10, 15), *range(16, 20)]
    assert in_store(runs, DAYS[0]) == list(range(10))
    assert not [name for name in runs.references() if name.startswith("run_")]
    printed = capsys.readouterr().out
    assert "events: captured again and left as published: 2013-06-04" in printed
    assert [line.split()[:2] for line in printed.splitlines() if line.endswith("published again")] == [
        ["events", DAYS[1]]
    ]


def test_dates_in_random_order_while_rows_still_change(tmpfs_runs: Runs) -> None:
    """Each date holds what the source had when a run last captured it, whether or not that was its own run."""
    seed = random.randrange(10**6)
    print(f"seed {seed}")
    chance = random.Random(seed)
    runs = tmpfs_runs
    runs.events(DAYS)
    expected: dict[str, list[int]] = {}
    for step, day in enumerate([*chance.sample(DAYS, len(DAYS)), *chance.sample(DAYS, 2)]):
        changed = chance.choice(DAYS)
        runs.database.run(
            f"DELETE FROM events WHERE id = (SELECT min(id) FROM events WHERE at::date = '{chance.choice(DAYS)}');"
            f"INSERT INTO events VALUES ({1000 + step}, '{changed} 23:59:59+00', {step}, 'later')"
        )
        again = [one for one in before(day, 2) if one in expected]
        differ = [one for one in again if in_source(runs, one) != expected[one]]
        published = run(runs, day, 2, name=f"step {step}")
        assert [one.record.as_of for one in published] == [*differ, day], (step, day)
        expected |= {one: in_source(runs, one) for one in (day, *again)}
        assert {one: in_store(runs, one) for one in expected} == expected


def test_a_retry_adopts_what_was_published_and_finds_the_rest_unchanged(tmpfs_runs: Runs) -> None:
    runs = tmpfs_runs
    runs.events(DAYS)
    for day in DAYS[:3]:
        run(runs, day, 0)
    runs.database.run("DELETE FROM events WHERE id = 15")
    spec = table(runs, DAYS[3], 3)
    captured = runs.snapshot([spec], DAYS[3])
    assert [one.again and one.again.as_of for one in captured.captures] == [None, *DAYS[:3]]
    first = runs.validate([spec], DAYS[3], captured).published
    second = runs.validate([spec], DAYS[3], captured, attempt=2).published

    assert [(one.record.as_of, one.adopted) for one in first] == [(DAYS[1], False), (DAYS[3], False)]
    assert [(one.record.as_of, one.adopted, one.again) for one in second] == [
        (DAYS[1], True, True),
        (DAYS[3], True, False),
    ]
    assert [one.record for one in second] == [one.record for one in first]


def test_a_later_try_of_the_snapshot_leaves_no_branch_of_the_earlier_one(tmpfs_runs: Runs) -> None:
    runs = tmpfs_runs
    runs.events(DAYS)
    for day in DAYS[:2]:
        run(runs, day, 0)
    spec = table(runs, DAYS[2], 2)
    runs.snapshot([spec], DAYS[2])
    captured = runs.snapshot([spec], DAYS[2], attempt=2)
    branches = {name for name in runs.references() if name.startswith("run_")}
    assert branches == {one.branch for one in captured.captures} and len(branches) == 3


def test_two_runs_capture_the_same_date_again(runs: Runs) -> None:
    """The later state of the source stays, whichever run publishes last."""
    runs.events(DAYS)
    run(runs, DAYS[1], 0)
    specs = {day: table(runs, day, lookback) for day, lookback in ((DAYS[2], 1), (DAYS[3], 2))}
    runs.database.run("DELETE FROM events WHERE id = 15")
    early = runs.snapshot([specs[DAYS[2]]], DAYS[2])
    runs.database.run("DELETE FROM events WHERE id = 16")
    late = runs.snapshot([specs[DAYS[3]]], DAYS[3])
    assert [one.again and one.again.as_of for one in late.captures] == [None, DAYS[1]]

    (again, _) = runs.validate([specs[DAYS[3]]], DAYS[3], late).published
    (own,) = runs.validate([specs[DAYS[2]]], DAYS[2], early).published
    assert (own.record.as_of, again.record.as_of) == (DAYS[2], DAYS[1])
    assert in_store(runs, DAYS[1]) == [*range(10, 15), 17, 18, 19]
    assert runs.records()[DAYS[1]] == again.record

    # And at the same time.
    runs.database.run("DELETE FROM events WHERE id = 17")
    captured = {day: runs.snapshot([spec], day, run=f"again {day}") for day, spec in specs.items()}
    with ThreadPoolExecutor(2) as pool:
        validating = [
            pool.submit(runs.validate, [spec], day, captured[day], run=f"again {day}") for day, spec in specs.items()
        ]
        results = [one.result() for one in validating]
    newest: SnapshotRecord = runs.records()[DAYS[1]]
    assert in_store(runs, DAYS[1]) == [*range(10, 15), 18, 19]
    emitted = [one.record for result in results for one in result.published if one.record.as_of == DAYS[1]]
    assert newest in emitted
    assert not [name for name in runs.references() if name.startswith("run_")]


def test_a_date_that_retention_ended_does_not_come_back(tmpfs_runs: Runs) -> None:
    runs = tmpfs_runs
    runs.events(DAYS)
    for day in DAYS[:3]:
        run(runs, day, 0)
    spec = table(runs, DAYS[3], 3)
    captured = runs.snapshot([spec], DAYS[3])
    runs.database.run("UPDATE events SET note = 'changed'")
    # Between the capture and its validation another run ends the two oldest dates.
    keep = runs.table(retention=RetentionSpec(keep=2))
    assert runs.publish(keep, DAYS[3], run="other").expired == tuple(DAYS[:2])
    assert list(runs.records()) == [DAYS[2], DAYS[3]]
    runs.validate([spec], DAYS[3], captured)
    assert list(runs.records()) == [DAYS[2], DAYS[3]]


def test_a_check_that_no_longer_holds_for_an_earlier_date_publishes_nothing(tmpfs_runs: Runs) -> None:
    runs = tmpfs_runs
    runs.events(DAYS)
    run(runs, DAYS[0], 0)
    runs.database.run("UPDATE events SET amount = -1 WHERE id = 3")
    spec = table(runs, DAYS[1], 1, ChecksSpec(rows={"positive": "amount >= 0"}))
    captured = runs.snapshot([spec], DAYS[1])
    with pytest.raises(CheckFailed, match="events as of 2013-06-01: check 'positive' does not hold for 1 of 10"):
        runs.validate([spec], DAYS[1], captured)
    assert list(runs.records()) == [DAYS[0]]
