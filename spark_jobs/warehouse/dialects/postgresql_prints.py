"""PostgreSQL's SQL of fingerprints. Its cheap forms were measured on PostgreSQL 18, see docs/validation.md."""

from __future__ import annotations

from collections.abc import Sequence
from typing import assert_never

from warehouse.dialects.dialect import Captured
from warehouse.dialects.fingerprint_sql import Aggregates, FingerprintSql
from warehouse.fingerprints import TextHash, sums_text
from warehouse.table_spec import ColumnSpec

CRC32_SINCE = 180_000
"""``server_version_num`` of the first version with ``crc32(bytea)`` and with casts from bytea to numbers."""

ABILITIES_SQL = "SELECT current_setting('server_version_num') || ' ' || current_setting('server_encoding')"

NAN_BITS = 0x7FF8000000000000
"""Of Java's one NaN: PostgreSQL computes others, too."""

ARGUMENTS_AT_ONCE = 90
"""A function takes at most 100."""


class PostgresqlFingerprints(FingerprintSql):
    """For one server. :param abilities: its answer to :data:`ABILITIES_SQL`."""

    # Without it the planner would merge the two SELECTs and compute a value once for each of its aggregates.
    fence = " OFFSET 0"

    def __init__(self, abilities: str) -> None:
        version, self.encoding = abilities.split()
        self.has_crc32 = int(version) >= CRC32_SINCE
        self.text_hash: TextHash = "crc32" if self.has_crc32 else "md5"

    def value(self, column: ColumnSpec, captured: Captured) -> str:
        match captured.kind.name:
            case "boolean":
                return f"({captured.sql})::integer"
            case "float":
                return f"({captured.sql})::double precision"
            case _:
                return captured.sql

    def aggregates(self, captured: Captured, value: str) -> Aggregates:
        kind = captured.kind
        match kind.name:
            case "text":
                lowest, highest = (self._extreme_text(which, value) for which in ("min", "max"))
                return Aggregates(f"md5({lowest})", f"md5({highest})", f"sum({self._hash(f'textsend({value})')})")
            case "binary":
                lowest, highest = (self._extreme_bytes(which, value) for which in ("min", "max"))
                return Aggregates(f"md5({lowest})", f"md5({highest})", f"sum({self._hash(value)})")
            case "float" | "double":
                return Aggregates(f"min({value})", f"max({value})", f"sum({self._bits(value)})")
            case "decimal" if sums_text(kind):
                text = f"textsend({self._fixed(captured, value)})"
                return Aggregates(f"min({value})", f"max({value})", f"sum({self._hash(text)})")
            case "boolean" | "integer" | "long" | "decimal" | "date" | "timestamp" | "timestamp_ntz":
                return Aggregates(f"min({value})", f"max({value})", f"sum({value})")
        assert_never(kind.name)

    def row_hash(self, columns: Sequence[tuple[Captured, str]]) -> str | None:
        texts = [f"coalesce({self._canonical(captured, value)}, 'N')" for captured, value in columns]
        while len(texts) > 1:
            groups = [texts[at : at + ARGUMENTS_AT_ONCE] for at in range(0, len(texts), ARGUMENTS_AT_ONCE)]
            texts = [f"concat_ws(',', {', '.join(group)})" for group in groups]
        return f"md5(textsend({texts[0]}))"

    def row_hash_words(self, row_hash: str) -> tuple[str, str]:
        first, second = (f"sum(('x' || substr({row_hash}, {at}, 8))::bit(32)::bigint)" for at in (1, 9))
        return first, second

    def _canonical(self, captured: Captured, value: str) -> str:
        match captured.kind.name:
            case "text":
                return f"length({value}) || ':' || {value}"
            case "binary":
                return f"encode({value}, 'hex')"
            case "float" | "double":
                return f"({self._bits(value)})::text"
            case "decimal":
                return self._fixed(captured, value)
            case "boolean" | "integer" | "long" | "date" | "timestamp" | "timestamp_ntz":
                return f"({value})::text"
        assert_never(captured.kind.name)

    def _fixed(self, captured: Captured, value: str) -> str:
        return f"round({value}, {captured.kind.scale})::text"

    def _bits(self, value: str) -> str:
        """The IEEE bits of a double as a signed number."""
        sent = f"float8send({value})"
        bits = f"{sent}::bigint" if self.has_crc32 else f"('x' || encode({sent}, 'hex'))::bit(64)::bigint"
        return f"CASE WHEN {value} = 'NaN' THEN {NAN_BITS} ELSE {bits} END"

    def _hash(self, sent: str) -> str:
        """The 32-bit hash of bytes as a whole number. ``textsend`` gives UTF-8: the driver sets the client encoding."""
        if self.has_crc32:
            return f"crc32({sent})"
        return f"('x' || substr(md5({sent}), 1, 8))::bit(32)::bigint"

    def _extreme_text(self, which: str, value: str) -> str:
        if self.encoding == "UTF8":
            return f'textsend({which}({value} COLLATE "C"))'
        return f"decode({which}(encode(textsend({value}), 'hex') COLLATE \"C\"), 'hex')"

    def _extreme_bytes(self, which: str, value: str) -> str:
        if self.has_crc32:
            return f"{which}({value})"
        return f"decode({which}(encode({value}, 'hex') COLLATE \"C\"), 'hex')"
