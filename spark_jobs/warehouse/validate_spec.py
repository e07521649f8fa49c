"""What ``validate_snapshots.py`` is asked to read back and publish, and what it answers."""

from __future__ import annotations

from dataclasses import dataclass, replace

from warehouse.run_spec import EndedRun, IntervalSpec, RunSpec
from warehouse.snapshot_record import SnapshotRecord
from warehouse.snapshot_spec import TableCapture
from warehouse.spec_json import SPEC_VERSION
from warehouse.store_spec import StoreSpec
from warehouse.table_spec import TableSpec


@dataclass(frozen=True)
class ValidateJob:
    """Asks to read run branches back, compare, check, publish and expire. ``source``: its name, for the record;
    ``time_zone``: the source's.

    ``reader_grace_seconds``: how long the files of a replaced or expired snapshot stay for readers in flight.
    ``ended``: as in :class:`SnapshotJob`.
    """

    run: RunSpec
    store: StoreSpec
    source: str
    interval: IntervalSpec
    tables: tuple[TableSpec, ...]
    captures: tuple[TableCapture, ...]
    result_path: str
    reader_grace_seconds: int = 3600
    time_zone: str = "UTC"
    ended: tuple[EndedRun, ...] = ()
    version: int = SPEC_VERSION

    def of(self, interval: IntervalSpec) -> ValidateJob:
        """As :meth:`SnapshotJob.of`."""
        return replace(self, interval=interval, run=replace(self.run, again=interval.as_of))


@dataclass(frozen=True)
class PublishedTable:
    """``adopted``: an earlier try of this run had published it. ``expired``: as-of dates that retention ended.

    ``again``: an earlier interval, captured again by the run and found to differ from what was published.
    ``superseded``: ``record`` is that of another run, which captured a later state meanwhile; it stays.
    """

    record: SnapshotRecord
    adopted: bool
    expired: tuple[str, ...]
    seconds: float
    again: bool = False
    superseded: bool = False


@dataclass(frozen=True)
class ValidateResult:
    """Answer to a :class:`ValidateJob`: earlier intervals first, then the run's own in the order of its tables.

    ``report``: path of the comparisons in the store, a JSON list of ``warehouse.fingerprints.Comparison``.
    """

    published: tuple[PublishedTable, ...]
    seconds: float
    report: str = ""
