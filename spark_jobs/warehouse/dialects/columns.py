"""How all columns of a table are captured, or the one failure that names every column that cannot be."""

from __future__ import annotations

from collections.abc import Sequence

from warehouse.dialects.dialect import Captured, CaptureRefused, Dialect
from warehouse.failures import UnsupportedColumn
from warehouse.job_spec import ColumnSpec


def capture_columns(dialect: Dialect, table: str, columns: Sequence[ColumnSpec]) -> tuple[Captured, ...]:
    """For each of ``columns``, in order, how it is read. ``table``: its name, for the message.

    :raises UnsupportedColumn: the first that cannot be captured, with the names of the others.
    """
    captured = []
    refused: list[tuple[ColumnSpec, CaptureRefused]] = []
    for column in columns:
        try:
            captured.append(dialect.capture(column))
        except CaptureRefused as error:
            refused.append((column, error))
    if refused:
        (first, reason), *others = refused
        names = tuple(column.name for column, _ in others)
        raise UnsupportedColumn(table, first.name, first.type, str(reason), reason.hint, names) from reason
    return tuple(captured)
