"""What a table keeps of inputs of trainings that were lost, so that nobody is given a part of one. Pure."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass

from warehouse.failures import PermanentError
from warehouse.forgotten import replaced_by
from warehouse.lost_marks import few
from warehouse.spec_json import SPEC_VERSION, from_json

LOST_INPUTS = "warehouse.lost_inputs"
"""Table property: the table's :class:`LostInputs`."""
MOST_LOST = 200


@dataclass(eq=False)
class InputLost(PermanentError):
    """What a training has read and kept is lost. ``as_of``: the dates that are; empty: all that it read."""

    table: str
    iceberg_snapshot_id: int
    as_of: tuple[str, ...]

    def __str__(self) -> str:
        what = f" as of {few(self.as_of)}" if self.as_of else ""
        return (
            f"table {self.table}: the store has lost what Iceberg snapshot {self.iceberg_snapshot_id} had{what}, and "
            "it does not come back; train again on what is published now"
        )


@dataclass(frozen=True)
class LostInput:
    """An Iceberg snapshot that lost the labels ``as_of``, or all that it had (empty). ``now``: id of the one that was
    made of the rest; 0: none was."""

    iceberg_snapshot_id: int
    as_of: tuple[str, ...] = ()
    now: int = 0


@dataclass(frozen=True)
class LostInputs:
    """Those of a table: all that lead to what is left of them, of the others the newest :data:`MOST_LOST`."""

    lost: tuple[LostInput, ...]
    version: int = SPEC_VERSION

    def and_then(self, more: tuple[LostInput, ...]) -> LostInputs:
        """With these."""
        lost = (*self.lost, *more)
        dead = [one for one in lost if not one.now]
        dropped = set(dead[: max(0, len(dead) - MOST_LOST)])
        return LostInputs(tuple(one for one in lost if one not in dropped))


def lost_inputs(properties: Mapping[str, str]) -> LostInputs:
    """What the table has kept of them."""
    text = properties.get(LOST_INPUTS)
    return from_json(LostInputs, text) if text else LostInputs(())


def stands_for(properties: Mapping[str, str], table: str, snapshot_id: int, as_of: tuple[str, ...]) -> tuple[int, bool]:
    """The snapshot that now has the rows of ``snapshot_id`` as of these dates; whether some were forgotten since.

    :raises InputLost: some are lost.
    """
    lost, forgotten, now = {one.iceberg_snapshot_id: one for one in lost_inputs(properties).lost}, False, snapshot_id
    while True:
        forgotten = forgotten or replaced_by(properties, now) != now
        now = replaced_by(properties, now)
        if (one := lost.get(now)) is None:
            return now, forgotten
        labels = tuple(label for label in as_of if label in one.as_of)
        if labels or not one.as_of:
            raise InputLost(table, snapshot_id, labels)
        if not one.now:
            return now, forgotten
        now = one.now
