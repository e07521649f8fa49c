"""A Spark application as a process of its own, with the project's properties: run to its end, or watched and killed."""

from __future__ import annotations

import os
import signal
import subprocess
import sys
from collections.abc import Iterator, Mapping
from contextlib import contextmanager, suppress
from dataclasses import dataclass, field
from pathlib import Path

from warehouse.spark_conf import spark_conf
from warehouse.store_spec import StoreSpec

from local_stack.jars import ensure_jars
from local_stack.processes import wait_for

ROOT = Path(__file__).parents[2]
SUPPORT = Path(__file__).parent
IN_CLEAR = {
    "spark.sql.iceberg.compression-codec": "uncompressed",
    "spark.sql.parquet.compression.codec": "uncompressed",
    "spark.shuffle.compress": "false",
    "spark.shuffle.spill.compress": "false",
    "spark.broadcast.compress": "false",
    "spark.eventLog.compress": "false",
}
"""Compression hides a value from a search."""
TINY_MEMORY = {"spark.testing.reservedMemory": str(64 << 20), "spark.memory.fraction": "0.05"}
"""Some 20 MB for sorting and caching, in a heap that is large enough for all else."""


@dataclass(frozen=True)
class Application:
    """A spark-submit in local mode.

    :param scratch: Spark's folder, and that of the process's output; removed by the caller.
    :param conf: over the project's properties.
    :param java_options: after the project's.
    """

    file: Path
    arguments: tuple[str, ...]
    store: StoreSpec
    scratch: Path
    conf: Mapping[str, str] = field(default_factory=dict)
    java_options: str = ""

    @property
    def output(self) -> Path:
        """Standard output and error."""
        return self.scratch / "output"

    def run(self, timeout: float = 120) -> int:
        """Run it to its end; the exit code."""
        process = self._start()
        try:
            return process.wait(timeout)
        finally:
            _kill(process)

    @contextmanager
    def running(self, until: str, timeout: float = 120) -> Iterator[list[str]]:
        """Start it, wait for a line of output that begins with the word ``until``, and give the words after it.

        It dies by SIGKILL when the block ends.
        """
        process = self._start()
        try:
            said: list[str] = []

            def has_spoken() -> bool:
                lines = self.output.read_text(errors="replace").splitlines()
                said[:] = [line for line in lines if line.startswith(f"{until} ")]
                return bool(said) or process.poll() is not None

            wait_for(has_spoken, f"a line of {self.file.name}", timeout=timeout)
            assert said and process.poll() is None, self.output.read_text(errors="replace")[-3000:]
            yield said[0].split()[1:]
        finally:
            _kill(process)

    def _start(self) -> subprocess.Popen[bytes]:
        properties = spark_conf(self.store, scratch_dir=str(self.scratch), small=True) | IN_CLEAR | dict(self.conf)
        properties["spark.driver.extraJavaOptions"] += f" {self.java_options}"
        command = [str(Path(sys.executable).with_name("spark-submit")), "--master", "local[2]"]
        command += ["--driver-memory", "512m", "--driver-class-path", f"{ensure_jars('spark')}/*"]
        command += [part for name, value in properties.items() for part in ("--conf", f"{name}={value}")]
        kept = {
            name: value for name, value in os.environ.items() if not name.startswith(("PYSPARK", "PYTHON", "SPARK"))
        }
        paths = {"PATH": f"{Path(sys.executable).parent}:{os.environ['PATH']}", "PYTHONPATH": str(ROOT / "spark_jobs")}
        with self.output.open("wb") as output:
            return subprocess.Popen(
                [*command, str(self.file), *self.arguments],
                env=kept | paths, cwd=self.scratch, stdout=output, stderr=subprocess.STDOUT, start_new_session=True,
            )  # fmt: skip


def _kill(process: subprocess.Popen[bytes]) -> None:
    with suppress(ProcessLookupError):  # it has ended, and all that it started
        os.killpg(process.pid, signal.SIGKILL)
    process.wait()
