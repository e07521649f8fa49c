"""Copies of every file on several workers: written at once, made again when a worker is lost, and seen to."""

from __future__ import annotations

import shutil
import signal
from collections.abc import Iterator, Sequence
from contextlib import contextmanager
from dataclasses import replace
from pathlib import Path
from urllib.parse import urlsplit

import pytest
from logical_warehouse.store_files import AlluxioFiles
from logical_warehouse.store_health import ask_alluxio
from pyspark.sql import SparkSession
from warehouse.copies import CopiesMissing, ensure_copies
from warehouse.failures import RetryableError
from warehouse.jvm import jvm_of
from warehouse.reading import read_as_of
from warehouse.store_directory import FilePlace, _client, file_places, prepare_store
from warehouse.store_failures import StoreUnreachable, TooFewWorkers
from warehouse.store_spec import StoreSpec

from local_stack.alluxio import Alluxio
from local_stack.ports import JobPorts, Ports
from local_stack.processes import wait_for
from tests.spark.conftest import MEMORY_ONLY
from tests.spark.databases import PostgresDatabase
from tests.spark.runs import Runs, add_catalog

DAYS = ["2013-06-01", "2013-06-02", "2013-06-03", "2013-06-04"]
REPLICATION = "alluxio.user.file.replication.min"
QUICK = {
    "alluxio.master.worker.timeout": "15sec",
    "alluxio.master.lost.worker.detection.interval": "1sec",
    # Seldom enough to meet hardly any file that is being written: that would be tried once, and never again.
    "alluxio.master.replication.check.interval": "15sec",
}
WORKER_LIST = "alluxio.user.worker.list.refresh.interval"


@contextmanager
def running(folder: Path, workers: int) -> Iterator[Alluxio]:
    """Workers and the job service."""
    servers = Alluxio(folder, Ports.free(), 256 << 20, QUICK, workers=workers, job_ports=JobPorts.free())
    try:
        servers.start()
        yield servers
    finally:
        servers.stop()


@pytest.fixture
def pair(scratch: Path) -> Iterator[Alluxio]:
    with running(scratch / "pair", workers=2) as servers:
        yield servers


@pytest.fixture(scope="module")
def cluster(scratch: Path) -> Iterator[Alluxio]:
    with running(scratch / "cluster", workers=3) as servers:
        yield servers


@contextmanager
def copying(servers: Alluxio, session: SparkSession, database: PostgresDatabase) -> Iterator[Runs]:
    """Runs that keep every file twice."""
    store = StoreSpec(servers.uri, catalog=servers.state.name, memory_only=MEMORY_ONLY, replication=2)
    conf = add_catalog(session, store)
    # The other stores' clients are there already, with what they were made with.
    hadoop = session._jsc.hadoopConfiguration()
    hadoop.set(REPLICATION, conf[f"spark.hadoop.{REPLICATION}"])
    # A job of its own has a driver of its own, which asks for the workers anew.
    hadoop.set(WORKER_LIST, "1sec")
    yield Runs(session, store, database)
    hadoop.unset(REPLICATION)
    hadoop.unset(WORKER_LIST)


@pytest.fixture
def paired_runs(pair: Alluxio, session: SparkSession, database: PostgresDatabase) -> Iterator[Runs]:
    with copying(pair, session, database) as runs:
        yield runs


@pytest.fixture
def copied_runs(cluster: Alluxio, session: SparkSession, database: PostgresDatabase) -> Iterator[Runs]:
    with copying(cluster, session, database) as runs:
        yield runs


def lose_host(servers: Alluxio, number: int) -> None:
    """The last worker, its job worker and its memory."""
    for name in (f"worker-{number}", f"job-worker-{number}"):
        servers.services[name].stop(stop_signal=signal.SIGKILL)
    shutil.rmtree(servers.blocks(f"worker-{number}"))
    wait_for(
        lambda: len(servers.master_info()["workers"]) == number - 1,
        "the master to notice", timeout=60, services=[servers.services["master"]],
    )  # fmt: skip


def places(runs: Runs) -> list[FilePlace]:
    """Of every file of the tables, Iceberg's own too."""
    paths = [path for table in ("events", "plates") for path in runs.files(table)]
    assert any(path.endswith("version-hint.text") for path in paths)
    return file_places(runs.session, runs.store, paths) or []


def ensure_all_read(runs: Runs, days: Sequence[str]) -> None:
    for number, day in enumerate(days):
        rows = read_as_of(runs.session, runs.store, "events", day)
        assert sorted(row.id for row in rows.collect()) == list(range(10 * (number + 1)))
        assert [row.id for row in read_as_of(runs.session, runs.store, "plates", day).collect()] == [1, 2]


def test_a_snapshot_has_its_copies_and_outlives_a_worker(pair: Alluxio, paired_runs: Runs) -> None:
    runs = paired_runs
    runs.events(DAYS[:1])
    runs.database.run("CREATE TABLE plates AS SELECT generate_series(1, 2)::bigint AS id")
    runs.publish(runs.table(), DAYS[0])
    runs.publish(runs.table("plates", mode="current"), DAYS[0])
    before = places(runs)
    assert {(place.percent, place.copies, place.pinned) for place in before} == {(100, 2, True)}

    lose_host(pair, 2)
    ensure_all_read(runs, DAYS[:1])
    with pytest.raises(CopiesMissing, match=r"file\(s\) do not have the 2 copies .* Alluxio has 1 live worker\(s\)"):
        ensure_copies(runs.session, runs.store, "events", DAYS[0], [place.path for place in before], wait_seconds=0)
    with pytest.raises((TooFewWorkers, StoreUnreachable)):
        runs.publish(runs.table(), DAYS[0], run="again")
    ensure_all_read(runs, DAYS[:1])


@pytest.mark.long
def test_every_snapshot_outlives_a_worker_and_then_another(cluster: Alluxio, copied_runs: Runs) -> None:
    runs = copied_runs
    assert ask_alluxio(cluster.uri, cluster.web, replication=3).workers == 3
    with pytest.raises(RetryableError, match=r"live workers on 3 host\(s\) \(127\.0\.0\.1, .*asks for 4 copies"):
        ask_alluxio(cluster.uri, cluster.web, replication=4)
    runs.events(DAYS)
    runs.database.run("CREATE TABLE plates AS SELECT generate_series(1, 2)::bigint AS id")
    for day in DAYS[:3]:
        runs.publish(runs.table(), day)
        runs.publish(runs.table("plates", mode="current"), day)
    before = places(runs)
    assert {(place.percent, place.copies, place.pinned) for place in before} == {(100, 2, True)}

    lose_host(cluster, 3)
    ensure_all_read(runs, DAYS[:3])
    ensure_copies(runs.session, runs.store, "events", DAYS[2], [place.path for place in before])
    assert {place.copies for place in places(runs)} == {2}
    assert runs.publish(runs.table(), DAYS[3]).record.in_memory in (True, None)

    lose_host(cluster, 2)
    ensure_all_read(runs, DAYS[:3])
    with pytest.raises(CopiesMissing, match=r"file\(s\) do not have the 2 copies .* Alluxio has 1 live worker\(s\)"):
        ensure_copies(runs.session, runs.store, "events", DAYS[2], [before[0].path], wait_seconds=0)
    with pytest.raises((TooFewWorkers, StoreUnreachable)):
        runs.publish(runs.table(), DAYS[3], run="again")
    ensure_all_read(runs, DAYS[:3])
    cluster.start()
    assert runs.publish(runs.table(), DAYS[3], run="later").record.rows == 10


@pytest.mark.long
def test_what_the_job_service_has_unpinned_is_pinned_again(cluster: Alluxio, copied_runs: Runs) -> None:
    """It does that to a file that it has failed to copy, which then may be evicted."""
    cluster.start()
    runs = replace(copied_runs, store=replace(copied_runs.store, namespace="unpinned"))
    runs.events(DAYS[:1])
    runs.publish(runs.table(), DAYS[0])
    paths = list(runs.files())

    def pinned() -> set[bool]:
        return {place.pinned for place in file_places(runs.session, runs.store, paths) or []}

    def unpin() -> None:
        alluxio = jvm_of(runs.session).alluxio
        off = alluxio.grpc.SetAttributePOptions.newBuilder().setPinned(False).setReplicationMin(0).build()
        with _client(runs.session, runs.store) as client:
            for path in paths:
                client.setAttribute(alluxio.AlluxioURI(urlsplit(path).path), off)

    unpin()
    assert pinned() == {False}
    ensure_copies(runs.session, runs.store, "events", DAYS[0], paths)
    assert pinned() == {True}
    # Of a file that was there before copies were asked for, too.
    left = AlluxioFiles(cluster.web, cluster.s3)
    left.write("/warehouse/old/file", b"contents")
    (old,) = file_places(runs.session, runs.store, [f"{cluster.uri}/old/file"]) or []
    assert old.copies == 1
    unpin()
    prepare_store(runs.session, runs.store)
    assert pinned() == {True}
    ensure_copies(runs.session, runs.store, "old", DAYS[0], [old.path])
