"""``spark-submit snapshot_tables.py '<SnapshotJob as JSON>'``: capture a group's tables onto run branches."""

from __future__ import annotations

import sys

from warehouse.answers import run_job
from warehouse.capture import snapshot_tables
from warehouse.snapshot_spec import SnapshotJob

if __name__ == "__main__":
    sys.exit(run_job(SnapshotJob, sys.argv, snapshot_tables))
