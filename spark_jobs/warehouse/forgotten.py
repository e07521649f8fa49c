"""What a record keeps of rows that were removed from a published snapshot. Pure, standard library only."""

from __future__ import annotations

import json
from collections.abc import Mapping
from dataclasses import dataclass

REPLACED = "warehouse.replaced"
"""Table property: JSON of the Iceberg snapshots that forgetting rewrote, old id → new id."""


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


def replaced_snapshots(properties: Mapping[str, str]) -> dict[int, int]:
    """Iceberg snapshot id → id of the snapshot that has the same rows but those forgotten since."""
    return {int(old): new for old, new in json.loads(properties.get(REPLACED, "{}")).items()}


def replaced_by(properties: Mapping[str, str], snapshot_id: int) -> int:
    """The snapshot that now stands for ``snapshot_id``; itself where nothing was forgotten of it."""
    replaced = replaced_snapshots(properties)
    while snapshot_id in replaced:
        snapshot_id = replaced[snapshot_id]
    return snapshot_id
