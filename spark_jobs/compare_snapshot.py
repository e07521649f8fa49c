"""``spark-submit compare_snapshot.py '<CompareJob as JSON>'``: print both sides of a snapshot, values included."""

from __future__ import annotations

import sys

from warehouse.command_spec import IMPOSSIBLE
from warehouse.compare_spec import DIFFERENT, EQUAL, CompareJob
from warehouse.comparing import compare_snapshot, compared_text
from warehouse.failures import JobError
from warehouse.memory_only import ensure_memory_only
from warehouse.records import read_records
from warehouse.session import job_session
from warehouse.spec_json import from_json, spec_text


def main(arguments: list[str]) -> int:
    """Print what was found; its exit code is one of ``warehouse.compare_spec`` or ``IMPOSSIBLE``."""
    job = from_json(CompareJob, spec_text(arguments[1]))
    with job_session(f"compare {job.table.name}") as session:
        try:
            ensure_memory_only(session, job.store)
            compared = compare_snapshot(session, job)
        except JobError as error:
            print(error, flush=True)
            return IMPOSSIBLE
        print(compared_text(job, compared), flush=True)
        record = read_records(session, job.store, job.table.name).get(job.interval.as_of)
        for note in record.forgotten if record is not None and job.branch is None else ():
            print(note, flush=True)
    return DIFFERENT if compared.comparison.differences or compared.keys else EQUAL


if __name__ == "__main__":
    sys.exit(main(sys.argv))
