"""Runs the snapshot job until the fast copy has its first file complete in its temporary folder, and waits there."""

from __future__ import annotations

import sys
import time
from typing import Any

import warehouse.copy_write
from warehouse.answers import run_job
from warehouse.capture import snapshot_tables
from warehouse.snapshot_spec import SnapshotJob


def hold(_: Any, file: Any) -> None:
    """In place of writing the file into the store."""
    print(f"COPYING {file.path}", flush=True)
    while True:
        time.sleep(60)


if __name__ == "__main__":
    warehouse.copy_write._StoredFiles.take = hold  # type: ignore[method-assign,assignment]
    sys.exit(run_job(SnapshotJob, sys.argv, snapshot_tables))
