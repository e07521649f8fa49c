"""Which way to divide a table's read, asked of the held state; see ``splits`` for why any way is exact."""

from __future__ import annotations

from contextlib import suppress
from typing import TYPE_CHECKING

from warehouse.capture_failures import SplitImpossible
from warehouse.dialects import DialectError
from warehouse.splits import (
    SMALL_INTERVAL,
    Division,
    KeyAt,
    borders,
    conditions,
    grid,
    sample_share,
)
from warehouse.table_spec import ColumnSpec

if TYPE_CHECKING:
    from warehouse.consistent_read import SourceState
    from warehouse.source_read import SourceRead


def divide(state: SourceState, read: SourceRead, columns: dict[str, ColumnSpec], *, small_rows: int) -> Division:
    """By ``split.column`` where the manifest names one; else by place inside a shared state; else by an indexed key.

    Borders are values of the keys, which leave the source: only by what is captured in clear is a table split.

    An interval that is a small part of its table is read by the index on its column, where there is one: by place,
    every connection would look through its part of all intervals.

    :param small_rows: estimated rows below which one connection is faster than several.
    :raises SplitImpossible: keys of ``split.column`` have no order.
    """
    table = read.table
    if why := _undivided(read, small_rows):
        return Division(f": {why}")
    parts = _stored_parts(state, read)
    stored = bool(parts) and all(kind == "heap" for kind, _ in parts)
    if table.split.column is not None:
        if table.split.column not in _clear(read):
            raise SplitImpossible(
                table.name,
                f"its column {table.split.column!r} is masked or not captured, and its values, of which borders are "
                "made, do not leave the source; name another column as split.column, or none",
            )
        try:
            return _by_key(state, read, columns[table.split.column], stored=stored)
        except DialectError as error:
            raise SplitImpossible(table.name, f"its column {table.split.column!r}: {error}") from error
    column = _best_column(state, read, places=stored and state.snapshot is not None)
    if column is not None:
        # Not every index orders keys as a literal can be compared with them.
        with suppress(DialectError):
            return _by_key(state, read, columns[column], stored=stored)
    if stored and state.snapshot is not None:
        return _by_place(state, read, [pages for _, pages in parts])
    what = next((f"a {kind} has" for kind, _ in parts if kind in ("view", "foreign table")), "there is")
    return Division(f": {what} no unique index to split by; split.column may name a column")


def _undivided(read: SourceRead, small_rows: int) -> str | None:
    """Why one connection reads the table however it might be divided; None where several may."""
    if read.table.split.parts <= 1:
        return "split.parts is 1"
    if read.estimated_rows is not None and read.estimated_rows < small_rows:
        return f"about {read.estimated_rows:,} rows"
    return None


def _best_column(state: SourceState, read: SourceRead, *, places: bool) -> str | None:
    """The column by whose index to read; None for none, or where places are better.

    Places move between states: without a shared one a row might be read twice.
    """
    interval_column = read.table.history.column
    if places and interval_column is None:
        return None
    sql = state.dialect.keys_sql(read.table.source_schema, read.table.source_table)
    indexed = [] if sql is None else state.query(sql, read.table.name)
    leading = [(name, unique) for name, unique in indexed if name in _clear(read)]
    if any(name == interval_column for name, _ in leading) and _is_small_part(state, read):
        return interval_column
    return None if places else next((name for name, unique in leading if unique == "true"), None)


def _clear(read: SourceRead) -> set[str]:
    """Columns whose values the store holds as the source has them."""
    return {column.name for column in read.columns if column.mask is None}


def _by_place(state: SourceState, read: SourceRead, pages: list[int]) -> Division:
    expression, literals = state.dialect.place_split(pages, read.table.split.parts)
    return (
        Division(" by place", expression, conditions(literals, nulls=False))
        if literals
        else Division(": at most one page")
    )


def _by_key(state: SourceState, read: SourceRead, column: ColumnSpec, *, stored: bool) -> Division:
    dialect, table = state.dialect, read.table
    share, wanted = sample_share(read.estimated_rows), grid(table.split.parts)

    def sample(share: float) -> list[KeyAt]:
        sql = dialect.key_sample_sql(column, read.relation, read.where_sql, share=share, stored=stored, grid=wanted)
        return [KeyAt(text, int(rank or 0), int(of or 0)) for text, rank, of in state.query(sql, table.name)]

    keys = sample(share)
    if share < 1 and len(keys) < wanted:
        # The estimate was far too high, or the rows lie in a few pages that the sample missed.
        keys = sample(1.0)
    literals = [dialect.key_literal(border, column.type) for border in borders(keys, table.split.parts)]
    if not literals:
        return Division(f": all keys of column {column.name!r} are equal" if keys else ": no rows")
    return Division(f" by column {column.name!r}", dialect.key_expression(column), conditions(literals))


def _stored_parts(state: SourceState, read: SourceRead) -> list[tuple[str, int]]:
    """Kind and pages of each part in which the table is stored."""
    sql = state.dialect.storage_sql(read.table.source_schema, read.table.source_table)
    if sql is None:
        return []
    return [(kind or "", int(pages or 0)) for kind, pages in state.query(sql, read.table.name)]


def _is_small_part(state: SourceState, read: SourceRead) -> bool:
    """Whether the rows to read are estimated to be a small share of the table."""
    dialect = state.dialect
    whole = dialect.estimate_sql(dialect.select(read.expressions, read.relation))
    if whole is None or read.estimated_rows is None:
        return False
    rows, _ = dialect.read_estimate(state.value(whole, read.table.name) or "")
    return read.estimated_rows < SMALL_INTERVAL * rows
