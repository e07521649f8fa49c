"""MariaDB's types: how each column is read so that it arrives exact."""

from __future__ import annotations

import re

from warehouse.dialects.dialect import Captured, CaptureRefused
from warehouse.kinds import MAX_DECIMAL_DIGITS, Kind, KindName, decimal

EXCLUDE = "exclude it with columns.exclude"
INTEGER = re.compile(r"(tinyint|smallint|mediumint|int|bigint)(\(\d+\))?( unsigned)?( zerofill)?")
DECIMAL = re.compile(r"decimal\((\d+),(\d+)\)( unsigned)?( zerofill)?")
TEXT = re.compile(r"(var)?char\(\d+\)|(tiny|medium|long)?text")
WALL_TIME = re.compile(r"datetime(?:\(([1-6])\))?")
INSTANT = re.compile(r"timestamp(?:\(([1-6])\))?")
WIDER: dict[str, KindName] = {"int": "long"}


def capture(name: str, type_name: str) -> Captured:  # noqa: PLR0911 - one for each family of types
    """How the column, quoted as ``name``, is read; ``type_name`` is ``information_schema``'s ``column_type``.

    :raises CaptureRefused: values of the type cannot arrive exact.
    """
    if number := INTEGER.fullmatch(type_name):
        base, unsigned = number[1], number[3] is not None
        if base == "bigint":
            return Captured(name, decimal(20, 0) if unsigned else Kind("long"))
        return Captured(name, Kind(WIDER.get(base, "integer") if unsigned else "integer"))
    if number := DECIMAL.fullmatch(type_name):
        try:
            return Captured(name, decimal(int(number[1]), int(number[2])))
        except ValueError:
            raise CaptureRefused(f"does not fit a decimal of {MAX_DECIMAL_DIGITS} digits", EXCLUDE) from None
    if TEXT.fullmatch(type_name):
        return Captured(name, Kind("text"))
    # Whole numbers pass the driver and Spark without either applying a time zone or a calendar.
    if WALL_TIME.fullmatch(type_name):
        return Captured(epoch_micros(name), Kind("timestamp_ntz"), "epoch_micros")
    if INSTANT.fullmatch(type_name):
        return Captured(epoch_micros(name), Kind("timestamp"), "epoch_micros")
    if type_name == "date":
        return Captured(f"(to_days({name}) - 719528)", Kind("date"), "epoch_days")
    raise CaptureRefused("cannot be captured faithfully yet", EXCLUDE)


def epoch_micros(name: str) -> str:
    """Microseconds from 1970-01-01 to a wall time; of a ``timestamp`` column in UTC, as sessions have it."""
    return f"timestampdiff(MICROSECOND, TIMESTAMP'1970-01-01 00:00:00', {name})"
