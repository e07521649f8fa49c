"""A table of a run: its columns in the source, its history, its checks, and what becomes of it."""

from __future__ import annotations

from dataclasses import dataclass, field
from typing import Literal

from warehouse.access_spec import AccessSpec
from warehouse.fingerprints import ValidateMode
from warehouse.run_spec import IntervalSpec

HistoryMode = Literal["interval", "valid_between", "time_travel", "current"]
SchemaPolicy = Literal["fail", "additive", "evolve"]
"""Which changes of its source's columns a table takes: none, new ones only, or all that keep what is published."""


@dataclass(frozen=True)
class ColumnSpec:
    """A column as ``check`` found it in the source; ``type`` is the source's own name of its type.

    ``as_kind``: the kind (see ``warehouse.kinds``) as which the manifest wants it captured; None for the type's own.
    ``mask``: what the source puts in its place (see ``warehouse.masks``); ``classification``: its label.
    """

    name: str
    type: str
    nullable: bool = True
    as_kind: str | None = None
    mask: str | None = None
    classification: str | None = None


@dataclass(frozen=True)
class HistorySpec:
    """How a table knows its past.

    ``interval``: ``column`` says to which interval a row belongs, ``lookback`` how many earlier intervals are captured
    again. ``valid_between``: columns ``valid_from`` and ``valid_to``, the latter being the first moment at which the
    row no longer holds or, with ``to_inclusive``, the last at which it does. ``current``: ``lateness_seconds``.
    """

    mode: HistoryMode
    column: str | None = None
    lateness_seconds: int | None = None
    lookback: int = 0
    valid_from: str | None = None
    valid_to: str | None = None
    to_inclusive: bool = False

    @property
    def columns(self) -> tuple[str, ...]:
        """The source's columns that the mode asks for."""
        return tuple(name for name in (self.column, self.valid_from, self.valid_to) if name is not None)


@dataclass(frozen=True)
class SplitSpec:
    """How a read is divided: at most ``parts`` connections at once; by ``column``, or as the dialect knows best."""

    parts: int = 2
    column: str | None = None


@dataclass(frozen=True)
class ChecksSpec:
    """What must hold before a snapshot is published.

    ``rows``: name → SQL expression (Spark SQL) that must be true, not null, for every row.
    ``max_change``: largest allowed relative change of the row count against the newest earlier snapshot
    (0.5 allows half to one and a half times).
    """

    rows: dict[str, str] = field(default_factory=dict)
    min_rows: int | None = None
    max_change: float | None = None


@dataclass(frozen=True)
class RetentionSpec:
    """How many as-of dates (``keep``), or how many days before the newest (``days``), stay published."""

    keep: int | None = None
    days: int | None = None


@dataclass(frozen=True)
class TableSpec:
    """One table of a run. ``filter`` is SQL of the source; ``start`` the table's first interval, ISO 8601 in UTC.

    ``earlier``: the intervals before the run's, oldest first, that it captures again where they are published
    (``history.lookback``).
    ``estimated_bytes`` are those of the source's rows, ``store_bytes`` what an interval may take in the store.
    ``validate``: how what is stored is compared with the source.
    ``key_checks``: of each connection whose password is the key of a mask, what tells that key from another.
    ``access``: who may read it; None where the manifest does not say, and the store stays as it is.
    """

    name: str
    source_schema: str
    source_table: str
    columns: tuple[ColumnSpec, ...]
    history: HistorySpec
    split: SplitSpec
    checks: ChecksSpec
    retention: RetentionSpec
    schedule: str
    start: str
    filter: str | None = None
    estimated_rows: int | None = None
    estimated_bytes: int | None = None
    store_bytes: int | None = None
    earlier: tuple[IntervalSpec, ...] = ()
    validate: ValidateMode = "columns"
    schema_policy: SchemaPolicy = "additive"
    key_checks: dict[str, str] = field(default_factory=dict)
    access: AccessSpec | None = None

    @property
    def masked(self) -> dict[str, str]:
        """Column → mask, of those that have one."""
        return {column.name: column.mask for column in self.columns if column.mask is not None}

    @property
    def classification(self) -> dict[str, str]:
        """Column → label, of those that have one."""
        return {column.name: column.classification for column in self.columns if column.classification is not None}

    @property
    def source_name(self) -> str:
        """``schema.table`` as people write it, for messages only: SQL is built by the dialect, with quotes."""
        return f"{self.source_schema}.{self.source_table}"
