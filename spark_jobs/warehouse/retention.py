"""How the store keeps as-of dates, and which retention ends. Pure: the monitor must not take ended dates for lost."""

from __future__ import annotations

from collections.abc import Iterable
from datetime import datetime, timedelta
from typing import Protocol, TypeVar

AS_OF_COLUMN = "_as_of"
"""The label column that interval tables have in the store beside the source's columns."""
RETAINED_FROM = "warehouse.retained_from"
"""Property: ISO start (UTC) of the oldest as-of date that retention keeps; set when retention first ends one."""


class Dated(Protocol):
    """``start``: of its interval, ISO 8601 in UTC."""

    @property
    def start(self) -> str: ...


class Bounds(Protocol):
    """A table's retention, of the manifest or of a job's spec; see :class:`warehouse.table_spec.RetentionSpec`."""

    @property
    def keep(self) -> int | None: ...

    @property
    def days(self) -> int | None: ...


Snapshot = TypeVar("Snapshot", bound=Dated)


def older_than(start: str, snapshots: Iterable[Snapshot]) -> list[Snapshot]:
    """Those whose interval starts before ``start``, the oldest first; the newest is always kept."""
    ordered = sorted(snapshots, key=lambda snapshot: snapshot.start)
    return [snapshot for snapshot in ordered[:-1] if snapshot.start < start]


def ended_by(retention: Bounds, snapshots: Iterable[Snapshot]) -> list[Snapshot]:
    """Those that ``retention`` no longer keeps, the oldest first; the newest is always kept.

    ``keep``: the newest so many stay. ``days``: what starts at most so many days before the newest stays. Both: what
    either ends is ended.
    """
    ordered = sorted(snapshots, key=lambda snapshot: snapshot.start)
    if not ordered:
        return []
    kept = ordered[-max(1, retention.keep) :] if retention.keep is not None else ordered
    if retention.days is not None:
        limit = datetime.fromisoformat(ordered[-1].start) - timedelta(days=retention.days)
        kept = [snapshot for snapshot in kept if datetime.fromisoformat(snapshot.start) >= limit]
    # Not by value: a table of every quarter of an hour has tens of thousands of dates.
    staying = set(map(id, kept))
    return [snapshot for snapshot in ordered if id(snapshot) not in staying]
