"""What the command ``clean-store`` asks of Spark, and what it is told: names of runs, numbers of files."""

from __future__ import annotations

from dataclasses import dataclass
from typing import Literal

from warehouse.spec_json import SPEC_VERSION
from warehouse.store_spec import StoreSpec

Kind = Literal["try", "capture", "ownerless", "replaced", "lost"]
"""Left by one try of a run; by one whose capture is complete and may still be published; by nobody who is known; by
what was replaced or ended, and its readers' grace is over; what the store has lost for good, which is let go with any
removal."""


@dataclass(frozen=True)
class Removal:
    """What to remove from a table: tries by the names of their run branches, and files without an owner.

    What was replaced or is lost for good goes in any case.
    """

    table: str
    tries: tuple[str, ...]
    ownerless: bool = False


@dataclass(frozen=True)
class CleanJob:
    """Remove what is named; where nothing is, tell what there is. ``result_path``: file on the driver's machine."""

    store: StoreSpec
    removals: tuple[Removal, ...]
    result_path: str
    version: int = SPEC_VERSION


@dataclass(frozen=True)
class Left:
    """What is left in a table. ``name``: of the try, as its run branch; of what is lost
    its branches and tags; else empty.

    ``branch``: whether that run branch is there. ``files`` and ``bytes`` (of all copies): what would be gone with it.
    ``age_seconds``: since the newest of them was written, by the store's clock.
    """

    table: str
    kind: Kind
    name: str
    branch: bool
    files: int
    bytes: int
    age_seconds: int


@dataclass(frozen=True)
class Unreadable:
    """A table of which nobody can say what is of use. ``reason``: a sentence."""

    table: str
    reason: str


@dataclass(frozen=True)
class CleanResult:
    """``left``: in the order of tables. ``files`` and ``bytes`` (of all copies): what is no longer there of the tables
    named. ``unreadable``: tables that were passed by."""

    left: tuple[Left, ...]
    files: int
    bytes: int
    unreadable: tuple[Unreadable, ...] = ()
