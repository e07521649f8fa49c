"""What the command ``forget`` asks of Spark, and what it is told. Neither holds a key: those are values of the data."""

from __future__ import annotations

from dataclasses import dataclass

from warehouse.spec_json import SPEC_VERSION
from warehouse.store_spec import StoreSpec


@dataclass(frozen=True)
class ForgetJob:
    """Remove the rows whose ``column`` has one of the keys from every snapshot of a table.

    ``keys_file``: on the driver's machine, a key in each line, written as Spark writes the stored value as text.
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
    """``keys``: different ones that were asked for. ``snapshots``: Iceberg snapshots that were rewritten.

    ``kept``: tags of trainings' inputs among them. ``dropped``: unpublished run branches, and replaced states kept for
    readers in flight, that held such rows and are gone. ``left``: tries of runs, ended ones and others, with data files
    that no commit shows and that may hold such rows.
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
