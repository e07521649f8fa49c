"""How each type of PostgreSQL arrives: as a value of the store that equals it, or as the source's own text.

Types are named as ``format_type`` writes them, domains resolved. Text is what the type's output function gives under
:data:`SESSION_SETTINGS`, on which ``pg_dump`` relies too: it can be read back as the same value.
"""

from __future__ import annotations

import re

from warehouse.dialects.dialect import Captured, CaptureRefused
from warehouse.kinds import MAX_DECIMAL_DIGITS, WHOLE_NUMBER_BITS, Kind, KindName, decimal, parse_kind
from warehouse.table_spec import ColumnSpec

SESSION_SETTINGS = (
    "SET TimeZone = 'UTC'",
    "SET DateStyle = 'ISO'",
    "SET IntervalStyle = 'iso_8601'",
    "SET extra_float_digits = 3",
    "SET bytea_output = 'hex'",
)
"""What values look like as text. ``lc_monetary`` is left alone: it says how many decimals a stored money value has."""

WITH_TIME_ZONE = re.compile(r"timestamp(\(\d\))? with time zone")
WITHOUT_TIME_ZONE = re.compile(r"timestamp(\(\d\))? without time zone")
CHARACTER = re.compile(r"character(\(\d+\))?|bpchar")
NUMERIC = re.compile(r"numeric\((\d+),(-?\d+)\)")
PLAIN: dict[str, KindName] = {
    "boolean": "boolean",
    "smallint": "integer",
    "integer": "integer",
    "bigint": "long",
    "real": "float",
    "double precision": "double",
    "bytea": "binary",
}
"""Types whose every value the driver hands over as it is, NaN and infinities of floating point included."""
NUMBERS = {"smallint", "integer", "bigint", "money"}
"""Beside numeric, what can be asked for as another number."""
NUMBER_KINDS = {"integer", "long", "decimal", "double"}

LAST_MOMENT = "294247-01-10 04:00:54.775807"
"""The last microsecond that 64 bits count from 1970; PostgreSQL's own, counted from 2000, go 30 years further."""
EPOCH_2000_MICROS = 946_684_800_000_000
MONEY = decimal(19, 2)

EXAMPLES: tuple[tuple[str, str], ...] = (
    ("boolean", ""),
    ("smallint", ""),
    ("integer", ""),
    ("bigint", ""),
    ("real", "NaN, infinities and -0 included"),
    ("double precision", "NaN, infinities and -0 included"),
    ("numeric(12,2)", ""),
    ("numeric(5,-3)", "rounded to thousands by the source"),
    ("numeric(3,5)", ""),
    ("numeric(50,2)", "more digits than a decimal of the store has"),
    ("numeric", "no precision: any number of digits on either side"),
    ("money", "in units of the source's `lc_monetary`"),
    ("oid", ""),
    ("date", "any year, also before 1582, before Christ and after 9999"),
    ("timestamp without time zone", "a wall time"),
    ("timestamp with time zone", "an instant"),
    ("time without time zone", "`24:00:00` is a value"),
    ("time with time zone", "with its own offset"),
    ("interval", "ISO 8601: `P1Y2M-3DT4H5M6.789S`"),
    ("text", ""),
    ("character varying(20)", ""),
    ("character(3)", "with the spaces that fill it, as a query shows it"),
    ('"char"', ""),
    ("name", ""),
    ("bytea", ""),
    ("uuid", ""),
    ("json", "as written, order and repeated keys included"),
    ("jsonb", "as PostgreSQL writes it"),
    ("xml", "as written"),
    ("integer[]", "`{1,NULL,3}`; so every array"),
    ("mood", "an enum, by its label"),
    ("address", "a composite: `(Main St,7)`"),
    ("inet", "`10.0.0.1`, `10.0.0.0/8`"),
    ("cidr", ""),
    ("macaddr", ""),
    ("macaddr8", ""),
    ("bit(8)", "`00000101`"),
    ("bit varying(8)", ""),
    ("int4range", "`[1,5)`; so every range and multirange"),
    ("tsvector", ""),
    ("tsquery", ""),
    ("point", "so every geometric type"),
    ("regclass", "the name, as the source's `search_path` needs it"),
    ("pg_lsn", ""),
    ("hstore", "so every type of an extension"),
)
"""Types that people use and a note on each, for the documentation; a domain is captured as the type beneath it."""


def capture_postgresql(name: str, column: ColumnSpec) -> Captured:
    """How ``column``, whose quoted name is ``name``, is read.

    :raises CaptureRefused: its type has no kind of its own, or its values are none of the kind that is asked for.
    """
    asked = parse_kind(column.as_kind) if column.as_kind is not None else None
    own = _own(name, column.type)
    if own is not None and asked in (None, own.kind):
        return own
    if asked is None:
        lacks = "has no precision" if column.type == "numeric" else f"has more than {MAX_DECIMAL_DIGITS} digits"
        raise CaptureRefused(
            f"{lacks}, so that no decimal of the store holds all of its values",
            f"set columns.types to {{{column.name}: text}}, or to a decimal that holds those it has: decimal(38,10)",
        )
    if asked.name == "text":
        return Captured(_text(name, column.type), asked)
    if column.type == "real" and asked.name == "double":
        return Captured(f"{name}::double precision", asked)
    if (column.type in NUMBERS or column.type.startswith("numeric")) and asked.name in NUMBER_KINDS:
        return _number_as(f"{name}::numeric", asked)
    raise CaptureRefused(
        f"cannot be captured as {asked}", f"take {column.name} out of columns.types, or set it to text"
    )


def _own(name: str, type_name: str) -> Captured | None:  # noqa: PLR0911 - one return per family of types
    """As the type demands; None where no kind holds every value of it."""
    if (plain := PLAIN.get(type_name)) is not None:
        return Captured(name, Kind(plain))
    if type_name == "oid":
        return Captured(f"{name}::bigint", Kind("long"))
    if type_name == "money":
        return _number_as(f"{name}::numeric", MONEY)
    if type_name == "date":
        days = f"CASE WHEN isfinite({name}) THEN {name} - DATE '1970-01-01' END"
        return Captured(days, Kind("date"), "epoch_days", f"NOT isfinite({name})", "infinite")
    if WITH_TIME_ZONE.fullmatch(type_name):
        return _moment(name, "timestamptz", "+00", "timestamp")
    if WITHOUT_TIME_ZONE.fullmatch(type_name):
        return _moment(name, "timestamp", "", "timestamp_ntz")
    if number := NUMERIC.fullmatch(type_name):
        kind = _decimal_of(int(number[1]), int(number[2]))
        if kind is None:
            return None
        # A precision keeps infinities out, not NaN.
        return Captured(f"nullif({name}, 'NaN'::numeric)", kind, refused_sql=f"{name} = 'NaN'", refused_as="NaN")
    if type_name == "numeric":
        return None
    return Captured(_text(name, type_name), Kind("text"))


def _text(name: str, type_name: str) -> str:
    if type_name == "text":
        return name
    if type_name == "inet":
        # As it is shown; a cast would add /32.
        return f"abbrev({name})"
    if CHARACTER.fullmatch(type_name):
        # A cast would cut the spaces at the end.
        return f"CASE WHEN {name} IS NOT NULL THEN concat({name}) END"
    return f"{name}::text"


def _decimal_of(precision: int, scale: int) -> Kind | None:
    """The decimal for all of ``numeric(precision,scale)``, whose scale may lie outside the digits (from version 15)."""
    digits = precision - scale if scale < 0 else max(precision, scale)
    return decimal(digits, max(scale, 0)) if digits <= MAX_DECIMAL_DIGITS else None


def _moment(name: str, type_name: str, offset: str, kind: KindName) -> Captured:
    """A timestamp as microseconds since 1970.

    ``extract(epoch …)`` takes as long, and before version 14 was a double; what the type sends in binary is its 64
    bits, microseconds since 2000. Measured: 0.1 s a million more than the timestamp itself, which the driver then has
    to parse, and parses wrong before 1582.
    """
    bits = f"('x' || encode({type_name}_send({name}), 'hex'))::bit(64)::bigint"
    fits = f"{name} > {type_name} '-infinity' AND {name} <= {type_name} '{LAST_MOMENT}{offset}'"
    sql = f"CASE WHEN {fits} THEN {bits} + {EPOCH_2000_MICROS} END"
    return Captured(sql, Kind(kind), "epoch_micros", f"NOT ({fits})", f"infinite or after {LAST_MOMENT}")


def _number_as(value: str, kind: Kind) -> Captured:
    """``value``, a numeric expression, as ``kind``; what that kind does not hold exactly is refused."""
    if kind.name == "decimal":
        assert kind.precision is not None and kind.scale is not None
        bound = f"1e{kind.precision - kind.scale}"
        fits, cast = f"{value} > -{bound} AND {value} < {bound} AND {value} = round({value}, {kind.scale})", str(kind)
    elif kind.name == "double":
        # The double must be written as this number; the CASE keeps what no double is from being cast.
        fits = (
            f"CASE WHEN {value} IN (0, 'NaN') OR abs({value}) BETWEEN 1e-300 AND 1e300 "
            f"THEN {value} = {value}::double precision::text::numeric WHEN {value} IS NOT NULL THEN false END"
        )
        cast = "double precision"
    else:
        limit = 2 ** (WHOLE_NUMBER_BITS[kind.name] - 1)
        fits, cast = f"{value} BETWEEN {-limit} AND {limit - 1} AND {value} = trunc({value})", "bigint"
    return Captured(
        f"CASE WHEN {fits} THEN {value}::{cast} END",
        kind,
        refused_sql=f"NOT ({fits})",
        refused_as=f"not exactly {kind}",
    )
