"""Any other JDBC source, in standard SQL: best effort only, one connection, no shared state."""

from __future__ import annotations

import re
from contextlib import suppress
from datetime import datetime, timedelta

from warehouse.dialects.dialect import (
    FIRST_DAY,
    Captured,
    CaptureRefused,
    Dialect,
    DialectError,
    ensure_identifier,
    local_date,
    local_wall_time,
    of_one_calendar,
)
from warehouse.dialects.mask_sql import StandardMasks
from warehouse.dialects.standard_prints import StandardFingerprints
from warehouse.kinds import Kind, KindName, decimal
from warehouse.table_spec import ColumnSpec

MAX_IDENTIFIER_CHARACTERS = 255
"""The most of any engine that people use."""
PORTABLE_DIGITS = 31
"""Of decimals in Db2 and Derby, the fewest of any engine that people use."""
DECIMAL = re.compile(r"decimal\((\d+),(-?\d+)\)")
STANDARD_TYPES: dict[str, KindName] = {
    "timestamp with time zone": "timestamp",
    "timestamp": "timestamp_ntz",
    "date": "date",
    "boolean": "boolean",
    "smallint": "integer",
    "integer": "integer",
    "bigint": "long",
    "real": "float",
    "double precision": "double",
    "character": "text",
    "varchar": "text",
    "binary": "binary",
    "varbinary": "binary",
}
"""Beginning of a type's standard name → kind; the first that fits."""

FIRST_MOMENTS: dict[KindName, str] = {
    "date": f"{{d '{FIRST_DAY}'}}",
    "timestamp": f"{{ts '{FIRST_DAY} 00:00:00'}}",
    "timestamp_ntz": f"{{ts '{FIRST_DAY} 00:00:00'}}",
}
"""In JDBC's own way to write them, which every driver translates."""


class GenericDialect(Dialect):
    """Standard SQL and what the driver says of a table; what an engine does not promise is refused or left out."""

    name = "generic"
    driver_class = ""
    shares_snapshots = False
    hashes_rows = False
    holds_state = False
    masks = StandardMasks()
    init_statements: tuple[str, ...] = ()
    alive_sql = None

    def quote(self, identifier: str) -> str:
        ensure_identifier(identifier, MAX_IDENTIFIER_CHARACTERS)
        return '"' + identifier.replace('"', '""') + '"'

    def time_bound(
        self, column: str, type_name: str, moment: datetime, time_zone: str, *, last_before: bool = False
    ) -> str:
        # JDBC's own way to write them, which every driver translates.
        kind = type_name.lower()
        if kind == "date":
            return f"{{d '{local_date(moment, time_zone) - timedelta(days=1 if last_before else 0)}'}}"
        if kind.startswith("timestamp") and "with time zone" not in kind:
            if last_before:
                raise DialectError(
                    f"column {column!r} of type {type_name} has no last value before a moment that is known"
                )
            return f"{{ts '{local_wall_time(moment, time_zone):%Y-%m-%d %H:%M:%S}'}}"
        raise DialectError(f"column {column!r} of type {type_name} is neither a date nor a timestamp without zone")

    def columns_sql(self, schema: str, table: str) -> str | None:
        return None

    def estimate_sql(self, select_sql: str) -> str | None:
        return None

    def read_estimate(self, answer: str) -> tuple[int, int]:
        raise DialectError("this engine has no estimates")

    def captured_at_sql(self) -> str:
        raise DialectError("this engine's clock cannot be read")

    def source_position_sql(self) -> str | None:
        return None

    def export_snapshot_sql(self) -> str | None:
        return None

    def import_statements(self, snapshot: str) -> tuple[str, ...]:
        raise DialectError("this engine does not share a state between connections")

    def capture(self, column: ColumnSpec) -> Captured:
        name, type_name = self.quote(column.name), column.type.lower()
        for standard, kind in STANDARD_TYPES.items():
            if type_name.startswith(standard):
                if (first := FIRST_MOMENTS.get(kind)) is not None:
                    return of_one_calendar(name, Kind(kind), first)
                return Captured(name, Kind(kind))
        if (number := DECIMAL.fullmatch(type_name)) is not None:
            with suppress(ValueError):
                return Captured(name, decimal(int(number[1]), int(number[2])))
        raise CaptureRefused("is none that standard SQL defines")

    def fingerprints(self, abilities: str) -> StandardFingerprints:
        return StandardFingerprints(digits=PORTABLE_DIGITS)
