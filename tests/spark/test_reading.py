"""Reading as of a date: exact rows whatever was published since, and errors that name what is missing."""

from __future__ import annotations

import os
import subprocess
import sys
from dataclasses import asdict, replace
from pathlib import Path

import pytest
import warehouse
from pyspark.sql import DataFrame
from warehouse.capture import snapshot_tables
from warehouse.coverage import MissingIntervals, NoSuchSnapshot, NotWholeStates, WindowOfStates
from warehouse.reading import (
    InputExpired,
    LateSnapshot,
    UnknownTable,
    read_again,
    read_as_of,
    read_input,
    read_latest,
)
from warehouse.table_spec import RetentionSpec
from warehouse.train_spec import InputSpec

from local_stack.jars import ensure_jars
from tests.spark.runs import Runs

DAYS = ["2013-06-01", "2013-06-02", "2013-06-03", "2013-06-04"]
LATE_ENOUGH = 100 * 366 * 86_400


def ids(frame: DataFrame) -> list[int]:
    return sorted(row.id for row in frame.select("id").collect())


def states(runs: Runs, days: list[str]) -> None:
    """Table ``plates`` with history ``current``: on the n-th day it has the rows 0 to n."""
    runs.database.run("CREATE TABLE plates (id bigint)")
    for number, day in enumerate(days):
        runs.database.run(f"INSERT INTO plates VALUES ({number})")
        runs.publish(runs.table("plates", mode="current", lateness_seconds=LATE_ENOUGH), day)


def test_interval_table_up_to_the_date_also_after_later_days(runs: Runs) -> None:
    runs.events(DAYS)
    table = runs.table()
    for day in (DAYS[1], DAYS[0]):
        runs.publish(table, day)
    before = ids(read_as_of(runs.session, runs.store, "events", DAYS[1]))
    for day in DAYS[2:]:
        runs.publish(table, day)

    frame = read_as_of(runs.session, runs.store, "events", DAYS[1])
    assert ids(frame) == before == list(range(20))
    assert frame.columns == ["id", "at", "amount", "note"]
    assert ids(read_as_of(runs.session, runs.store, "events", DAYS[2], window=1)) == list(range(20, 30))
    assert ids(read_latest(runs.session, runs.store, "events")) == list(range(40))
    source = runs.database.run("SELECT id, amount::text, note FROM events WHERE at < '2013-06-03 00:00+00' ORDER BY id")
    stored = frame.selectExpr("id", "cast(amount as string)", "note").orderBy("id").collect()
    assert [tuple(row) for row in stored] == source


def test_the_lines_that_people_type(tmpfs_runs: Runs) -> None:
    runs = tmpfs_runs
    runs.events(DAYS[:3])
    for day in DAYS[:3]:
        runs.publish(runs.table(), day)
    lines = f"""
from warehouse.interactive import open_warehouse
from warehouse.reading import read_as_of
from warehouse.store_spec import StoreSpec
store = StoreSpec({runs.store.uri!r}, namespace={runs.store.namespace!r}, memory_only={runs.store.memory_only})
spark = open_warehouse(store, jars={str(ensure_jars("spark"))!r})
print("rows", read_as_of(spark, store, "events", "2013-06-02").count())
"""
    environment = os.environ | {"PYTHONPATH": str(Path(warehouse.__file__).parents[1])}
    environment.pop("PYSPARK_SUBMIT_ARGS", None)
    typed = subprocess.run([sys.executable, "-c", lines], env=environment, capture_output=True, text=True, check=False)
    assert "rows 20" in typed.stdout, typed.stderr


def test_a_frame_keeps_its_rows_while_the_interval_is_published_again(runs: Runs) -> None:
    runs.events(DAYS[:1])
    runs.publish(runs.table(), DAYS[0])
    frame = read_as_of(runs.session, runs.store, "events", DAYS[0])
    runs.database.run("DELETE FROM events WHERE id < 5")
    runs.publish(runs.table(), DAYS[0], run="again")

    assert ids(frame) == list(range(10))
    assert ids(read_as_of(runs.session, runs.store, "events", DAYS[0])) == list(range(5, 10))


def test_an_empty_interval_is_not_a_gap(tmpfs_runs: Runs) -> None:
    tmpfs_runs.events([DAYS[0], DAYS[2]])
    for day in DAYS[:3]:
        tmpfs_runs.publish(tmpfs_runs.table(), day)
    assert ids(read_as_of(tmpfs_runs.session, tmpfs_runs.store, "events", DAYS[1])) == list(range(10))


def test_a_gap_is_named(tmpfs_runs: Runs) -> None:
    runs = tmpfs_runs
    runs.events(DAYS)
    for day in (DAYS[1], DAYS[3]):
        runs.publish(runs.table(), day)
    with pytest.raises(MissingIntervals) as failure:
        read_as_of(runs.session, runs.store, "events", DAYS[3])
    assert failure.value.missing == (DAYS[0], DAYS[2])
    with pytest.raises(MissingIntervals, match="lacks 2013-06-03"):
        read_as_of(runs.session, runs.store, "events", DAYS[3], window=2)
    assert ids(read_as_of(runs.session, runs.store, "events", DAYS[3], window=1)) == list(range(30, 40))


def test_what_retention_ended_is_no_gap_and_cannot_be_read(tmpfs_runs: Runs) -> None:
    runs = tmpfs_runs
    runs.events(DAYS)
    for day in DAYS:
        runs.publish(runs.table(retention=RetentionSpec(keep=2)), day)
    assert ids(read_as_of(runs.session, runs.store, "events", DAYS[3])) == list(range(20, 40))
    with pytest.raises(NoSuchSnapshot, match="retention ended what lies before it"):
        read_as_of(runs.session, runs.store, "events", DAYS[1])


def test_states_are_read_by_their_date(runs: Runs) -> None:
    states(runs, DAYS[:3])
    for number, day in enumerate(DAYS[:3]):
        assert ids(read_as_of(runs.session, runs.store, "plates", day)) == list(range(number + 1))
    assert ids(read_latest(runs.session, runs.store, "plates")) == [0, 1, 2]
    with pytest.raises(NoSuchSnapshot, match="2013-06-01 to 2013-06-03, 2013-06-03 is the nearest"):
        read_as_of(runs.session, runs.store, "plates", DAYS[3])
    with pytest.raises(WindowOfStates):
        read_as_of(runs.session, runs.store, "plates", DAYS[2], window=2)


def test_an_unknown_table_is_answered_with_those_that_exist(tmpfs_runs: Runs) -> None:
    runs = tmpfs_runs
    with pytest.raises(UnknownTable, match="has no table yet"):
        read_as_of(runs.session, runs.store, "event", DAYS[0])
    runs.events(DAYS[:1])
    runs.publish(runs.table(), DAYS[0])
    with pytest.raises(UnknownTable, match="which has events; did you mean 'events'"):
        read_as_of(runs.session, runs.store, "event", DAYS[0])


def test_an_input_says_exactly_what_was_read(tmpfs_runs: Runs) -> None:
    runs = tmpfs_runs
    runs.events(DAYS)
    for day in DAYS[:3]:
        runs.publish(runs.table(), day)
    frame, read = read_input(runs.session, runs.store, InputSpec("events", "window", 2), DAYS[2])
    head = runs.records()[DAYS[2]].iceberg_snapshot_id
    assert asdict(read) == {
        "table": "events",
        "mode": "window",
        "as_of": (DAYS[1], DAYS[2]),
        "iceberg_snapshot_id": head,
        "rows": 20,
        "late": (),
    }
    assert ids(frame) == list(range(10, 30))


def test_kept_inputs_are_read_again_row_for_row_and_others_expire(tmpfs_runs: Runs) -> None:
    runs = tmpfs_runs
    runs.events(DAYS[:1])
    runs.publish(runs.table(), DAYS[0])
    spec = InputSpec("events", "all")
    _, kept = read_input(runs.session, runs.store, spec, DAYS[0], keep_as="keep_late_2013-06-01")
    runs.database.run("DELETE FROM events WHERE id < 5")
    runs.publish(runs.table(), DAYS[0], run="second", grace=0)
    _, lost = read_input(runs.session, runs.store, spec, DAYS[0])
    trained_at = runs.records()[DAYS[0]].published_at
    # Twice: what a run replaces is let go by the next one.
    for run in ("third", "fourth"):
        runs.publish(runs.table(), DAYS[0], run=run, grace=0)

    assert ids(read_again(runs.session, runs.store, kept, trained_at=trained_at)) == list(range(10))
    with pytest.raises(InputExpired, match=r"captured anew since: 2013-06-01$"):
        read_again(runs.session, runs.store, lost, trained_at=trained_at)


def test_an_input_is_kept_under_its_name_once_more(tmpfs_runs: Runs) -> None:
    runs = tmpfs_runs
    runs.events(DAYS[:2])
    runs.publish(runs.table(), DAYS[0])
    spec = InputSpec("events", "latest")
    read_input(runs.session, runs.store, spec, DAYS[0], keep_as="keep_x")
    runs.publish(runs.table(), DAYS[1])
    frame, read = read_input(runs.session, runs.store, spec, DAYS[0], keep_as="keep_x")

    assert ids(runs.rows(tag="keep_x")) == ids(frame) == list(range(20))
    assert read.as_of == (DAYS[0], DAYS[1])


def test_the_newest_state_at_or_before_a_date(tmpfs_runs: Runs) -> None:
    runs = tmpfs_runs
    states(runs, [DAYS[0], DAYS[2]])
    for asked, known in ((DAYS[0], [0]), (DAYS[1], [0]), (DAYS[2], [0, 1]), ("2013-07-30", [0, 1])):
        assert ids(read_as_of(runs.session, runs.store, "plates", asked, at_or_before=True)) == known
    with pytest.raises(NoSuchSnapshot, match="2013-05-31: none had ended by then; of the 2 published"):
        read_as_of(runs.session, runs.store, "plates", "2013-05-31", at_or_before=True)
    spec = InputSpec("plates", "at_or_before")
    _, read = read_input(runs.session, runs.store, spec, DAYS[1], as_of_end="2013-06-03T00:00:00Z")
    assert read.as_of == (DAYS[0],)
    # The snapshot of 3 June is of the end of that day: a training of an hour of it cannot have known it.
    _, read = read_input(runs.session, runs.store, spec, DAYS[2], as_of_end="2013-06-03T13:00:00Z")
    assert read.as_of == (DAYS[0],)
    runs.events(DAYS[:1])
    runs.publish(runs.table(), DAYS[0])
    with pytest.raises(NotWholeStates, match="put together from intervals"):
        read_as_of(runs.session, runs.store, "events", DAYS[0], at_or_before=True)


def test_whoever_reads_a_late_snapshot_is_warned_each_time(tmpfs_runs: Runs) -> None:
    runs = tmpfs_runs
    runs.database.run("CREATE TABLE plates AS SELECT 1::bigint AS id")
    table = runs.table("plates", mode="current", lateness_seconds=3600)
    captured = snapshot_tables(runs.session, replace(runs.snapshot_job([table], DAYS[0]), capture_late=True))
    record = runs.validate([table], DAYS[0], captured).published[0].record
    assert record.late
    for _ in range(2):
        with pytest.warns(LateSnapshot, match="plates as of 2013-06-01 was captured late: it may hold") as warned:
            read_as_of(runs.session, runs.store, "plates", DAYS[0])
        assert [one.filename for one in warned] == [__file__]
    with pytest.warns(LateSnapshot):
        _, read = read_input(runs.session, runs.store, InputSpec("plates", "latest"), DAYS[3])
    assert read.late == (DAYS[0],)
    with pytest.warns(LateSnapshot) as warned:
        read_again(runs.session, runs.store, read, trained_at=record.published_at)
    assert [one.filename for one in warned] == [__file__]
