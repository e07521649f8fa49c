"""Masks in each engine's SQL: over the captured value, so that hashes agree between tables and engines.

What is hashed is a value's canonical text in UTF-8: a text as it is; a whole number in decimal digits; a decimal with
its scale; a boolean as 0 or 1; a date as the days, a timestamp as the microseconds since 1970-01-01 (which is how they
travel); and of a binary its bytes. What SQL engines write differently (floats) has none and is refused.
"""

from __future__ import annotations

from collections.abc import Collection, Mapping
from typing import Protocol

from warehouse.dialects.dialect import Captured, CaptureRefused, Dialect
from warehouse.kinds import Kind
from warehouse.masks import REDACTED, Mask, MaskKey, setting_of
from warehouse.table_spec import ColumnSpec

TEXT = Kind("text")
READABLE = {"text", "integer", "long", "decimal"}
"""Kinds whose canonical text people read from the left."""
UNICODE_SAMPLE = "Ünï€😀 1"
"""A text by which a source's masks are held against their definition."""
ASCII_SAMPLE = "sample 1"
"""The same for engines whose database need not know every character."""


class MaskSql(Protocol):
    """How one engine says masks. Arguments called ``text`` and ``octets`` are SQL expressions."""

    sample: str = UNICODE_SAMPLE
    from_nothing: str | None = ""
    """What a SELECT of constants has behind its list; None where a statement cannot be without a table."""

    def text(self, column: ColumnSpec, captured: Captured) -> str:
        """The canonical text of a captured value. :raises CaptureRefused: this engine has none for its kind."""

    def octets(self, text: str) -> str:
        """A text in UTF-8."""

    def beginning(self, text: str, characters: int) -> str:
        """The first so many characters."""

    def sha256(self, octets: str) -> str:
        """SHA-256 in small hexadecimal digits; null of null."""
        raise CaptureRefused("cannot be masked by hash, for which this engine has no function that is known")

    def hmac(self, octets: str, setting: str) -> str:
        """HMAC-SHA-256 (RFC 2104) by the key that the session knows as ``setting``; null of null."""
        raise CaptureRefused(
            "cannot be masked by hmac, since this engine's session takes no key that no statement shows",
            "mask it by hash, or exclude it with columns.exclude",
        )

    def constant(self, literal: str) -> str:
        """A literal as an expression of its own."""
        return literal

    def properties(self, base: Mapping[str, str], keys: Collection[MaskKey]) -> Mapping[str, str]:
        """JDBC properties of a connection whose session knows ``keys``; ``base``: those that it has anyway."""
        assert not keys, "hmac is refused"
        return base


def redacted(dialect: Dialect) -> Captured:
    """A column that is not even looked at: that a value is there is told no more than what it is."""
    return Captured(dialect.masks.constant(dialect.literal(REDACTED)), TEXT)


def masked(dialect: Dialect, column: ColumnSpec, captured: Captured, mask: Mask) -> Captured:
    """How ``column`` is read under any other ``mask``, given how it would be read without. Always a text, too.

    :raises CaptureRefused: the engine cannot say it, or the kind has no canonical text.
    """
    engine, kind = dialect.masks, captured.kind.name
    if kind in ("float", "double"):
        raise CaptureRefused(
            f"is captured as {captured.kind}, which engines write differently, and cannot be masked by {mask}",
            f"set columns.types to {{{column.name}: text}}, mask it by redact, or exclude it with columns.exclude",
        )
    if mask.name == "truncate":
        if kind not in READABLE:
            raise CaptureRefused(
                f"is captured as {captured.kind}, of which {mask} would not be what people expect",
                f"set columns.types to {{{column.name}: text}}, or mask it otherwise",
            )
        return _of(captured, engine.beginning(engine.text(column, captured), mask.characters))
    octets = f"({captured.sql})" if kind == "binary" else engine.octets(engine.text(column, captured))
    if mask.name == "hash":
        return _of(captured, engine.sha256(octets))
    return _of(captured, engine.hmac(octets, setting_of(mask.connection)))


def sample_sql(dialect: Dialect, mask: Mask) -> str | None:
    """Statement whose one answer is ``mask`` of the engine's ``sample``; None where nothing can be asked."""
    engine = dialect.masks
    if engine.from_nothing is None:
        return None
    text = engine.constant(dialect.literal(engine.sample))
    match mask.name:
        case "redact":
            return None
        case "truncate":
            expression = engine.beginning(text, mask.characters)
        case "hash":
            expression = engine.sha256(engine.octets(text))
        case "hmac":
            expression = engine.hmac(engine.octets(text), setting_of(mask.connection))
    return f"SELECT {expression}{engine.from_nothing}"


def _of(captured: Captured, sql: str) -> Captured:
    """What cannot be stored exact is refused under a mask, too: two such values would have one hash, that of null."""
    return Captured(sql, TEXT, refused_sql=captured.refused_sql, refused_as=captured.refused_as)


class PostgresqlMasks(MaskSql):
    """From version 11, which has ``sha256``. HMAC is made of it: ``pgcrypto`` is not everywhere."""

    # A database in another encoding knows fewer characters.
    sample = ASCII_SAMPLE

    def text(self, column: ColumnSpec, captured: Captured) -> str:
        if captured.kind.name == "text":
            return f"({captured.sql})"
        if captured.kind.name == "boolean":
            return f"({captured.sql})::integer::text"
        if captured.kind.name == "decimal":
            return f"round({captured.sql}, {captured.kind.scale})::text"
        return f"({captured.sql})::text"

    def octets(self, text: str) -> str:
        return f"convert_to({text}, 'UTF8')"

    def beginning(self, text: str, characters: int) -> str:
        return f"left({text}, {characters})"

    def sha256(self, octets: str) -> str:
        return f"encode(sha256({octets}), 'hex')"

    def hmac(self, octets: str, setting: str) -> str:
        # As a subquery a block is decoded once a statement, not once a row.
        inner, outer = (f"(SELECT decode(current_setting('{_parameter(setting, pad)}'), 'hex'))" for pad in _PADS)
        return f"encode(sha256({outer} || sha256({inner} || {octets})), 'hex')"

    def constant(self, literal: str) -> str:
        return f"{literal}::text"

    def properties(self, base: Mapping[str, str], keys: Collection[MaskKey]) -> Mapping[str, str]:
        if not keys:
            return base
        # Parameters of the connection's start: neither pg_stat_activity nor the statement log has them.
        options = [
            f"-c {_parameter(key.setting, pad)}={block.hex()}"
            for key in keys
            for pad, block in zip(_PADS, (key.inner, key.outer), strict=True)
        ]
        return {**base, "options": " ".join(options)}


class MariadbMasks(MaskSql):
    """MariaDB's and MySQL's; the blocks of a key are user variables of the session."""

    def text(self, column: ColumnSpec, captured: Captured) -> str:
        if captured.kind.name == "text":
            return captured.sql
        if captured.kind.name == "decimal":
            return f"CAST(CAST({captured.sql} AS DECIMAL({captured.kind.precision}, {captured.kind.scale})) AS CHAR)"
        # The zero keeps ZEROFILL from filling.
        return f"CAST(({captured.sql} + 0) AS CHAR)"

    def octets(self, text: str) -> str:
        return f"CAST(CONVERT({text} USING utf8mb4) AS BINARY)"

    def beginning(self, text: str, characters: int) -> str:
        return f"left({text}, {characters})"

    def sha256(self, octets: str) -> str:
        return f"SHA2({octets}, 256)"

    def hmac(self, octets: str, setting: str) -> str:
        inner, outer = (_variable(setting, pad) for pad in _PADS)
        return f"SHA2(concat({outer}, unhex(SHA2(concat({inner}, {octets}), 256))), 256)"

    def properties(self, base: Mapping[str, str], keys: Collection[MaskKey]) -> Mapping[str, str]:
        # The driver sets them when it connects, beside the session's own variables.
        variables = [
            f"{_variable(key.setting, pad)}=x'{block.hex()}'"
            for key in keys
            for pad, block in zip(_PADS, (key.inner, key.outer), strict=True)
        ]
        return {**base, "sessionVariables": ",".join([base["sessionVariables"], *variables])}


class OracleMasks(MaskSql):
    """By the manual: ``STANDARD_HASH`` from 12.1 on. It takes no LOB, and gives a hash even of null."""

    sample = ASCII_SAMPLE
    from_nothing = " FROM dual"

    def text(self, column: ColumnSpec, captured: Captured) -> str:
        if column.type in ("varchar2", "char"):
            return captured.sql
        if captured.kind.name == "decimal":
            assert captured.kind.precision is not None and captured.kind.scale is not None
            whole = "9" * max(0, captured.kind.precision - captured.kind.scale - 1) + "0"
            return f"to_char({captured.sql}, 'FM{whole}{'.' * bool(captured.kind.scale)}{'0' * captured.kind.scale}')"
        raise _no_text(captured)

    def octets(self, text: str) -> str:
        return f"convert({text}, 'AL32UTF8')"

    def beginning(self, text: str, characters: int) -> str:
        return f"substr({text}, 1, {characters})"

    def sha256(self, octets: str) -> str:
        return f"CASE WHEN {octets} IS NOT NULL THEN lower(rawtohex(standard_hash({octets}, 'SHA256'))) END"


class SqlserverMasks(MaskSql):
    """By the manual: UTF-8 has collations from SQL Server 2019 on."""

    def text(self, column: ColumnSpec, captured: Captured) -> str:
        match captured.kind.name:
            case "text":
                return f"CAST({captured.sql} AS nvarchar(max))"
            case "boolean":
                return f"CAST(CAST({captured.sql} AS int) AS nvarchar(max))"
            case "integer" | "long" | "decimal":
                return f"CAST({captured.sql} AS nvarchar(max))"
        raise _no_text(captured)

    def octets(self, text: str) -> str:
        return f"CAST(CAST({text} COLLATE {_UTF8_COLLATION} AS varchar(max)) AS varbinary(max))"

    def beginning(self, text: str, characters: int) -> str:
        # In this collation a character is one, also beyond 16 bits.
        return f"left({text} COLLATE {_UTF8_COLLATION}, {characters})"

    def sha256(self, octets: str) -> str:
        return f"lower(convert(char(64), hashbytes('SHA2_256', {octets}), 2))"

    def constant(self, literal: str) -> str:
        return f"CAST({literal} AS nvarchar(max))"


class StandardMasks(MaskSql):
    """Any other engine: what JDBC has a function for, which every driver translates."""

    from_nothing = None

    def text(self, column: ColumnSpec, captured: Captured) -> str:
        if captured.kind.name == "text":
            return captured.sql
        raise _no_text(captured)

    def octets(self, text: str) -> str:
        return text

    def beginning(self, text: str, characters: int) -> str:
        return f"{{fn SUBSTRING({text}, 1, {characters})}}"


_PADS = ("inner", "outer")
_UTF8_COLLATION = "Latin1_General_100_CI_AS_SC_UTF8"


def _parameter(setting: str, pad: str) -> str:
    """A parameter of PostgreSQL, of a class that no extension owns."""
    return f"warehouse.{setting}_{pad}"


def _variable(setting: str, pad: str) -> str:
    return f"@warehouse_{setting}_{pad}"


def _no_text(captured: Captured) -> CaptureRefused:
    return CaptureRefused(
        f"is captured as {captured.kind}, of which this engine's text is not known to be that of others",
        "mask it by redact, or exclude it with columns.exclude",
    )
