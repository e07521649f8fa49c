"""What the benchmarks run on: a PostgreSQL, an Alluxio and a scratch folder of their own, all in shared memory."""

from __future__ import annotations

import shutil
import tempfile
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass, field
from functools import cached_property
from pathlib import Path

from warehouse.store_spec import StoreSpec

from bench import lineitem
from bench.submit import SparkSubmit
from local_stack.alluxio import Alluxio
from local_stack.jars import ensure_jars
from local_stack.ports import Ports
from local_stack.postgres import PostgresServer

SHARED_MEMORY = Path("/dev/shm")  # noqa: S108 - the point of the project
CONNECTIONS = 2
"""Connections to the source that every side may use at once."""

# A snapshot and the copies of the other sides stand beside each other for a while.
STORE_BYTES_AT_SCALE_1 = 3 << 30
STORE_BYTES_AT_LEAST = 1 << 30


@dataclass(frozen=True)
class Options:
    """``scale``: of TPC-H, 1 is 6 million rows. ``runs``: of every side."""

    scale: float
    runs: int


@dataclass
class Stage:
    """Started on first use, so that a benchmark that needs no source starts none."""

    options: Options
    scratch: Path
    ports: Ports
    _to_stop: list[PostgresServer | Alluxio] = field(default_factory=list)

    @cached_property
    def source(self) -> PostgresServer:
        """A server with ``lineitem`` at the scale and ``lineitem_tenth`` at a tenth of it."""
        server = PostgresServer("bench", self.scratch, self.ports.source)
        self._to_stop.append(server)
        server.start()
        lineitem.load(server, "lineitem", self.options.scale, self.scratch)
        lineitem.load(server, "lineitem_tenth", self.options.scale / 10, self.scratch)
        return server

    @cached_property
    def alluxio(self) -> Alluxio:
        """A cluster of one worker."""
        memory = max(STORE_BYTES_AT_LEAST, int(STORE_BYTES_AT_SCALE_1 * self.options.scale))
        cluster = Alluxio(self.scratch / "alluxio", self.ports, memory)
        self._to_stop.append(cluster)
        cluster.start()
        return cluster

    @property
    def store(self) -> StoreSpec:
        """The store on Alluxio."""
        return StoreSpec(self.alluxio.uri)

    @property
    def local(self) -> Path:
        """Folder on tmpfs for Parquet of the sides without a store."""
        folder = self.scratch / "local"
        folder.mkdir(exist_ok=True)
        return folder

    @cached_property
    def spark(self) -> SparkSubmit:
        """spark-submit with the properties of this project's jobs."""
        return SparkSubmit(self.store, ensure_jars("spark"), self.scratch)

    def stop(self) -> None:
        """End what was started, also what failed to."""
        for server in self._to_stop:
            server.stop()


@contextmanager
def open_stage(options: Options) -> Iterator[Stage]:
    """A stage whose servers and files are gone when the block ends."""
    scratch = Path(tempfile.mkdtemp(prefix="logical-warehouse-bench-", dir=SHARED_MEMORY))
    # PostgreSQL runs under another account where we are root, and must reach its data.
    scratch.chmod(0o711)
    stage = Stage(options, scratch, Ports.free())
    try:
        yield stage
    finally:
        stage.stop()
        shutil.rmtree(scratch, ignore_errors=True)
