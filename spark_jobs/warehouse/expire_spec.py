"""What the command ``expire`` asks of Spark, and what it is told."""

from __future__ import annotations

from dataclasses import dataclass

from warehouse.spec_json import SPEC_VERSION
from warehouse.store_spec import StoreSpec


@dataclass(frozen=True)
class ExpireJob:
    """End the as-of dates of a table whose interval starts before ``start`` (ISO 8601 in UTC), but for the newest.

    ``grace_seconds``: how long their files stay for readers in flight. ``by``: who asks, for the table's note.
    ``result_path``: on the driver's machine.
    """

    store: StoreSpec
    table: str
    start: str
    grace_seconds: int
    by: str
    result_path: str
    version: int = SPEC_VERSION


@dataclass(frozen=True)
class ExpireResult:
    """``ended``: the labels, the oldest first. ``kept``: tags of trainings' inputs that still hold data files of these
    dates, and ``kept_bytes``: their size, which is not freed. ``held_back``: why nothing is freed for now, if so; a
    sentence."""

    ended: tuple[str, ...]
    kept: tuple[str, ...] = ()
    kept_bytes: int = 0
    held_back: str = ""


ENDED_BY_HAND = "warehouse.ended_by_hand"
"""Property: the table's :class:`EndedByHand`. In the extra of an event of the table's asset: one :class:`Ending`."""
MOST_ENDINGS = 100


@dataclass(frozen=True)
class Ending:
    """``at``: ISO 8601 in UTC. ``first`` and ``last``: labels of the dates that went, with all between."""

    at: str
    by: str
    first: str
    last: str

    def includes(self, as_of: str) -> bool:
        """Whether a date went with it, if it was there."""
        return self.first <= as_of <= self.last


@dataclass(frozen=True)
class EndedByHand:
    """When and by whom dates of a table were ended by the command, the newest :data:`MOST_ENDINGS` times."""

    endings: tuple[Ending, ...]
    version: int = SPEC_VERSION

    def and_then(self, ending: Ending) -> EndedByHand:
        """With one more."""
        return EndedByHand((*self.endings, ending)[-MOST_ENDINGS:])
