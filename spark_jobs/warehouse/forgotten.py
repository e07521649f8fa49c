"""What a record keeps of rows that were removed from a published snapshot. Pure, standard library only."""

from __future__ import annotations

import json
from collections.abc import Collection, Mapping
from dataclasses import dataclass

from warehouse.spec_json import SPEC_VERSION, from_json

REPLACED = "warehouse.replaced"
"""Table property: JSON of the Iceberg snapshots that forgetting rewrote, old id → new id."""
FORGETTINGS = "warehouse.forgettings"
"""Table property: the table's :class:`Forgettings`."""
MOST_FORGETTINGS = 20


@dataclass(frozen=True)
class Forgotten:
    """Rows that were removed after publishing, and how the snapshot was known before.

    ``at``: ISO 8601 in UTC. ``by``: who asked. ``rows``: how many; their keys are kept nowhere. ``digest`` and
    ``fingerprint``: of all rows, as validated when the snapshot was published, or after the removal before this one.
    """

    at: str
    by: str
    column: str
    rows: int
    digest: str
    fingerprint: str

    def __str__(self) -> str:
        return f"{self.rows:,} rows were forgotten by {self.column!r} at {self.at}, as {self.by} asked"


@dataclass(frozen=True)
class Forgetting:
    """What one ``forget`` found: rows that are in no record any more had readers too.

    ``dates``: as-of dates of which anything in the store had such rows: a published snapshot, one that was kept for a
    training or for readers in flight, an unpublished one. ``states``: Iceberg snapshots that had, of tables that keep
    whole states, by all ids that a training may have read them by; an interval's rows are in many snapshots.
    """

    at: str
    by: str
    column: str
    dates: tuple[str, ...]
    states: tuple[int, ...] = ()


@dataclass(frozen=True)
class Forgettings:
    """Those of a table, the newest :data:`MOST_FORGETTINGS`."""

    done: tuple[Forgetting, ...]
    version: int = SPEC_VERSION

    def and_then(self, one: Forgetting) -> Forgettings:
        """With one more."""
        return Forgettings((*self.done, one)[-MOST_FORGETTINGS:])


def forgettings(properties: Mapping[str, str]) -> Forgettings:
    """What the table has kept of them."""
    text = properties.get(FORGETTINGS)
    return from_json(Forgettings, text) if text else Forgettings(())


def replaced_snapshots(properties: Mapping[str, str]) -> dict[int, int]:
    """Iceberg snapshot id → id of the snapshot that has the same rows but those forgotten since."""
    return {int(old): new for old, new in json.loads(properties.get(REPLACED, "{}")).items()}


def replaced_by(properties: Mapping[str, str], snapshot_id: int) -> int:
    """The snapshot that now stands for ``snapshot_id``; itself where nothing was forgotten of it."""
    replaced = replaced_snapshots(properties)
    while snapshot_id in replaced:
        snapshot_id = replaced[snapshot_id]
    return snapshot_id


def ids_of_states(properties: Mapping[str, str], snapshots: Collection[int]) -> tuple[int, ...]:
    """``snapshots``, and those that they stand for since rows were forgotten before."""
    older = (old for old in replaced_snapshots(properties) if replaced_by(properties, old) in snapshots)
    return tuple(sorted({*snapshots, *older}))
