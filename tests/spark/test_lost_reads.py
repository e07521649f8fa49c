"""Reading what a real Alluxio has lost: a clear error in seconds, by the monitor's marks and without them."""

from __future__ import annotations

import signal
import time
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import replace
from pathlib import Path
from typing import Any
from urllib.parse import urlsplit

import pytest
from logical_warehouse.losses import Held
from logical_warehouse.store_contents import held_in, remove_unreadable
from logical_warehouse.store_files import AlluxioFiles
from pyspark.sql import SparkSession
from warehouse.failures import PermanentError
from warehouse.held_files import FilesLost, MetadataLost
from warehouse.iceberg_api import load_existing_table
from warehouse.jvm import jvm_of
from warehouse.lost_marks import BeingRepaired, LostForGood, LostMark, LostMarks, marks_path
from warehouse.publish import data_files
from warehouse.reading import read_again, read_as_of, read_input, read_latest
from warehouse.snapshot_record import SnapshotRecord
from warehouse.spark_conf import spark_conf
from warehouse.spec_json import to_json
from warehouse.store_failures import StoreDataLost, StoreUnreachable
from warehouse.store_files import write_text
from warehouse.store_spec import StoreSpec
from warehouse.train_spec import InputSpec

from local_stack.alluxio import Alluxio
from local_stack.ports import Ports
from tests.spark.conftest import ALLUXIO_MEMORY, MEMORY_ONLY
from tests.spark.databases import PostgresDatabase
from tests.spark.runs import Runs

DAYS = ["2013-06-01", "2013-06-02", "2013-06-03"]
SECONDS = 3.0
"""Within which a reader learns of a loss of which Alluxio's master knows."""


@pytest.fixture(scope="module")
def losing(scratch: Path) -> Iterator[Alluxio]:
    """An Alluxio of its own, which loses what its tests take from it."""
    servers = Alluxio(scratch / "losing", Ports.free(), ALLUXIO_MEMORY)
    try:
        servers.start()
        yield servers
    finally:
        servers.stop()


@pytest.fixture
def losing_runs(losing: Alluxio, session: SparkSession, database: PostgresDatabase, tmp_path: Path) -> Runs:
    store = StoreSpec(losing.uri, catalog="losing", namespace=tmp_path.name, memory_only=MEMORY_ONLY)
    for name, value in spark_conf(store, scratch_dir="").items():
        if name.startswith("spark.sql.catalog.losing"):
            session.conf.set(name, value)
    return Runs(session, store, database)


def kill_worker(servers: Alluxio) -> None:
    servers.services["worker"].stop(stop_signal=signal.SIGKILL)


def blocks_of(runs: Runs, as_of: str) -> list[str]:
    """Names of the files in which the worker keeps the data of an interval."""
    table = load_existing_table(runs.session, runs.store, "events")
    files = data_files(runs.session, table, int(table.currentSnapshot().snapshotId()), as_of)
    return blocks_of_files(runs, [str(file.location()) for file in files])


def blocks_of_files(runs: Runs, uris: list[str]) -> list[str]:
    java_path = jvm_of(runs.session).org.apache.hadoop.fs.Path
    found = []
    for path in map(java_path, uris):
        status = path.getFileSystem(runs.session._jsc.hadoopConfiguration()).getFileStatus(path).getUriStatus()
        found += [str(block) for block in status.getBlockIds()]
    return found


def lose(servers: Alluxio, blocks: list[str] | None) -> None:
    """The worker dies, and what is started in its place finds all blocks but these, or none."""
    kill_worker(servers)
    lost = [path for path in servers.blocks().rglob("*") if path.is_file() and (blocks is None or path.name in blocks)]
    assert lost
    for path in lost:
        path.unlink()
    servers.start()


def mark(runs: Runs, record: SnapshotRecord, *, under_way: bool, remedy: str) -> None:
    one = LostMark(record.as_of, record.published_at, "2013-06-05T00:15:00Z", remedy, under_way, record.end)
    path = marks_path(runs.store.uri, runs.store.namespace, record.table)
    write_text(runs.session, path, to_json(LostMarks(record.table, (one,))))


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
    assert held == Held({day: starts[day] for day in (DAYS[0], DAYS[2])}, {DAYS[1]: starts[DAYS[1]]}, "")

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
    assert held_in(files, folder, "events") == Held(starts, {}, "")


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
