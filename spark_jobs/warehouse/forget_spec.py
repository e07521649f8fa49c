"""What the command ``forget`` asks of Spark, and what it is told. Neither holds a key: those are values of the data."""

from __future__ import annotations

from dataclasses import dataclass

from warehouse.forgotten import Forgetting
from warehouse.spec_json import SPEC_VERSION
from warehouse.store_spec import StoreSpec


@dataclass(frozen=True)
class ForgetJob:
    """Remove the rows whose ``column`` has one of the keys from every snapshot of a table.

    ``keys_file``: on the driver's machine, as :func:`warehouse.forgotten_keys.read_keys` takes it.
    ``by``: who asks, for the records. ``result_path``: file on the driver's machine for the :class:`ForgetResult`.
    """

    store: StoreSpec
    table: str
    column: str
    keys_file: str
    by: str
    result_path: str
    version: int = SPEC_VERSION


@dataclass(frozen=True)
class ForgottenDate:
    """Rows that one published date lost, and those that it has left."""

    as_of: str
    rows: int
    rows_left: int


@dataclass(frozen=True)
class ForgetResult:
    """``keys``: different ones that were asked for; ``matched``: those of them that some row had; ``blank``: texts that
    begin or end with a blank. ``dates``: published ones that lost rows. ``snapshots``: Iceberg snapshots that were
    rewritten.

    ``kept``: tags of trainings' inputs among them. ``dropped``: unpublished run branches, and replaced states kept for
    readers in flight, that held such rows and are gone. ``left``: tries of runs, ended ones and others, with data files
    that no commit shows and that may hold such rows.

    ``seen``: where such rows were, published or not; None where there were none. ``before``: what earlier ones found by
    the same column, whose keys nobody knows: an earlier one that was killed after its commit never told of it.

    ``unread``: dates, kept inputs and replaced states that the store has lost and may get back: what they hold is not
    known, and files of others may be left until it is.
    """

    table: str
    keys: int
    at: str
    dates: tuple[ForgottenDate, ...]
    snapshots: tuple[int, ...]
    kept: tuple[str, ...]
    dropped: tuple[str, ...]
    under_way: tuple[str, ...]
    seconds: float
    left: tuple[str, ...] = ()
    matched: int = 0
    blank: int = 0
    seen: Forgetting | None = None
    before: tuple[Forgetting, ...] = ()
    unread: tuple[str, ...] = ()
