"""PostgreSQL 14 and later (older ones read right, but scan the table once per split)."""

# ruff: noqa: S608 - building SQL is what this module is for; every name and literal passes quote() or literal()

from __future__ import annotations

import json
import re
from datetime import UTC, datetime, timedelta
from itertools import pairwise

from warehouse.dialects.dialect import (
    MICROSECOND_DIGITS,
    SPLIT_KEY,
    Captured,
    Dialect,
    DialectError,
    last_digit,
    local_date,
    local_wall_time,
    where_clause,
)
from warehouse.dialects.postgresql_types import (
    SESSION_SETTINGS,
    WITH_TIME_ZONE,
    WITHOUT_TIME_ZONE,
    capture_postgresql,
)
from warehouse.job_spec import ColumnSpec

MAX_IDENTIFIER_BYTES = 63
"""NAMEDATALEN - 1; the server silently cuts longer names."""

INTEGERS = {"smallint", "integer", "bigint"}


class PostgresqlDialect(Dialect):
    """SQL of PostgreSQL."""

    name = "postgresql"
    driver_class = "org.postgresql.Driver"
    shares_snapshots = True
    holds_state = True
    session_settings = SESSION_SETTINGS
    init_statements: tuple[str, ...] = (
        # The holder sits idle while the splits read: no time-out may end it. A server before 14 lacks the last one.
        "SELECT set_config(name, '0', false) FROM pg_settings WHERE name IN "
        "('idle_in_transaction_session_timeout', 'statement_timeout', 'idle_session_timeout', 'transaction_timeout')",
    )

    def quote(self, identifier: str) -> str:
        if not identifier or "\0" in identifier or len(identifier.encode()) > MAX_IDENTIFIER_BYTES:
            raise DialectError(f"{identifier!r} is not an identifier (1 to {MAX_IDENTIFIER_BYTES} bytes, no NUL)")
        return '"' + identifier.replace('"', '""') + '"'

    def literal(self, text: str) -> str:
        if "\0" in text:
            raise DialectError("a string cannot hold NUL")
        # The E form reads the same whatever standard_conforming_strings says.
        return "E'" + text.replace("\\", "\\\\").replace("'", "''") + "'"

    def time_bound(
        self, column: str, type_name: str, moment: datetime, time_zone: str, *, last_before: bool = False
    ) -> str:
        digits = re.search(r"\((\d)\)", type_name)
        back = last_digit(int(digits[1]) if digits else MICROSECOND_DIGITS) if last_before else timedelta(0)
        if WITH_TIME_ZONE.fullmatch(type_name):
            return f"TIMESTAMPTZ '{moment.astimezone(UTC) - back:%Y-%m-%d %H:%M:%S.%f}+00'"
        if WITHOUT_TIME_ZONE.fullmatch(type_name):
            return f"TIMESTAMP '{local_wall_time(moment, time_zone) - back:%Y-%m-%d %H:%M:%S.%f}'"
        if type_name == "date":
            return f"DATE '{local_date(moment, time_zone) - timedelta(days=1 if last_before else 0)}'"
        raise DialectError(f"column {column!r} of type {type_name} is neither a timestamp nor a date")

    def columns_sql(self, schema: str, table: str) -> str:
        # The catalogue and not information_schema: that one hides what the user may not read.
        beneath_domains = (
            "WITH RECURSIVE beneath AS (SELECT a.atttypid AS type, a.atttypmod AS modifier UNION ALL "
            "SELECT t.typbasetype, t.typtypmod FROM beneath b JOIN pg_catalog.pg_type t ON t.oid = b.type "
            "WHERE t.typtype = 'd') SELECT format_type(b.type, b.modifier) FROM beneath b "
            "JOIN pg_catalog.pg_type t ON t.oid = b.type WHERE t.typtype <> 'd'"
        )
        return (
            f"SELECT a.attname::text, ({beneath_domains}), (NOT a.attnotnull)::text, "
            "(has_schema_privilege(n.oid, 'USAGE') AND (has_table_privilege(c.oid, 'SELECT') OR "
            "coalesce(has_column_privilege(c.oid, a.attnum, 'SELECT'), false)))::text "
            "FROM pg_catalog.pg_class c JOIN pg_catalog.pg_namespace n ON n.oid = c.relnamespace "
            "LEFT JOIN pg_catalog.pg_attribute a ON a.attrelid = c.oid AND a.attnum > 0 AND NOT a.attisdropped "
            f"WHERE n.nspname = {self.literal(schema)} AND c.relname = {self.literal(table)} "
            "AND c.relkind IN ('r', 'p', 'v', 'm', 'f') ORDER BY a.attnum"
        )

    def estimate_sql(self, select_sql: str) -> str | None:
        return f"EXPLAIN (FORMAT JSON) {select_sql}"

    def read_estimate(self, answer: str) -> tuple[int, int]:
        plan = json.loads(answer)[0]["Plan"]
        return int(plan["Plan Rows"]), int(plan["Plan Width"])

    def captured_at_sql(self) -> str:
        return "SELECT to_char(now() AT TIME ZONE 'UTC', 'YYYY-MM-DD\"T\"HH24:MI:SS.US\"Z\"')"

    def source_position_sql(self) -> str | None:
        return (
            "SELECT 'wal ' || CASE WHEN pg_is_in_recovery() THEN pg_last_wal_replay_lsn() "
            "ELSE pg_current_wal_lsn() END || ', snapshot ' || pg_current_snapshot()"
        )

    def export_snapshot_sql(self) -> str | None:
        return "SELECT pg_export_snapshot()"

    def import_snapshot_sql(self, snapshot: str) -> str:
        # One string for Spark's sessionInitStatement; it works inside a transaction only, hence fetchsize > 0.
        return (
            "SET TRANSACTION ISOLATION LEVEL REPEATABLE READ READ ONLY; "
            f"SET TRANSACTION SNAPSHOT {self.literal(snapshot).removeprefix('E')}"
        )

    def storage_sql(self, schema: str, table: str) -> str | None:
        # Of a partitioned table or a parent, the largest child decides: every child is read by the same ranges.
        return (
            "WITH RECURSIVE parts AS (SELECT c.oid, c.relkind FROM pg_catalog.pg_class c "
            "JOIN pg_catalog.pg_namespace n ON n.oid = c.relnamespace "
            f"WHERE n.nspname = {self.literal(schema)} AND c.relname = {self.literal(table)} "
            "UNION ALL SELECT c.oid, c.relkind FROM parts p JOIN pg_catalog.pg_inherits i ON i.inhparent = p.oid "
            "JOIN pg_catalog.pg_class c ON c.oid = i.inhrelid) "
            "SELECT CASE WHEN bool_and(relkind IN ('r', 'm', 'p')) THEN 'heap' ELSE 'other' END, "
            "(max(CASE WHEN relkind IN ('r', 'm') THEN pg_relation_size(oid) ELSE 0 END) / "
            "current_setting('block_size')::bigint)::text FROM parts"
        )

    def place_split(self, pages: int, parts: int) -> tuple[str, list[str]]:
        # The table may grow after its size was asked: the last range has no upper bound.
        inner = sorted({max(1, pages * part // parts) for part in range(1, parts)})
        bounds = [None, *(f"'({page},0)'::tid" for page in inner), None]
        return "ctid", _ranges(bounds)

    def split_bounds_sql(self, column: str, type_name: str, parts: int, relation: str, where_sql: str | None) -> str:
        name = self.quote(column)
        if type_name in INTEGERS or type_name.startswith("numeric"):
            step = "lo::numeric + (hi::numeric - lo::numeric) * {part} / {parts}"
        elif type_name == "date":
            step = "lo + ((hi - lo)::bigint * {part} / {parts})::integer"
        elif WITH_TIME_ZONE.fullmatch(type_name) or WITHOUT_TIME_ZONE.fullmatch(type_name):
            step = "lo + (hi - lo) * ({part}::double precision / {parts})"
        else:
            raise DialectError(f"split column {column!r} of type {type_name} is not a number, date or timestamp")
        bounds = ", ".join(f"({step.format(part=part, parts=parts)})::text" for part in range(1, parts))
        return (
            f"SELECT {bounds} FROM (SELECT min({name}) AS lo, max({name}) AS hi FROM {relation}"
            f"{where_clause(where_sql)}) bounds"
        )

    def split_conditions(self, type_name: str, bounds: list[str | None]) -> list[str]:
        cast = "numeric" if type_name in INTEGERS else type_name
        literals = [f"'{bound}'::{cast}" for bound in bounds if bound is not None]
        first, *others = _ranges([None, *literals, None])
        return [f"({first}) OR {SPLIT_KEY} IS NULL" if literals else first, *others]

    def capture(self, column: ColumnSpec) -> Captured:
        return capture_postgresql(self.quote(column.name), column)


def _ranges(bounds: list[str | None]) -> list[str]:
    """Conditions of the ranges between neighbouring bounds, where None at either end means unbounded."""
    conditions = []
    for low, high in pairwise(bounds):
        limits = [f"{SPLIT_KEY} >= {low}"] if low is not None else []
        limits += [f"{SPLIT_KEY} < {high}"] if high is not None else []
        conditions.append(" AND ".join(limits) or "1 = 1")
    return conditions
