"""Runs spark-submit and measures the whole of it: wall seconds and CPU seconds of all its processes."""

from __future__ import annotations

import json
import os
import resource
import subprocess
import sys
import tempfile
import time
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from warehouse.source_spec import PASSWORD_VARIABLE
from warehouse.spark_conf import LOCAL_ENVIRONMENT, spark_conf
from warehouse.store_spec import StoreSpec

ROOT = Path(__file__).resolve().parents[1]
RESULT = "RESULT "
"""A side prints its result as one line of JSON behind this."""

DRIVER_MEMORY = "2g"
ERROR_LINES = 30


@dataclass(frozen=True)
class Finished:
    """A spark-submit that ended well; ``result`` is what the application printed behind :data:`RESULT`."""

    result: dict[str, Any]
    wall_seconds: float
    cpu_seconds: float


@dataclass(frozen=True)
class SparkSubmit:
    """``local[2]`` with the project's properties unless told otherwise."""

    store: StoreSpec
    jars: Path
    scratch: Path

    def project_conf(self, *, small: bool = False, class_data_archive: Path | None = None) -> dict[str, str]:
        """The properties that this project's operators give their jobs."""
        folder = self.scratch / "spark"
        folder.mkdir(exist_ok=True)
        archive = None if class_data_archive is None else str(class_data_archive)
        return spark_conf(self.store, scratch_dir=str(folder), class_data_archive=archive, small=small)

    def run(
        self, script: str, argument: dict[str, Any] | None, conf: dict[str, str], *, password: str | None = None
    ) -> Finished:
        """Run ``bench/<script>`` with ``argument`` as JSON.

        :raises RuntimeError: it failed; the message ends with what it printed last.
        """
        command = [str(Path(sys.executable).with_name("spark-submit")), "--master", "local[2]"]
        command += ["--driver-memory", DRIVER_MEMORY, "--driver-class-path", f"{self.jars}/*"]
        for name, value in conf.items():
            command += ["--conf", f"{name}={value}"]
        command += [str(ROOT / "bench" / script), json.dumps(argument)]
        environment = {name: value for name, value in os.environ.items() if not name.startswith("SPARK_")}
        environment |= {
            "PYTHONPATH": f"{ROOT / 'spark_jobs'}:{ROOT}",
            "PYSPARK_PYTHON": sys.executable,
            PASSWORD_VARIABLE: password or "",
        } | LOCAL_ENVIRONMENT
        before, started = resource.getrusage(resource.RUSAGE_CHILDREN), time.monotonic()
        with tempfile.TemporaryFile("w+", dir=self.scratch) as errors:
            done = subprocess.run(
                command,
                env=environment,
                cwd=self.scratch,
                text=True,
                stdout=subprocess.PIPE,
                stderr=errors,
                check=False,
            )
            wall = time.monotonic() - started
            if done.returncode:
                errors.seek(0)
                tail = [*done.stdout.splitlines(), *errors.read().splitlines()][-ERROR_LINES:]
                raise RuntimeError(f"{script} failed:\n" + "\n".join(tail))
        after = resource.getrusage(resource.RUSAGE_CHILDREN)
        cpu = after.ru_utime + after.ru_stime - before.ru_utime - before.ru_stime
        lines = [line.removeprefix(RESULT) for line in done.stdout.splitlines() if line.startswith(RESULT)]
        return Finished(json.loads(lines[-1]) if lines else {}, wall, cpu)
