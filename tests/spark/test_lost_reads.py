"""Reading what a real Alluxio has lost: a clear error in seconds, by the monitor's marks and without them."""

from __future__ import annotations

import time
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import replace
from typing import Any
from urllib.parse import urlsplit

import pytest
from logical_warehouse.losses import Held
from logical_warehouse.store_contents import held_in, remove_unreadable
from logical_warehouse.store_files import AlluxioFiles
from warehouse.failures import PermanentError
from warehouse.held_files import FilesLost, MetadataLost
from warehouse.iceberg_api import load_existing_table
from warehouse.lost_marks import BeingRepaired, LostForGood
from warehouse.reading import read_again, read_as_of, read_input, read_latest
from warehouse.store_failures import StoreDataLost, StoreUnreachable
from warehouse.train_spec import InputSpec

from local_stack.alluxio import Alluxio
from tests.spark.losses import blocks_of, blocks_of_files, kill_worker, lose, mark
from tests.spark.runs import Runs

DAYS = ["2013-06-01", "2013-06-02", "2013-06-03"]
SECONDS = 3.0
"""Within which a reader learns of a loss of which Alluxio's master knows."""


@contextmanager
def within(seconds: float) -> Iterator[None]:
    started = time.monotonic()
    yield
    took = time.monotonic() - started
    print(f"failed after {took:.2f} s")
    assert took < seconds


def ids(frame: Any) -> list[int]:
    return sorted(row.id for row in frame.select("id").collect())


def test_a_lost_interval_is_told_at_once_and_the_others_are_read(losing: Alluxio, losing_runs: Runs) -> None:
    runs = losing_runs
    runs.events(DAYS)
    for day in DAYS:
        runs.publish(runs.table(), day)
    _, all_read = read_input(runs.session, runs.store, InputSpec("events", "all"), DAYS[2])
    lose(losing, blocks_of(runs, DAYS[1]))

    # What the monitor finds, by Iceberg's own files.
    files, folder = AlluxioFiles(losing.web, losing.s3), f"{urlsplit(runs.store.uri).path}/{runs.store.namespace}"
    starts = {day: record.start for day, record in runs.records().items()}
    held = held_in(files, folder, "events")
    assert held.whole == {day: starts[day] for day in (DAYS[0], DAYS[2])}
    assert held.broken == {DAYS[1]: starts[DAYS[1]]} and {part.as_of for part in held.parts} == {DAYS[1]}

    for day in DAYS[1:]:
        with within(SECONDS), pytest.raises(FilesLost, match=r"events as of 2013-06-02: the store \S+ lists \d file"):
            read_as_of(runs.session, runs.store, "events", day)
    with within(SECONDS), pytest.raises(FilesLost):
        read_again(runs.session, runs.store, all_read, trained_at="")
    assert ids(read_as_of(runs.session, runs.store, "events", DAYS[0])) == list(range(10))
    assert ids(read_as_of(runs.session, runs.store, "events", DAYS[2], window=1)) == list(range(20, 30))

    # What the monitor writes.
    lost = runs.records()[DAYS[1]]
    mark(runs, lost, under_way=True, remedy="a run of snapshot_events is capturing it again")
    with within(SECONDS), pytest.raises(BeingRepaired) as repaired:
        read_input(runs.session, runs.store, InputSpec("events", "all"), DAYS[2])
    assert str(repaired.value) == (
        "table events: the store has lost the snapshot as of 2013-06-02 (noticed 2013-06-05T00:15:00Z): a run of "
        "snapshot_events is capturing it again"
    )
    mark(runs, lost, under_way=False, remedy="the source no longer knows it")
    with within(SECONDS), pytest.raises(LostForGood, match="the source no longer knows it"):
        read_latest(runs.session, runs.store, "events")
    assert ids(read_as_of(runs.session, runs.store, "events", DAYS[0])) == list(range(10))

    # Published anew, before the monitor has looked again.
    runs.publish(runs.table(), DAYS[1], run="repair")
    assert ids(read_as_of(runs.session, runs.store, "events", DAYS[2])) == list(range(30))
    repaired_now = held_in(files, folder, "events")
    assert (repaired_now.whole, repaired_now.broken) == (starts, {})


@pytest.mark.long
def test_a_table_that_lost_what_lists_its_files_is_made_anew(losing: Alluxio, losing_runs: Runs) -> None:
    """Its metadata are there, and its rows: but nobody could find them, and no run could commit beside them."""
    runs = losing_runs
    runs.events(DAYS[:2])
    runs.publish(runs.table(), DAYS[0])
    table = load_existing_table(runs.session, runs.store, "events")
    lose(losing, blocks_of_files(runs, [str(table.currentSnapshot().manifestListLocation())]))
    files, folder = AlluxioFiles(losing.web, losing.s3), f"{urlsplit(runs.store.uri).path}/{runs.store.namespace}"
    assert held_in(files, folder, "events") == Held(unreadable=True)
    with pytest.raises((StoreDataLost, StoreUnreachable)):
        runs.publish(runs.table(), DAYS[1])
    remove_unreadable(files, folder, "events")
    for day in DAYS[:2]:
        runs.publish(runs.table(), day, run=f"repair {day}")
    assert ids(read_as_of(runs.session, runs.store, "events", DAYS[1])) == list(range(20))


def test_a_table_of_which_only_names_are_left(losing: Alluxio, losing_runs: Runs) -> None:
    runs = losing_runs
    runs.events(DAYS[:1])
    record = runs.publish(runs.table(), DAYS[0]).record
    lose(losing, None)
    with within(SECONDS), pytest.raises(MetadataLost, match="lists it and has lost its metadata"):
        read_as_of(runs.session, runs.store, "events", DAYS[0])
    mark(runs, record, under_way=True, remedy="a run of snapshot_events captures it again")
    left = AlluxioFiles(losing.web, losing.s3)
    folder = f"{urlsplit(runs.store.uri).path}/{runs.store.namespace}"
    for as_of in (DAYS[0], None):
        with within(SECONDS), pytest.raises(BeingRepaired, match=r"as of 2013-06-01 .* captures it again"):
            read_input(runs.session, runs.store, InputSpec("events", "all" if as_of else "latest"), DAYS[0])

    # What the monitor does about it.
    remove_unreadable(left, folder, "events")
    assert left.folders(folder) == []
    with within(SECONDS), pytest.raises(BeingRepaired):
        read_as_of(runs.session, runs.store, "events", DAYS[0])
    runs.publish(runs.table(), DAYS[0], run="repair")
    assert ids(read_as_of(runs.session, runs.store, "events", DAYS[0])) == list(range(10))
    before = left.in_memory(f"{folder}/events")
    with pytest.raises(PermanentError, match="in the store's memory, so it is not removed"):
        remove_unreadable(left, folder, "events")
    assert left.in_memory(f"{folder}/events") == before


def test_a_lost_date_is_not_passed_over_for_an_older_one(tmpfs_runs: Runs) -> None:
    """After its table was removed and captured again as far as history allowed."""
    runs = tmpfs_runs
    runs.database.run("CREATE TABLE plates AS SELECT 1::bigint AS id")
    record = runs.publish(runs.table("plates", mode="current"), DAYS[0]).record
    gone = replace(record, as_of=DAYS[1], end="2013-06-03T00:00:00Z")
    mark(runs, gone, under_way=False, remedy="the source no longer knows it")
    lost = pytest.raises(LostForGood, match=r"as of 2013-06-02 .*: the source no longer knows it$")
    with lost:
        read_latest(runs.session, runs.store, "plates")
    for asked in DAYS[1:]:
        with lost:
            read_as_of(runs.session, runs.store, "plates", asked, at_or_before=True)
    with lost:
        read_as_of(runs.session, runs.store, "plates", DAYS[1])
    spec = InputSpec("plates", "at_or_before")
    with lost:
        read_input(runs.session, runs.store, spec, DAYS[2], as_of_end="2013-06-03T12:00:00Z")
    for frame in (
        read_as_of(runs.session, runs.store, "plates", DAYS[0]),
        read_as_of(runs.session, runs.store, "plates", DAYS[0], at_or_before=True),
        read_input(runs.session, runs.store, spec, DAYS[1], as_of_end="2013-06-02T12:00:00Z")[0],
    ):
        assert ids(frame) == [1]


@pytest.mark.long
def test_a_worker_that_is_gone_is_noticed_within_the_clients_ten_seconds(losing: Alluxio, losing_runs: Runs) -> None:
    """For half a minute the master believes that its blocks are there."""
    runs = losing_runs
    runs.events(DAYS[:1])
    runs.publish(runs.table(), DAYS[0])
    frame = read_as_of(runs.session, runs.store, "events", DAYS[0])
    assert frame.count() == 10
    kill_worker(losing)
    try:
        with within(15), pytest.raises((StoreDataLost, StoreUnreachable)):
            read_as_of(runs.session, runs.store, "events", DAYS[0])
    finally:
        losing.start()
    assert frame.count() == 10
