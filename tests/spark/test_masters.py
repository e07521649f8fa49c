"""A highly available Alluxio: three masters with one journal, of which the leader dies between two captures."""

from __future__ import annotations

import signal
import urllib.request
from collections.abc import Iterator
from pathlib import Path

import pytest
from logical_warehouse.store_files import AlluxioFiles
from logical_warehouse.store_health import ask_alluxio
from pyspark.sql import SparkSession
from warehouse.reading import read_as_of
from warehouse.store_spec import StoreSpec

from local_stack.alluxio import Alluxio
from local_stack.ports import Ports, free_port
from local_stack.processes import wait_for
from tests.spark.conftest import MEMORY_ONLY
from tests.spark.databases import PostgresDatabase
from tests.spark.runs import Runs, add_catalog

pytestmark = pytest.mark.long

DAYS = ["2013-06-01", "2013-06-02"]


@pytest.fixture(scope="module")
def cluster(scratch: Path) -> Iterator[Alluxio]:
    servers = Alluxio(
        scratch / "masters", Ports.free(), 256 << 20, masters=3, journal_ports=(free_port(), free_port(), free_port())
    )
    try:
        servers.start()
        yield servers
    finally:
        servers.stop()


@pytest.fixture
def runs(cluster: Alluxio, session: SparkSession, database: PostgresDatabase) -> Runs:
    store = StoreSpec(cluster.uri, catalog="led", memory_only=MEMORY_ONLY)
    add_catalog(session, store)
    found = Runs(session, store, database)
    found.events(DAYS)
    return found


def leader(cluster: Alluxio) -> str:
    """Name of the only master whose web server is on."""
    answering = []
    for name, url in zip(("master", "master-2", "master-3"), cluster.web.split(","), strict=True):
        try:
            urllib.request.urlopen(f"{url}/api/v1/master/info", timeout=5).close()
        except OSError:
            continue
        answering.append(name)
    (found,) = answering
    return found


def test_captures_and_reads_follow_the_leader(cluster: Alluxio, runs: Runs) -> None:
    assert ask_alluxio(cluster.uri, cluster.web).workers == 1
    runs.publish(runs.table(), DAYS[0])
    first = leader(cluster)
    cluster.services[first].stop(stop_signal=signal.SIGKILL)
    left = [service for name, service in cluster.services.items() if name != first]
    wait_for(cluster.is_healthy, "another leader, whom the worker has found", timeout=60, services=left)

    assert leader(cluster) != first
    assert read_as_of(runs.session, runs.store, "events", DAYS[0]).count() == 10
    assert runs.publish(runs.table(), DAYS[1]).record.rows == 10
    assert read_as_of(runs.session, runs.store, "events", DAYS[1]).count() == 20
    assert ask_alluxio(cluster.uri, cluster.web).workers == 1
    assert AlluxioFiles(cluster.web, cluster.s3).folders("/warehouse/snapshots") == ["events"]
