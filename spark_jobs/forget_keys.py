"""``spark-submit forget_keys.py '<ForgetJob as JSON>'``: remove rows with given keys from every snapshot of a table."""

from __future__ import annotations

import sys

from pyspark.sql import SparkSession
from warehouse.answers import run_command
from warehouse.forget_spec import ForgetJob, ForgetResult
from warehouse.forgetting import forget
from warehouse.memory_only import ensure_memory_only


def forget_keys(session: SparkSession, job: ForgetJob) -> ForgetResult:
    """Answer ``job``, if no row that is rewritten could reach a disk."""
    ensure_memory_only(session, job.store)
    return forget(session, job)


if __name__ == "__main__":
    sys.exit(run_command(ForgetJob, sys.argv, forget_keys))
