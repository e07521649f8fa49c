"""``spark-submit validate_snapshots.py '<ValidateJob as JSON>'``: read run branches back, check, publish, expire."""

from __future__ import annotations

import sys

from warehouse.answers import run_job
from warehouse.validate_spec import ValidateJob
from warehouse.validation import validate_snapshots

if __name__ == "__main__":
    sys.exit(run_job(ValidateJob, sys.argv, validate_snapshots))
