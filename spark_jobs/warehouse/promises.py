"""Promises: the memory of the store that `check` gave to a run, and with it the right to write.

A small JSON file of the store for each run, from its `check` until it has published. No run writes without one: a
driver that finds none makes it. So they name all runs that may have left something; whether a run still lives, Airflow
knows. Standard library only.
"""

from __future__ import annotations

from dataclasses import dataclass
from datetime import UTC, datetime

from warehouse.run_spec import RunSpec
from warehouse.snapshot_spec import SnapshotJob
from warehouse.spec_json import SPEC_VERSION
from warehouse.store_spec import PROMISES_FOLDER
from warehouse.table_spec import TableSpec


@dataclass(frozen=True)
class Promise:
    """Of one run. ``start``: of its interval; ``made_at``: ISO 8601 in UTC, both. ``bytes``: of all its tables."""

    dag_id: str
    run_id: str
    as_of: str
    start: str
    tables: tuple[str, ...]
    bytes: int
    made_at: str
    version: int = SPEC_VERSION

    @property
    def run(self) -> RunSpec:
        """The run, of no try in particular."""
        return RunSpec(self.dag_id, self.run_id, 0)


def promises_folder(store_uri: str) -> str:
    """Where all promises are: a folder for each DAG."""
    return f"{store_uri.rstrip('/')}/{PROMISES_FOLDER}"


def needed(table: TableSpec) -> int:
    """Bytes of the store that a run needs for a table.

    Intervals that are captured again stand beside the published ones until they have been compared.
    """
    return (table.store_bytes or 0) * (1 + len(table.earlier))


def promise_of(job: SnapshotJob) -> Promise:
    """What a run is promised at this moment: room for all copies of all of its tables."""
    return Promise(
        dag_id=job.run.dag_id,
        run_id=job.run.run_id,
        as_of=job.interval.as_of,
        start=job.interval.start,
        tables=tuple(table.name for table in job.tables),
        bytes=job.store.all_copies(sum(map(needed, job.tables))),
        made_at=datetime.now(UTC).isoformat(timespec="microseconds"),
    )
