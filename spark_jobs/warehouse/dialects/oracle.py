"""Oracle 12.2 and later, by its manual: tested by its SQL, not run against a server."""

# ruff: noqa: S608 - building SQL is what this module is for; every name and literal passes quote() or literal()

from __future__ import annotations

import re
from contextlib import suppress
from datetime import UTC, datetime, timedelta

from warehouse.dialects.dialect import (
    FIRST_DAY,
    MICROSECOND_DIGITS,
    Captured,
    CaptureRefused,
    Dialect,
    DialectError,
    last_digit,
    local_wall_time,
    of_one_calendar,
)
from warehouse.dialects.mask_sql import OracleMasks
from warehouse.dialects.standard_prints import StandardFingerprints
from warehouse.kinds import Kind, KindName, decimal
from warehouse.table_spec import ColumnSpec

MAX_IDENTIFIER_BYTES = 128
MOMENT = "%Y-%m-%d %H:%M:%S.%f"
TIMESTAMP = re.compile(r"timestamp\((\d)\)( with(?: local)? time zone)?")
NUMBER = re.compile(r"number\((\d+),(-?\d+)\)")
PLAIN: dict[str, KindName] = {
    "binary_float": "float",
    "binary_double": "double",
    "varchar2": "text",
    "nvarchar2": "text",
    "char": "text",
    "nchar": "text",
    "clob": "text",
    "nclob": "text",
    "raw": "binary",
    "blob": "binary",
}
FIRST_MOMENT = f"TIMESTAMP '{FIRST_DAY} 00:00:00'"


class OracleDialect(Dialect):
    """SQL of Oracle. A state is a system change number, which every statement names: any connection can read it."""

    name = "oracle"
    driver_class = "oracle.jdbc.OracleDriver"
    shares_snapshots = True
    holds_state = True
    masks = OracleMasks()
    # Nothing of the holder's transaction is read: its statements name the state as those of all others do.
    isolation = None
    init_statements: tuple[str, ...] = ("ALTER SESSION SET TIME_ZONE = '+00:00'",)
    alive_sql = "SELECT 1 FROM dual"

    def quote(self, identifier: str) -> str:
        if not identifier or "\0" in identifier or '"' in identifier or len(identifier.encode()) > MAX_IDENTIFIER_BYTES:
            raise DialectError(
                f"{identifier!r} is not an identifier (1 to {MAX_IDENTIFIER_BYTES} bytes, no NUL, no double quote)"
            )
        return f'"{identifier}"'

    def relation(self, schema: str, table: str, at: datetime | None = None) -> str:
        current = super().relation(schema, table)
        if at is None:
            return current
        return f"{current} AS OF TIMESTAMP TIMESTAMP '{at.astimezone(UTC):{MOMENT}} +00:00'"

    def time_bound(
        self, column: str, type_name: str, moment: datetime, time_zone: str, *, last_before: bool = False
    ) -> str:
        stamp = TIMESTAMP.fullmatch(type_name)
        if type_name != "date" and stamp is None:
            raise DialectError(f"column {column!r} of type {type_name} is neither a date nor a timestamp")
        digits = min(int(stamp[1]), MICROSECOND_DIGITS) if stamp else 0
        back = last_digit(digits) if last_before else timedelta(0)
        if stamp and stamp[2]:
            return f"TIMESTAMP '{moment.astimezone(UTC) - back:{MOMENT}} +00:00'"
        # A date of Oracle has a time of day, in seconds.
        return f"TIMESTAMP '{local_wall_time(moment, time_zone) - back:{MOMENT}}'"

    def columns_sql(self, schema: str, table: str) -> str | None:
        # all_tab_columns lists what the user may read.
        return (
            "SELECT column_name, lower(CASE WHEN data_type = 'NUMBER' AND data_scale IS NOT NULL "
            "THEN 'number(' || coalesce(data_precision, 38) || ',' || data_scale || ')' "
            "ELSE data_type END), CASE nullable WHEN 'Y' THEN 'true' ELSE 'false' END, 'true' "
            f"FROM all_tab_columns WHERE owner = {self.literal(schema)} AND table_name = {self.literal(table)} "
            "ORDER BY column_id"
        )

    def estimate_sql(self, select_sql: str) -> str | None:
        return None  # EXPLAIN PLAN writes its answer into a table

    def read_estimate(self, answer: str) -> tuple[int, int]:
        raise DialectError("Oracle is not asked for an estimate")

    def captured_at_sql(self) -> str:
        return """SELECT to_char(sys_extract_utc(systimestamp), 'YYYY-MM-DD"T"HH24:MI:SS.FF6"Z"') FROM dual"""

    def source_position_sql(self) -> str | None:
        return None  # the exported state is a position

    def export_snapshot_sql(self) -> str | None:
        return "SELECT to_char(dbms_flashback.get_system_change_number) FROM dual"

    def import_statements(self, snapshot: str) -> tuple[str, ...]:
        return self.init_statements

    def in_state(self, relation: str, snapshot: str) -> str:
        return f"{relation} AS OF SCN {int(snapshot)}"

    def capture(self, column: ColumnSpec) -> Captured:
        name, type_name = self.quote(column.name), column.type
        if (kind := PLAIN.get(type_name)) is not None:
            return Captured(name, Kind(kind))
        if type_name == "date":  # with a time of day, in seconds
            return of_one_calendar(name, Kind("timestamp_ntz"), FIRST_MOMENT)
        if (stamp := TIMESTAMP.fullmatch(type_name)) is not None and int(stamp[1]) <= MICROSECOND_DIGITS:
            if stamp[2]:
                return of_one_calendar(f"sys_extract_utc({name})", Kind("timestamp"), FIRST_MOMENT)
            return of_one_calendar(name, Kind("timestamp_ntz"), FIRST_MOMENT)
        if (number := NUMBER.fullmatch(type_name)) is not None:
            with suppress(ValueError):
                return Captured(name, decimal(int(number[1]), int(number[2])))
        raise CaptureRefused("cannot be captured faithfully yet")

    def fingerprints(self, abilities: str) -> StandardFingerprints:
        return StandardFingerprints()
