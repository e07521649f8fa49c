"""The entry points under a real spark-submit: what is printed, what is answered, and what is never said."""

from __future__ import annotations

import os
import subprocess
import sys
import zipfile
from pathlib import Path

import pytest
from warehouse.job_spec import PASSWORD_VARIABLE, JobAnswer, SnapshotJob, ValidateJob, from_json, to_json
from warehouse.spark_conf import spark_conf

from local_stack.jars import ensure_jars
from tests.spark.runs import Runs

JOBS = Path(__file__).parents[2] / "spark_jobs"
DAY = "2013-06-01"


@pytest.fixture
def library(tmp_path: Path) -> Path:
    """The library as ``--py-files`` ships it."""
    archive = tmp_path / "warehouse.zip"
    with zipfile.ZipFile(archive, "w") as file:
        for module in JOBS.glob("warehouse/**/*.py"):
            file.write(module, module.relative_to(JOBS))
    return archive


def submit(
    application: str, job: SnapshotJob | ValidateJob, library: Path, scratch: Path
) -> tuple[subprocess.CompletedProcess[str], JobAnswer]:
    conf = spark_conf(job.store, scratch_dir=str(scratch), small=True)
    command = [str(Path(sys.executable).with_name("spark-submit")), "--master", "local[2]"]
    command += ["--driver-memory", "1g", "--driver-class-path", f"{ensure_jars('spark')}/*", "--py-files", str(library)]
    command += [part for name, value in conf.items() for part in ("--conf", f"{name}={value}")]
    environment = {name: value for name, value in os.environ.items() if not name.startswith(("PYSPARK", "PYTHON"))}
    environment["PATH"] = f"{Path(sys.executable).parent}:{environment['PATH']}"
    done = subprocess.run(
        [*command, str(JOBS / application), to_json(job)],
        env=environment, cwd=scratch, capture_output=True, text=True, timeout=120, check=False,
    )  # fmt: skip
    return done, from_json(JobAnswer, Path(job.result_path.removeprefix("file://")).read_text())


def test_snapshot_then_validate(tmpfs_runs: Runs, library: Path, tmp_path: Path) -> None:
    tmpfs_runs.events([DAY])
    table = tmpfs_runs.table()
    done, answer = submit("snapshot_tables.py", tmpfs_runs.snapshot_job([table], DAY), library, tmp_path)
    assert done.returncode == 0 and answer.snapshot is not None and answer.failure is None
    assert "events: 10 of 10 rows written" in done.stdout
    done, answer = submit(
        "validate_snapshots.py", tmpfs_runs.validate_job([table], DAY, answer.snapshot), library, tmp_path
    )
    assert done.returncode == 0 and answer.validate is not None
    assert tmpfs_runs.records() == {DAY: answer.validate.published[0].record}
    assert "stored rows" in done.stdout and "published" in done.stdout
    assert tmpfs_runs.database.server.password not in done.stdout + done.stderr + to_json(answer)


def test_an_expected_failure_is_one_sentence(
    tmpfs_runs: Runs, library: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    tmpfs_runs.events([DAY])
    job = tmpfs_runs.snapshot_job([tmpfs_runs.table()], DAY)
    monkeypatch.setenv(PASSWORD_VARIABLE, "wrong-password-8")
    done, answer = submit("snapshot_tables.py", job, library, tmp_path)
    assert done.returncode == 1 and answer.failure is not None
    assert answer.failure.kind == "permanent" and "wrong user or password" in answer.failure.message
    assert "Traceback" not in done.stdout + done.stderr and "PSQLException" not in done.stdout + done.stderr
    assert "wrong-password-8" not in done.stdout + done.stderr + to_json(answer)
