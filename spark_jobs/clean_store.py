"""``spark-submit clean_store.py '<CleanJob as JSON>'``: list or remove what nothing in the store needs."""

from __future__ import annotations

import sys
from pathlib import Path

from warehouse.clean_spec import IMPOSSIBLE, CleanJob
from warehouse.failures import JobError
from warehouse.session import job_session
from warehouse.spec_json import from_json, to_json
from warehouse.store_cleaning import clean_store


def main(arguments: list[str]) -> int:
    """Write the result to the job's ``result_path``, or print why there is none."""
    job = from_json(CleanJob, arguments[1])
    with job_session("clean-store") as session:
        try:
            result = clean_store(session, job)
        except JobError as error:
            print(error, flush=True)
            return IMPOSSIBLE
        Path(job.result_path).write_text(to_json(result), encoding="utf-8")
    return 0


if __name__ == "__main__":
    sys.exit(main(sys.argv))
