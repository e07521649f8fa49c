"""The entry points under a real spark-submit: what is printed, what is answered, and what is never said."""

from __future__ import annotations

import re
from pathlib import Path

import pytest
from warehouse.source_spec import PASSWORD_VARIABLE
from warehouse.spec_json import to_json

from tests.spark.runs import Runs
from tests.spark.submits import submit

DAY = "2013-06-01"


def test_snapshot_then_validate(tmpfs_runs: Runs, library: Path, job_scratch: Path) -> None:
    tmpfs_runs.events([DAY])
    table = tmpfs_runs.table()
    done, answer = submit("snapshot_tables.py", tmpfs_runs.snapshot_job([table], DAY), library, job_scratch)
    assert done.returncode == 0 and answer.snapshot is not None and answer.failure is None
    assert "events: 10 of 10 rows written" in done.stdout
    # The task's log is for people.
    assert not re.search(r"\b(INFO|WARN)\b", done.stdout + done.stderr)
    probed = re.search(
        r"^memory only: the scratch of the driver is in memory.* \(probed in (\S+) s\)$", done.stdout, re.M
    )
    assert (probed is not None) == tmpfs_runs.store.memory_only
    if probed is not None:
        print(f"the first probe of a driver took {probed[1]} s")
    done, answer = submit(
        "validate_snapshots.py", tmpfs_runs.validate_job([table], DAY, answer.snapshot), library, job_scratch
    )
    assert done.returncode == 0 and answer.validate is not None
    assert tmpfs_runs.records() == {DAY: answer.validate.published[0].record}
    assert "stored rows" in done.stdout and "published" in done.stdout
    assert tmpfs_runs.database.password not in done.stdout + done.stderr + to_json(answer)


def test_an_expected_failure_is_one_sentence(
    tmpfs_runs: Runs, library: Path, job_scratch: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    tmpfs_runs.events([DAY])
    job = tmpfs_runs.snapshot_job([tmpfs_runs.table()], DAY)
    monkeypatch.setenv(PASSWORD_VARIABLE, "wrong-password-8")
    done, answer = submit("snapshot_tables.py", job, library, job_scratch)
    assert done.returncode == 1 and answer.failure is not None
    assert answer.failure.kind == "permanent" and "wrong user or password" in answer.failure.message
    assert "Traceback" not in done.stdout + done.stderr and "PSQLException" not in done.stdout + done.stderr
    assert "wrong-password-8" not in done.stdout + done.stderr + to_json(answer)
