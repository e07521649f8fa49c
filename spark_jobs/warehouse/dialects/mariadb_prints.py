"""MariaDB's SQL of fingerprints."""

from __future__ import annotations

from collections.abc import Sequence
from typing import assert_never

from warehouse.dialects.dialect import Captured
from warehouse.dialects.fingerprint_sql import Aggregates, FingerprintSql
from warehouse.fingerprints import TextHash, sums_text
from warehouse.table_spec import ColumnSpec


class MariadbFingerprints(FingerprintSql):
    """The same for every version."""

    text_hash: TextHash = "crc32"
    # A derived table that is not merged would be written to a temporary table, row by row.
    fence = ""

    def value(self, column: ColumnSpec, captured: Captured) -> str:
        match captured.kind.name:
            case "text":
                # In the source's own character set, bytes would differ, and so would their order.
                return f"CAST(CONVERT({captured.sql} USING utf8mb4) AS BINARY)"
            case "float" | "double":
                # A FLOAT is otherwise written with six digits.
                return f"CAST({captured.sql} AS DOUBLE)"
            case "binary":
                return captured.sql
            case "boolean" | "integer" | "long" | "decimal" | "date" | "timestamp" | "timestamp_ntz":
                # The zero keeps ZEROFILL from filling.
                return f"({captured.sql} + 0)"
        assert_never(captured.kind.name)

    def aggregates(self, captured: Captured, value: str) -> Aggregates:
        kind = captured.kind
        if kind.name in ("text", "binary"):
            return Aggregates(f"md5(min({value}))", f"md5(max({value}))", f"sum(crc32({value}))")
        total = value
        if kind.name in ("float", "double"):
            total = _bits(value)
        elif sums_text(kind):
            total = f"crc32({_fixed(captured, value)})"
        return Aggregates(f"min({value})", f"max({value})", f"sum({total})")

    def row_hash(self, columns: Sequence[tuple[Captured, str]]) -> str | None:
        texts = ", ".join(f"coalesce({_canonical(captured, value)}, 'N')" for captured, value in columns)
        return f"md5(concat_ws(',', {texts}))"

    def row_hash_words(self, row_hash: str) -> tuple[str, str]:
        first, second = (f"sum(CAST(conv(substr({row_hash}, {at}, 8), 16, 10) AS UNSIGNED))" for at in (1, 9))
        return first, second


def _canonical(captured: Captured, value: str) -> str:
    match captured.kind.name:
        case "text":
            return f"concat(char_length(CONVERT({value} USING utf8mb4)), ':', {value})"
        case "binary":
            return f"lower(hex({value}))"
        case "float" | "double":
            return f"CAST({_bits(value)} AS CHAR)"
        case "decimal":
            return _fixed(captured, value)
        case "boolean" | "integer" | "long" | "date" | "timestamp" | "timestamp_ntz":
            return f"CAST({value} AS CHAR)"
    assert_never(captured.kind.name)


def _fixed(captured: Captured, value: str) -> str:
    return f"CAST(CAST({value} AS DECIMAL({captured.kind.precision}, {captured.kind.scale})) AS CHAR)"


def _bits(value: str) -> str:
    """The IEEE bits as a signed number: a point in binary holds them, lowest byte first, behind five other bytes."""
    # MariaDB sends -0 as 0; to add nothing makes it one here, too.
    point = f"hex(ST_AsWKB(POINT({value} + 0, 0)))"
    # From the ninth byte of the number, which is its last, back to the first; two digits a byte, counted from 1.
    digits = ", ".join(f"substr({point}, {at}, 2)" for at in range(25, 9, -2))
    return f"CAST(conv(concat({digits}), 16, -10) AS SIGNED)"
