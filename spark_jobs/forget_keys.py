"""``spark-submit forget_keys.py '<ForgetJob as JSON>'``: remove rows with given keys from every snapshot of a table."""

from __future__ import annotations

import sys
from pathlib import Path

from warehouse.failures import JobError
from warehouse.forget_spec import IMPOSSIBLE, ForgetJob
from warehouse.forgetting import forget
from warehouse.memory_only import ensure_memory_only
from warehouse.session import job_session
from warehouse.spec_json import from_json, to_json


def main(arguments: list[str]) -> int:
    """Write the result to the job's ``result_path``, or print why there is none."""
    job = from_json(ForgetJob, arguments[1])
    with job_session(f"forget {job.table}") as session:
        try:
            ensure_memory_only(session, job.store)
            result = forget(session, job)
        except JobError as error:
            print(error, flush=True)
            return IMPOSSIBLE
        Path(job.result_path).write_text(to_json(result), encoding="utf-8")
    return 0


if __name__ == "__main__":
    sys.exit(main(sys.argv))
