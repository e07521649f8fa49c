"""SQL Server 2016 and later, by its manual: tested by its SQL, not run against a server."""

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
    ensure_identifier,
    last_digit,
    local_date,
    local_wall_time,
    of_one_calendar,
)
from warehouse.dialects.mask_sql import SqlserverMasks
from warehouse.dialects.standard_prints import StandardFingerprints
from warehouse.kinds import Kind, KindName, decimal
from warehouse.table_spec import ColumnSpec

MAX_IDENTIFIER_CHARACTERS = 128
TRANSACTION_SNAPSHOT = 4096
"""``SQLServerConnection.TRANSACTION_SNAPSHOT``; the database must have ALLOW_SNAPSHOT_ISOLATION on."""
MOMENT = "%Y-%m-%dT%H:%M:%S.%f"
TIME = re.compile(r"(datetime2|datetimeoffset)\((\d)\)")
DECIMAL = re.compile(r"(?:decimal|numeric)\((\d+),(\d+)\)")
PLAIN: dict[str, KindName] = {
    "bit": "boolean",
    "tinyint": "integer",
    "smallint": "integer",
    "int": "integer",
    "bigint": "long",
    "real": "float",
    "float": "double",
    "char": "text",
    "varchar": "text",
    "nchar": "text",
    "nvarchar": "text",
    "uniqueidentifier": "text",
    "binary": "binary",
    "varbinary": "binary",
    "datetime": "timestamp_ntz",
    "smalldatetime": "timestamp_ntz",
}


class SqlserverDialect(Dialect):
    """SQL of SQL Server. A snapshot transaction belongs to its connection, which reads all of a group."""

    name = "sqlserver"
    driver_class = "com.microsoft.sqlserver.jdbc.SQLServerDriver"
    shares_snapshots = False
    holds_state = True
    masks = SqlserverMasks()
    isolation = TRANSACTION_SNAPSHOT
    init_statements: tuple[str, ...] = ("SET LOCK_TIMEOUT -1",)
    # The state is that of the first look at data, not of the transaction's beginning.
    begin_statements: tuple[str, ...] = ("SELECT TOP (1) object_id FROM sys.objects",)

    def quote(self, identifier: str) -> str:
        ensure_identifier(identifier, MAX_IDENTIFIER_CHARACTERS)
        return "[" + identifier.replace("]", "]]") + "]"

    def literal(self, text: str) -> str:
        return f"N{super().literal(text)}"

    def relation(self, schema: str, table: str, at: datetime | None = None) -> str:
        current = super().relation(schema, table)
        return current if at is None else f"{current} FOR SYSTEM_TIME AS OF '{at.astimezone(UTC):{MOMENT}}'"

    def time_bound(
        self, column: str, type_name: str, moment: datetime, time_zone: str, *, last_before: bool = False
    ) -> str:
        if type_name == "date":
            return f"CAST('{local_date(moment, time_zone) - timedelta(days=1 if last_before else 0)}' AS date)"
        time = TIME.fullmatch(type_name)
        if time is None:
            raise DialectError(f"column {column!r} of type {type_name} is neither a date, a datetime2 nor an offset")
        back = last_digit(min(int(time[2]), MICROSECOND_DIGITS)) if last_before else timedelta(0)
        if time[1] == "datetimeoffset":
            return f"CAST('{moment.astimezone(UTC) - back:{MOMENT}}+00:00' AS datetimeoffset)"
        return f"CAST('{local_wall_time(moment, time_zone) - back:{MOMENT}}' AS datetime2)"

    def columns_sql(self, schema: str, table: str) -> str | None:
        return (
            "SELECT column_name, CASE WHEN data_type IN ('decimal', 'numeric') "
            "THEN concat(data_type, '(', numeric_precision, ',', numeric_scale, ')') "
            "WHEN data_type IN ('datetime2', 'datetimeoffset', 'time') "
            "THEN concat(data_type, '(', datetime_precision, ')') ELSE data_type END, "
            "CASE is_nullable WHEN 'YES' THEN 'true' ELSE 'false' END, "
            "CASE has_perms_by_name(concat(quotename(table_schema), '.', quotename(table_name)), 'OBJECT', 'SELECT', "
            "column_name, 'COLUMN') WHEN 1 THEN 'true' ELSE 'false' END "
            f"FROM information_schema.columns WHERE table_schema = {self.literal(schema)} "
            f"AND table_name = {self.literal(table)} ORDER BY ordinal_position"
        )

    def state_refusal_sql(self, schema: str, table: str) -> str | None:
        return (
            "SELECT CASE WHEN snapshot_isolation_state <> 1 THEN "
            "'its database does not allow snapshot isolation (ALLOW_SNAPSHOT_ISOLATION)' END "
            "FROM sys.databases WHERE database_id = db_id()"
        )

    def estimate_sql(self, select_sql: str) -> str | None:
        return None  # the plan is a setting of the session, not a statement

    def read_estimate(self, answer: str) -> tuple[int, int]:
        raise DialectError("SQL Server is not asked for an estimate")

    def captured_at_sql(self) -> str:
        return "SELECT convert(varchar(26), sysutcdatetime(), 126) + 'Z'"

    def source_position_sql(self) -> str | None:
        return None

    def export_snapshot_sql(self) -> str | None:
        return None

    def import_statements(self, snapshot: str) -> tuple[str, ...]:
        raise DialectError("SQL Server does not share a state between connections")

    def capture(self, column: ColumnSpec) -> Captured:
        name, type_name = self.quote(column.name), column.type
        if type_name == "date":
            return of_one_calendar(name, Kind("date"), f"CAST('{FIRST_DAY}' AS date)")
        if (kind := PLAIN.get(type_name)) is not None:
            return Captured(name, Kind(kind))
        if (number := DECIMAL.fullmatch(type_name)) is not None:
            with suppress(ValueError):
                return Captured(name, decimal(int(number[1]), int(number[2])))
        time = TIME.fullmatch(type_name)
        if time is not None and int(time[2]) <= MICROSECOND_DIGITS:
            first = f"CAST('{FIRST_DAY}' AS datetime2)"
            if time[1] == "datetime2":
                return of_one_calendar(name, Kind("timestamp_ntz"), first)
            utc = f"CAST({name} AT TIME ZONE 'UTC' AS datetime2({time[2]}))"
            return of_one_calendar(utc, Kind("timestamp"), first)
        raise CaptureRefused("cannot be captured faithfully yet")

    def fingerprints(self, abilities: str) -> StandardFingerprints:
        return StandardFingerprints()
