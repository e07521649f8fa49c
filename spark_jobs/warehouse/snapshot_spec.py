"""What ``snapshot_tables.py`` is asked to capture, and what it answers."""

from __future__ import annotations

from dataclasses import dataclass, replace

from warehouse.run_spec import EndedRun, IntervalSpec, RunSpec
from warehouse.source_spec import SourceSpec
from warehouse.spec_json import SPEC_VERSION
from warehouse.store_spec import StoreSpec
from warehouse.table_spec import TableSpec


@dataclass(frozen=True)
class SnapshotJob:
    """Asks for the run branches of a group's tables, read from one consistent state of the source.

    ``ended``: runs of the same DAG that may have left something in the store.
    """

    run: RunSpec
    store: StoreSpec
    source: SourceSpec
    interval: IntervalSpec
    tables: tuple[TableSpec, ...]
    result_path: str
    capture_late: bool = False
    ended: tuple[EndedRun, ...] = ()
    version: int = SPEC_VERSION

    def of(self, interval: IntervalSpec) -> SnapshotJob:
        """The same for an earlier interval, on a run branch of its own."""
        return replace(self, interval=interval, run=replace(self.run, again=interval.as_of))


@dataclass(frozen=True)
class TableCapture:
    """What the snapshot job wrote for one table; nothing of it is visible to readers yet.

    ``captured_at``: ISO 8601 in UTC, the source's clock when its state was fixed. ``source_position``: the source's
    own name of that state (PostgreSQL: WAL position and snapshot). ``splits``: connections used. ``again``: the earlier
    interval that was captured again; None for the run's own. ``fingerprint``: path of
    the source's fingerprint in the store, where its values may be; empty where only rows are counted.
    """

    table: str
    branch: str
    iceberg_snapshot_id: int | None
    source_rows: int
    written_rows: int
    bytes: int
    captured_at: str
    source_position: str
    consistency: str
    splits: int
    seconds: float
    again: IntervalSpec | None = None
    fingerprint: str = ""


@dataclass(frozen=True)
class SnapshotResult:
    """Answer to a :class:`SnapshotJob`, in the order of its tables; of each, the run's interval before earlier ones."""

    captures: tuple[TableCapture, ...]
    seconds: float
