"""A table's history in the source's SQL: one place for what is estimated, counted, fingerprinted and read.

The state of an interval is the one just before its end, since intervals are half-open.
"""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass
from datetime import datetime, timedelta
from typing import assert_never

from warehouse.dialects import Dialect
from warehouse.run_spec import IntervalSpec
from warehouse.table_spec import ColumnSpec, HistorySpec

JUST_BEFORE = timedelta(microseconds=1)
"""The finest step of a timestamp in any source here, and of the store's."""


@dataclass(frozen=True)
class HistoryRows:
    """``relation``: what stands behind ``FROM``. ``condition``: which of its rows; None for all."""

    relation: str
    condition: str | None


def history_rows(
    dialect: Dialect,
    schema: str,
    table: str,
    *,
    history: HistorySpec,
    interval: IntervalSpec,
    columns: Mapping[str, ColumnSpec],
    time_zone: str,
) -> HistoryRows:
    """The rows that a table has for ``interval``, whether or not its history's columns are among those read.

    :param columns: of the source's table by name, at least those that the history names.
    :param time_zone: of the source: what its dates and times without zone mean.
    :raises DialectError: the engine, or the type of a column, cannot express it.
    """
    start, end = datetime.fromisoformat(interval.start), datetime.fromisoformat(interval.end)
    match history.mode:
        case "interval":
            assert history.column is not None
            column = columns[history.column]
            condition = dialect.interval_predicate(column.name, column.type, start, end, time_zone)
            return HistoryRows(dialect.relation(schema, table), condition)
        case "valid_between":
            assert history.valid_from is not None and history.valid_to is not None
            condition = dialect.validity_predicate(
                columns[history.valid_from],
                columns[history.valid_to],
                end,
                time_zone,
                to_inclusive=history.to_inclusive,
            )
            return HistoryRows(dialect.relation(schema, table), condition)
        case "time_travel":
            return HistoryRows(dialect.relation(schema, table, at=end - JUST_BEFORE), None)
        case "current":
            return HistoryRows(dialect.relation(schema, table), None)
        case _:
            assert_never(history.mode)
