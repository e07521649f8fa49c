"""How all columns of a table are captured, or the one failure that names every column that cannot be."""

from __future__ import annotations

from collections.abc import Sequence

from warehouse.capture_failures import UnsupportedColumn
from warehouse.dialects.dialect import Captured, CaptureRefused, Dialect
from warehouse.dialects.mask_sql import masked, redacted
from warehouse.kinds import parse_kind
from warehouse.masks import parse_mask
from warehouse.table_spec import ColumnSpec


def capture_columns(dialect: Dialect, table: str, columns: Sequence[ColumnSpec]) -> tuple[Captured, ...]:
    """For each of ``columns``, in order, how it is read. ``table``: its name, for the message.

    :raises UnsupportedColumn: the first that cannot be captured, with the names of the others.
    """
    captured = []
    refused: list[tuple[ColumnSpec, CaptureRefused]] = []
    for column in columns:
        try:
            captured.append(_captured(dialect, column))
        except CaptureRefused as error:
            refused.append((column, error))
    if refused:
        (first, reason), *others = refused
        names = tuple(column.name for column, _ in others)
        raise UnsupportedColumn(table, first.name, first.type, str(reason), reason.hint, names) from reason
    return tuple(captured)


def _captured(dialect: Dialect, column: ColumnSpec) -> Captured:
    mask = parse_mask(column.mask) if column.mask is not None else None
    if mask is not None and mask.name == "redact":
        return redacted(dialect)
    captured = dialect.capture(column)
    # A dialect that knows each type's own kind only must not answer with that one in silence.
    if column.as_kind is not None and captured.kind != parse_kind(column.as_kind):
        raise CaptureRefused(
            f"cannot be captured as {column.as_kind} from {dialect.name}", f"take {column.name} out of columns.types"
        )
    return captured if mask is None else masked(dialect, column, captured, mask)
