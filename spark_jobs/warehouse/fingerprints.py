"""Fingerprints of a table: what its source says of the captured rows, what Spark says of the stored ones, and where
the two differ. docs/validation.md has the normalisation of each kind.

Pure. A range and a sum are values of the data: a :class:`TableFingerprint` lives in memory, in the store beside the
rows themselves, and on the terminal of whoever may read both sides. What logs, records and answers carry of it are
counts, verdicts (:class:`Difference`) and :func:`digest`.
"""

from __future__ import annotations

import hashlib
import struct
from dataclasses import dataclass
from decimal import Context, Decimal
from typing import Literal, assert_never

from warehouse.kinds import Kind, parse_kind
from warehouse.spec_json import to_json

ValidateMode = Literal["count", "columns", "rows"]
"""How a stored snapshot is compared with its source: by its row count; also by a fingerprint of each column; also by
a hash of all rows."""

TextHash = Literal["crc32", "md5"]
"""How a text or binary value becomes a number to be summed: CRC-32 of its bytes, or the first 32 bits of their MD5."""

Measure = Literal["nulls", "range", "sum"]
What = Literal["rows", "nulls", "range", "sum", "hash"]

MEASURES: tuple[Measure, ...] = ("nulls", "range", "sum")
EXACT = Context(prec=200)
"""Python's default context would round a sum of more than 28 digits."""

MAX_SUMMED_DIGITS = 28
"""A decimal of more digits is summed by the hash of its text: 10 digits more, for as many rows, would exceed 38."""


@dataclass(frozen=True)
class ColumnFingerprint:
    """One column over all rows; ``minimum``, ``maximum`` and ``sum`` are canonical texts, None where all are null.

    ``measures``: what this side could compute; an engine without a hash has no sum of texts.
    """

    name: str
    kind: str
    nulls: int
    minimum: str | None
    maximum: str | None
    sum: str | None
    measures: tuple[Measure, ...] = MEASURES


@dataclass(frozen=True)
class TableFingerprint:
    """``row_hash``: order-independent hash of all rows, two sums of 32-bit words; None where rows were not hashed."""

    rows: int
    columns: tuple[ColumnFingerprint, ...]
    text_hash: TextHash = "crc32"
    row_hash: str | None = None


@dataclass(frozen=True)
class Difference:
    """What differs between the sides; ``column`` is None for the rows as a whole."""

    column: str | None
    what: tuple[What, ...]

    def __str__(self) -> str:
        found = ", ".join(self.what[:-1]) + " and " + self.what[-1] if len(self.what) > 1 else self.what[0]
        return f"the rows differ in {found}" if self.column is None else f"column {self.column!r} differs in {found}"


@dataclass(frozen=True)
class ComparedColumn:
    """One column of a :class:`Comparison`, for machines and people: counts and verdicts, no value of the data.

    ``compared``: what both sides computed; ``differs``: what of it is not the same; ``hash`` where values are summed
    by their bits or hashes.
    """

    column: str
    kind: str
    source_nulls: int
    stored_nulls: int
    compared: tuple[What, ...]
    differs: tuple[What, ...]


@dataclass(frozen=True)
class Comparison:
    """Both sides of one table. ``rows_equal``: by their hash; None where rows were not hashed."""

    table: str
    as_of: str
    mode: ValidateMode
    source_rows: int
    stored_rows: int
    columns: tuple[ComparedColumn, ...]
    rows_equal: bool | None = None

    @property
    def differences(self) -> tuple[Difference, ...]:
        """All that differs: the rows first, then the columns in the table's order."""
        whole: list[What] = ["rows"] if self.source_rows != self.stored_rows else []
        whole += ["hash"] if self.rows_equal is False else []
        found = [Difference(None, tuple(whole))] if whole else []
        return (*found, *(Difference(one.column, one.differs) for one in self.columns if one.differs))


def compare(
    table: str, as_of: str, mode: ValidateMode, source: TableFingerprint, stored: TableFingerprint
) -> Comparison:
    """Hold both sides against each other; columns are told by their place, which is the same on both.

    :raises ValueError: the sides are not of the same columns or text hash, so that nothing can be said.
    """
    if [column.name for column in source.columns] != [column.name for column in stored.columns]:
        raise ValueError(f"table {table}: the two fingerprints are not of the same columns")
    if source.text_hash != stored.text_hash or (source.row_hash is None) != (stored.row_hash is None):
        raise ValueError(f"table {table}: the two fingerprints were not made in the same way")
    return Comparison(
        table,
        as_of,
        mode,
        source.rows,
        stored.rows,
        tuple(_compared(one, other) for one, other in zip(source.columns, stored.columns, strict=True)),
        None if source.row_hash is None else source.row_hash == stored.row_hash,
    )


def _compared(source: ColumnFingerprint, stored: ColumnFingerprint) -> ComparedColumn:
    kind = parse_kind(source.kind)
    by_hash = sums_text(kind) or kind.name in ("float", "double")
    named: dict[Measure, What] = {"nulls": "nulls", "range": "range", "sum": "hash" if by_hash else "sum"}
    both = [measure for measure in source.measures if measure in stored.measures]
    differs = tuple(named[measure] for measure in both if _measured(source, measure) != _measured(stored, measure))
    compared = tuple(named[measure] for measure in both)
    return ComparedColumn(source.name, source.kind, source.nulls, stored.nulls, compared, differs)


def _measured(column: ColumnFingerprint, measure: Measure) -> object:
    match measure:
        case "nulls":
            return column.nulls
        case "range":
            return column.minimum, column.maximum
        case "sum":
            return column.sum
    assert_never(measure)


def digest(fingerprint: TableFingerprint) -> str:
    """SHA-256 of a fingerprint (hexadecimal): equal for equal ones, whichever side computed them."""
    return hashlib.sha256(to_json(fingerprint).encode()).hexdigest()


def sums_text(kind: Kind) -> bool:
    """Whether values of ``kind`` are summed by the hash of their canonical text or bytes."""
    if kind.name == "decimal":
        assert kind.precision is not None
        return kind.precision > MAX_SUMMED_DIGITS
    return kind.name in ("text", "binary")


def canonical(kind: Kind, value: object) -> str | None:
    """The one text of a minimum or maximum, whether it came as text over JDBC or as Spark's Python value.

    Whole numbers in decimal; decimals with their scale; floats in hexadecimal, the zero without sign and NaN as
    ``nan``; hashes of texts and binaries as they are.
    """
    if value is None:
        return None
    match kind.name:
        case "boolean" | "integer" | "long" | "date" | "timestamp" | "timestamp_ntz":
            return str(int(str(value)))
        case "decimal":
            assert kind.scale is not None
            return format(Decimal(str(value)).quantize(Decimal(1).scaleb(-kind.scale), context=EXACT), "f")
        case "float" | "double":
            number = float(str(value)) + 0.0  # -0.0 + 0.0 is 0.0
            if kind.name == "float":  # written with the digits of a float, which are not those of its double
                number = struct.unpack("f", struct.pack("f", number))[0]
            return number.hex()
        case "text" | "binary":
            return str(value)
    assert_never(kind.name)


def canonical_sum(kind: Kind, value: object) -> str | None:
    """The one text of a sum: a decimal with its scale, else a whole number; sums of nothing are None."""
    if value is None:
        return None
    if kind.name == "decimal" and not sums_text(kind):
        return canonical(kind, value)
    return format(Decimal(str(value)).to_integral_value(context=EXACT), "f")


def column_fingerprint(
    name: str,
    kind: str,
    *,
    nulls: int,
    minimum: object,
    maximum: object,
    total: object,
    measures: tuple[Measure, ...] = MEASURES,
) -> ColumnFingerprint:
    """A column's fingerprint from either side's raw answers."""
    parsed = parse_kind(kind)
    return ColumnFingerprint(
        name,
        kind,
        nulls,
        canonical(parsed, minimum),
        canonical(parsed, maximum),
        canonical_sum(parsed, total),
        measures,
    )
