"""``spark-submit expire_snapshots.py '<ExpireJob as JSON>'``: end the oldest as-of dates of a table."""

from __future__ import annotations

import sys

from pyspark.sql import SparkSession
from warehouse.answers import run_command
from warehouse.expire_spec import ExpireJob, ExpireResult
from warehouse.expiry import expire_before
from warehouse.vendor_errors import store_errors


def expire_snapshots(session: SparkSession, job: ExpireJob) -> ExpireResult:
    """Answer ``job`` with what was ended, and what trainings keep of it."""
    with store_errors(job.store.uri, job.table):
        return expire_before(session, job.store, job.table, job.start, grace_seconds=job.grace_seconds, by=job.by)


if __name__ == "__main__":
    sys.exit(run_command(ExpireJob, sys.argv, expire_snapshots))
