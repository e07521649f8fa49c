"""The entry points under a real spark-submit, as the operators submit them."""

from __future__ import annotations

import os
import subprocess
import sys
import zipfile
from collections.abc import Mapping
from pathlib import Path

from warehouse.job_answer import JobAnswer
from warehouse.snapshot_spec import SnapshotJob
from warehouse.spark_conf import LOCAL_ENVIRONMENT, spark_conf
from warehouse.spec_json import from_json, to_json
from warehouse.validate_spec import ValidateJob

from local_stack.jars import ensure_jars

JOBS = Path(__file__).parents[2] / "spark_jobs"


def packaged_library(folder: Path) -> Path:
    """The library as ``--py-files`` ships it."""
    archive = folder / "warehouse.zip"
    with zipfile.ZipFile(archive, "w") as file:
        for module in JOBS.glob("warehouse/**/*.py"):
            file.write(module, module.relative_to(JOBS))
    return archive


def spark_submit(
    application: Path, argument: str, conf: Mapping[str, str], library: Path, *, master: str = "local[2]"
) -> subprocess.CompletedProcess[str]:
    """Run an application in a new JVM, in whose environment nothing of the tests' own Spark is."""
    command = [str(Path(sys.executable).with_name("spark-submit")), "--master", master, "--driver-memory", "1g"]
    command += ["--driver-class-path", f"{ensure_jars('spark')}/*", "--py-files", str(library)]
    command += [part for name, value in conf.items() for part in ("--conf", f"{name}={value}")]
    environment = {name: value for name, value in os.environ.items() if not name.startswith(("PYSPARK", "PYTHON"))}
    environment["PATH"] = f"{Path(sys.executable).parent}:{environment['PATH']}"
    if master.startswith("local"):
        environment |= LOCAL_ENVIRONMENT
    return subprocess.run(
        [*command, str(application), argument],
        env=environment, cwd=library.parent, capture_output=True, text=True, timeout=120, check=False,
    )  # fmt: skip


def submit(
    application: str,
    job: SnapshotJob | ValidateJob,
    library: Path,
    scratch: Path,
    conf: Mapping[str, str] | None = None,
) -> tuple[subprocess.CompletedProcess[str], JobAnswer]:
    """Run an entry point on ``job``; what it printed and what it answered."""
    properties = spark_conf(job.store, scratch_dir=str(scratch), small=True)
    for name, value in (conf or {}).items():
        properties[name] = f"{properties[name]} {value}" if name.endswith("JavaOptions") else value
    done = spark_submit(JOBS / application, to_json(job), properties, library)
    return done, from_json(JobAnswer, Path(job.result_path.removeprefix("file://")).read_text())
