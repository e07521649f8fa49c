"""``spark-submit expire_snapshots.py '<ExpireJob as JSON>'``: end the oldest as-of dates of a table."""

from __future__ import annotations

import sys
from pathlib import Path

from warehouse.expire_spec import IMPOSSIBLE, ExpireJob, ExpireResult
from warehouse.expiry import expire_before
from warehouse.failures import JobError
from warehouse.session import job_session
from warehouse.spec_json import from_json, to_json
from warehouse.vendor_errors import store_errors


def main(arguments: list[str]) -> int:
    """Write the result to the job's ``result_path``, or print why there is none."""
    job = from_json(ExpireJob, arguments[1])
    with job_session(f"expire {job.table}") as session:
        try:
            with store_errors(job.store.uri, job.table):
                ended = expire_before(session, job.store, job.table, job.start, grace_seconds=job.grace_seconds)
        except JobError as error:
            print(error, flush=True)
            return IMPOSSIBLE
        Path(job.result_path).write_text(to_json(ExpireResult(ended)), encoding="utf-8")
    return 0


if __name__ == "__main__":
    sys.exit(main(sys.argv))
