"""SQL by which a source fingerprints the rows that a capture reads; what is the same in every engine.

One statement for all columns, or one for each :data:`COLUMNS_AT_ONCE` of a wide table, over the captured values::

    SELECT count(*), <aggregates over v0, v1, …> FROM (SELECT <captured value> AS v0, … FROM t WHERE …) q
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from typing import Protocol

from warehouse.dialects.dialect import Captured, where_clause
from warehouse.fingerprints import MEASURES, Measure, TextHash, ValidateMode
from warehouse.table_spec import ColumnSpec

COLUMNS_AT_ONCE = 200
"""Of a statement: PostgreSQL has at most 1,664 entries in a SELECT list, and a column takes up to five."""


UNSAID = "nullif(1, 1)"
"""Null in every engine: not all take a bare NULL in a SELECT list."""


@dataclass(frozen=True)
class CapturedColumn:
    """A column of the source and how it is read. ``index``: its place among the table's columns."""

    index: int
    column: ColumnSpec
    captured: Captured

    @property
    def value(self) -> str:
        """Alias of its captured value."""
        return f"v{self.index}"


@dataclass(frozen=True)
class Aggregates:
    """SQL aggregates of one column. ``None``: this engine cannot say it as Spark does."""

    minimum: str | None
    maximum: str | None
    total: str | None

    @property
    def measures(self) -> tuple[Measure, ...]:
        """What of :data:`MEASURES` these are."""
        missing = {"range": self.minimum is None or self.maximum is None, "sum": self.total is None}
        return tuple(measure for measure in MEASURES if not missing.get(measure, False))


@dataclass(frozen=True)
class FingerprintStatement:
    """Its answer is one row: the number of rows; of every column in ``measured`` nulls, minimum, maximum and sum; of
    every one in ``refusing`` how many values are refused; and with ``hashes_rows`` the two words of the row hash.
    """

    sql: str
    measured: tuple[CapturedColumn, ...]
    refusing: tuple[CapturedColumn, ...]
    hashes_rows: bool


class FingerprintSql(Protocol):
    """How one engine says it. Arguments called ``value`` are SQL expressions over captured values."""

    text_hash: TextHash
    fence: str
    """What ends the inner SELECT so that the engine computes each captured value once; may be empty."""

    def value(self, column: ColumnSpec, captured: Captured) -> str:
        """The captured value as the aggregates take it: whole numbers for dates and timestamps, text for text."""

    def aggregates(self, captured: Captured, value: str) -> Aggregates:
        """Minimum, maximum and sum of ``value`` as docs/validation.md defines them."""

    def row_hash(self, columns: Sequence[tuple[Captured, str]]) -> str | None:
        """MD5 in hexadecimal of a row's canonical text; None where the engine has none."""

    def row_hash_words(self, row_hash: str) -> tuple[str, str]:
        """Aggregates: the sums of the first and of the second 32 bits of ``row_hash``."""


def fingerprint_statements(
    engine: FingerprintSql,
    columns: Sequence[tuple[ColumnSpec, Captured]],
    relation: str,
    where_sql: str | None,
    mode: ValidateMode,
) -> tuple[FingerprintStatement, ...]:
    """All statements for one table; the first has the row hash, and each the count."""
    indexed = [CapturedColumn(index, *one) for index, one in enumerate(columns)]
    if mode == "count":
        indexed = [one for one in indexed if one.captured.refused_sql]
    parts = [indexed[start : start + COLUMNS_AT_ONCE] for start in range(0, len(indexed), COLUMNS_AT_ONCE)] or [[]]
    hashed = [(captured, engine.value(column, captured)) for column, captured in columns] if mode == "rows" else []
    return tuple(
        _statement(engine, part, hashed if first else [], relation, where_sql, measures=mode != "count")
        for first, part in ((part is parts[0], part) for part in parts)
    )


def _statement(
    engine: FingerprintSql,
    part: list[CapturedColumn],
    hashed: list[tuple[Captured, str]],
    relation: str,
    where_sql: str | None,
    *,
    measures: bool,
) -> FingerprintStatement:
    inner, outer = [], ["count(*)"]
    refusing = [one for one in part if one.captured.refused_sql]
    if measures:
        for one in part:
            inner.append(f"{engine.value(one.column, one.captured)} AS {one.value}")
            found = engine.aggregates(one.captured, one.value)
            outer.append(f"count(*) - count({one.value})")
            outer += [aggregate or UNSAID for aggregate in (found.minimum, found.maximum, found.total)]
    for one in refusing:
        inner.append(f"CASE WHEN {one.captured.refused_sql} THEN 1 END AS refused{one.index}")
        outer.append(f"count(refused{one.index})")
    row_hash = engine.row_hash(hashed) if hashed else None
    if row_hash is not None:
        inner.append(f"{row_hash} AS row_hash")
        outer += engine.row_hash_words("row_hash")
    rows = f"FROM {relation}{where_clause(where_sql)}"
    if inner:
        rows = f"FROM (SELECT {', '.join(inner)} {rows}{engine.fence}) q"
    return FingerprintStatement(
        f"SELECT {', '.join(outer)} {rows}", tuple(part) if measures else (), tuple(refusing), row_hash is not None
    )
