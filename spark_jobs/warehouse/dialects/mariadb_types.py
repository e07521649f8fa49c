"""How each type of MariaDB arrives: as a value of the store that equals it, or as the source's own text.

Types are named as ``information_schema`` writes them (``column_type``), with the character set behind those whose
texts Unicode may not all hold (:data:`TYPE_SQL`). Sessions must have ``time_zone = '+00:00'``.
"""

from __future__ import annotations

import re

from warehouse.dialects.dialect import Captured, CaptureRefused, Encoding
from warehouse.kinds import MAX_DECIMAL_DIGITS, WHOLE_NUMBER_BITS, Kind, decimal, parse_kind
from warehouse.table_spec import ColumnSpec

UNICODE = ("utf8mb4", "utf8mb3", "utf8", "ucs2", "utf16", "utf16le", "utf32", "latin1")
"""Character sets of which every text has its like in utf8mb4; MariaDB's latin1 maps all 256 bytes."""

TYPE_SQL = (
    f"CASE WHEN character_set_name IN ({', '.join(repr(name) for name in UNICODE)}) OR character_set_name IS NULL "
    "THEN column_type ELSE concat(column_type, ' character set ', character_set_name) END"
)
"""Expression over ``information_schema.columns`` for ``ColumnSpec.type``."""

INTEGER = re.compile(r"(tinyint|smallint|mediumint|int|bigint)(\(\d+\))?( unsigned)?( zerofill)?")
DECIMAL = re.compile(r"decimal\((\d+),(\d+)\)( unsigned)?( zerofill)?")
FLOATING = re.compile(r"(float|double)(\(\d+,\d+\))?( unsigned)?( zerofill)?")
BIT = re.compile(r"bit\((\d+)\)")
YEAR = re.compile(r"year(\(\d\))?")
WALL_TIME = re.compile(r"datetime(?:\(([1-6])\))?")
INSTANT = re.compile(r"timestamp(?:\(([1-6])\))?")
TEXT = re.compile(
    r"((?:var)?char\(\d+\)|(?:tiny|medium|long)?text|enum\(.*\)|set\(.*\))(?: character set (\w+))?", re.DOTALL
)
BINARY = re.compile(r"(var)?binary\(\d+\)|(tiny|medium|long)?blob")
AS_CHARACTERS = re.compile(r"time(\(\d\))?|uuid|inet4|inet6")
GEOMETRY = re.compile(r"geometry|(multi)?(point|linestring|polygon)|geometrycollection")
SHORT_BITS = {"tinyint": 8, "smallint": 16, "mediumint": 24, "int": 32}
NUMBER_KINDS = {"integer", "long", "decimal", "double"}
DAY_0_OF_1970 = 719528
"""``to_days('1970-01-01')``."""
NO_DATE = "zero, in the year 0 or no date of the calendar"

EXAMPLES: tuple[tuple[str, str], ...] = (
    ("tinyint(1)", "-128 to 127, whatever drivers make of it"),
    ("tinyint(3) unsigned", ""),
    ("smallint(6)", ""),
    ("mediumint(9)", ""),
    ("int(11)", ""),
    ("int(10) unsigned", ""),
    ("bigint(20)", ""),
    ("bigint(20) unsigned", ""),
    ("decimal(12,2)", ""),
    ("decimal(65,30)", "more digits than a decimal of the store has"),
    ("float", "all of its 32 bits, of which MariaDB itself shows six digits"),
    ("double", "-0 is 0, as MariaDB shows it"),
    ("bit(1)", ""),
    ("bit(10)", "`0000000101`"),
    ("year(4)", ""),
    ("date", "a Gregorian date from the year 1 on"),
    ("datetime(6)", "a wall time"),
    ("timestamp(6)", "an instant"),
    ("time(6)", "`-838:59:59.999999`"),
    ("char(5)", "without the spaces that fill it, as MariaDB has it"),
    ("varchar(20)", ""),
    ("varchar(20) character set sjis", "so every type of text in a character set that is not of Unicode, but latin1"),
    ("longtext", "JSON too: as written"),
    ("enum('a','b')", "by its label; an invalid value is the empty text"),
    ("set('a','b')", "`a,b`"),
    ("binary(4)", "with the zeros that fill it"),
    ("varbinary(9)", ""),
    ("longblob", ""),
    ("uuid", ""),
    ("inet4", ""),
    ("inet6", ""),
    ("point", "`SRID=4326;POINT(0.1 1e300)`; so every geometry"),
)
"""Types that people use and a note on each, for the documentation."""


def capture_mariadb(name: str, column: ColumnSpec) -> Captured:
    """How ``column``, whose quoted name is ``name``, is read.

    :raises CaptureRefused: its type has no kind of its own, or its values are none of the kind that is asked for.
    """
    type_name = column.type
    asked = parse_kind(column.as_kind) if column.as_kind is not None else None
    own = _own(name, type_name)
    if own is not None and asked in (None, own.kind):
        return own
    number = DECIMAL.fullmatch(type_name)
    if own is None and number is None:
        raise CaptureRefused("is not known", f"set columns.exclude to [{column.name}]")
    if asked is None:
        raise CaptureRefused(
            f"has more than {MAX_DECIMAL_DIGITS} digits, so that no decimal of the store holds all of its values",
            f"set columns.types to {{{column.name}: text}}, or to a decimal that holds those it has",
        )
    if asked.name == "text":
        return Captured(_text(name, type_name), asked)
    bit = BIT.fullmatch(type_name)
    if asked.name == "boolean" and (type_name == "bit(1)" or type_name.startswith("tinyint(1)")):
        fits = f"{name} + 0 IN (0, 1)"
        return Captured(f"CASE WHEN {fits} THEN {name} + 0 END", asked, "plain", f"NOT ({fits})", "neither 0 nor 1")
    if asked.name in NUMBER_KINDS and (number or bit or INTEGER.fullmatch(type_name) or YEAR.fullmatch(type_name)):
        return _number_as(f"({name} + 0)" if bit or YEAR.fullmatch(type_name) else name, asked)
    if asked.name == "double" and type_name.startswith("float"):
        return Captured(f"CAST({name} AS DOUBLE)", asked)
    raise CaptureRefused(
        f"cannot be captured as {asked}", f"take {column.name} out of columns.types, or set it to text"
    )


def _own(name: str, type_name: str) -> Captured | None:  # noqa: PLR0911 - one return per family of types
    """As the type demands; None where no kind holds every value of it, or it is not known."""
    if number := INTEGER.fullmatch(type_name):
        return Captured(name, _whole(number[1], unsigned=number[3] is not None))
    if number := DECIMAL.fullmatch(type_name):
        precision, scale = int(number[1]), int(number[2])
        return Captured(name, decimal(precision, scale)) if precision <= MAX_DECIMAL_DIGITS else None
    if number := FLOATING.fullmatch(type_name):
        # As itself a float is shown, and sent, with six digits.
        return Captured(f"CAST({name} AS DOUBLE)", Kind("float" if number[1] == "float" else "double"))
    if YEAR.fullmatch(type_name):
        return Captured(f"({name} + 0)", Kind("integer"))
    if type_name == "date":
        return _counted(name, f"to_days({name}) - {DAY_0_OF_1970}", Kind("date"), "epoch_days")
    if WALL_TIME.fullmatch(type_name):
        return _counted(name, epoch_micros(name), Kind("timestamp_ntz"), "epoch_micros")
    if INSTANT.fullmatch(type_name):
        return _counted(name, epoch_micros(name), Kind("timestamp"), "epoch_micros")
    if text := TEXT.fullmatch(type_name):
        return _characters(name, text[2])
    if BINARY.fullmatch(type_name):
        return Captured(name, Kind("binary"))
    if BIT.fullmatch(type_name) or AS_CHARACTERS.fullmatch(type_name) or GEOMETRY.fullmatch(type_name):
        return Captured(_text(name, type_name), Kind("text"))
    return None


def epoch_micros(name: str) -> str:
    """Microseconds from 1970-01-01 to a wall time; of a ``timestamp`` column in UTC, as sessions have it."""
    return f"timestampdiff(MICROSECOND, TIMESTAMP'1970-01-01 00:00:00', {name})"


def _counted(name: str, sql: str, kind: Kind, encoding: Encoding) -> Captured:
    """A date or timestamp as a number.

    2013-02-31 and the days of the year 0 are counted too, but wrong; to add nothing to them gives null, as it does for
    0000-00-00 and 2013-00-15.
    """
    fits = f"{name} + INTERVAL 0 DAY IS NOT NULL"
    return Captured(f"CASE WHEN {fits} THEN {sql} END", kind, encoding, f"{name} IS NOT NULL AND NOT ({fits})", NO_DATE)


def _whole(base: str, *, unsigned: bool) -> Kind:
    if base == "bigint":
        return decimal(20, 0) if unsigned else Kind("long")
    return Kind("long" if SHORT_BITS[base] + unsigned > WHOLE_NUMBER_BITS["integer"] else "integer")


def _characters(name: str, character_set: str | None) -> Captured:
    text = f"CONVERT({name} USING utf8mb4)"
    if character_set is None:
        return Captured(text, Kind("text"))
    # What has no like in Unicode would become a question mark: it does not come back.
    fits = f"CAST(CONVERT({text} USING {character_set}) AS BINARY) = CAST({name} AS BINARY)"
    return Captured(
        f"CASE WHEN {fits} THEN {text} END", Kind("text"), "plain", f"NOT ({fits})", f"no text of {character_set}"
    )


def _text(name: str, type_name: str) -> str:
    if bit := BIT.fullmatch(type_name):
        return f"lpad(bin({name}), {bit[1]}, '0')"
    if GEOMETRY.fullmatch(type_name):
        return f"concat('SRID=', ST_SRID({name}), ';', ST_AsText({name}))"
    if BINARY.fullmatch(type_name):
        return f"hex({name})"
    if type_name.startswith("float"):
        name = f"CAST({name} AS DOUBLE)"
    return f"CONVERT({name} USING utf8mb4)"


def _number_as(value: str, kind: Kind) -> Captured:
    """``value``, an exact number, as ``kind``; what that kind does not hold exactly is refused."""
    if kind.name == "decimal":
        assert kind.precision is not None and kind.scale is not None
        # Written out: 1e28 would be a double.
        bound = "1" + "0" * (kind.precision - kind.scale)
        fits = f"{value} > -{bound} AND {value} < {bound} AND {value} = round({value}, {kind.scale})"
        cast = str(kind)
    elif kind.name == "double":
        # The double must be written as this number.
        fits = f"CAST(CAST(CAST({value} AS DOUBLE) AS CHAR) AS DECIMAL(65,30)) = {value}"
        cast = "DOUBLE"
    else:
        limit = 2 ** (WHOLE_NUMBER_BITS[kind.name] - 1)
        fits, cast = f"{value} BETWEEN {-limit} AND {limit - 1} AND {value} = truncate({value}, 0)", "SIGNED"
    return Captured(
        f"CASE WHEN {fits} THEN CAST({value} AS {cast}) END", kind, "plain", f"NOT ({fits})", f"not exactly {kind}"
    )
