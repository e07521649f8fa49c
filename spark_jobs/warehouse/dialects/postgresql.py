"""PostgreSQL 14 and later (older ones read right, but scan the table once per split)."""

# ruff: noqa: S608 - building SQL is what this module is for; every name and literal passes quote() or literal()

from __future__ import annotations

import json
import re
from collections.abc import Sequence
from datetime import UTC, datetime, timedelta

from warehouse.dialects.dialect import (
    MICROSECOND_DIGITS,
    Captured,
    Dialect,
    DialectError,
    all_of,
    last_digit,
    local_date,
    local_wall_time,
)
from warehouse.dialects.mask_sql import PostgresqlMasks
from warehouse.dialects.postgresql_prints import ABILITIES_SQL, PostgresqlFingerprints
from warehouse.dialects.postgresql_types import (
    SESSION_SETTINGS,
    WITH_TIME_ZONE,
    WITHOUT_TIME_ZONE,
    capture_postgresql,
)
from warehouse.splits import even_pages
from warehouse.table_spec import ColumnSpec

MAX_IDENTIFIER_BYTES = 63
"""NAMEDATALEN - 1; the server silently cuts longer names."""

UNORDERED = {"json", "xml", "point", "line", "lseg", "box", "path", "polygon", "circle", "xid", "cid"}
"""Types without a B-tree order, and so without borders."""
TEXTS = re.compile(r"text|character varying(\(\d+\))?|name")
MAX_BORDER = 1_000
"""Characters."""


NO_TIME_OUTS = (
    # Of those that this server knows.
    "SELECT set_config(name, '0', {}) FROM pg_settings WHERE name IN "
    "('idle_in_transaction_session_timeout', 'statement_timeout', 'idle_session_timeout', 'transaction_timeout')"
)


class PostgresqlDialect(Dialect):
    """SQL of PostgreSQL."""

    name = "postgresql"
    driver_class = "org.postgresql.Driver"
    shares_snapshots = True
    holds_state = True
    session_settings = SESSION_SETTINGS
    # The holder sits idle while the splits read: no time-out may end it.
    init_statements: tuple[str, ...] = (NO_TIME_OUTS.format("false"),)
    announced_process = "getBackendPID"
    sends_columns = True
    masks = PostgresqlMasks()

    def process_sql(self) -> str:
        return "SELECT pg_backend_pid()"

    def quote(self, identifier: str) -> str:
        if not identifier or "\0" in identifier or len(identifier.encode()) > MAX_IDENTIFIER_BYTES:
            raise DialectError(f"{identifier!r} is not an identifier (1 to {MAX_IDENTIFIER_BYTES} bytes, no NUL)")
        return '"' + identifier.replace('"', '""') + '"'

    def literal(self, text: str) -> str:
        # The E form reads the same whatever standard_conforming_strings says.
        return "E" + super().literal(text.replace("\\", "\\\\"))

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

    def import_statements(self, snapshot: str) -> tuple[str, ...]:
        # They work inside a transaction only: over JDBC that takes a fetch size.
        return (
            "SET TRANSACTION ISOLATION LEVEL REPEATABLE READ READ ONLY",
            f"SET TRANSACTION SNAPSHOT {self.literal(snapshot).removeprefix('E')}",
            # A split sits idle while its rows are written. For its transaction only: behind a pooler that keeps
            # sessions the next client gets this one.
            NO_TIME_OUTS.format("true"),
        )

    def storage_sql(self, schema: str, table: str) -> str | None:
        # A partitioned table is its partitions, a parent also its children. Other table access methods than heap have
        # no places, or none that are looked up by range.
        return (
            "WITH RECURSIVE parts AS (SELECT c.oid, c.relkind, c.relam FROM pg_catalog.pg_class c "
            "JOIN pg_catalog.pg_namespace n ON n.oid = c.relnamespace "
            f"WHERE n.nspname = {self.literal(schema)} AND c.relname = {self.literal(table)} "
            "UNION SELECT c.oid, c.relkind, c.relam FROM parts p JOIN pg_catalog.pg_inherits i ON i.inhparent = p.oid "
            "JOIN pg_catalog.pg_class c ON c.oid = i.inhrelid) "
            "SELECT CASE WHEN relkind = 'v' THEN 'view' WHEN relkind = 'f' THEN 'foreign table' "
            "WHEN relkind IN ('r', 'm') AND amname = 'heap' THEN 'heap' ELSE coalesce(amname::text, 'other') END, "
            "CASE WHEN relkind IN ('r', 'm') "
            "THEN (pg_relation_size(parts.oid) / current_setting('block_size')::bigint)::text ELSE '0' END "
            "FROM parts LEFT JOIN pg_catalog.pg_am a ON a.oid = relam WHERE relkind <> 'p'"
        )

    def place_split(self, pages: Sequence[int], parts: int) -> tuple[str, list[str]]:
        # The table may grow after its size was asked: the last range has no upper bound.
        return "ctid", [f"'({page},0)'::tid" for page in even_pages(pages, parts)]

    def keys_sql(self, schema: str, table: str) -> str | None:
        # The primary key first, then other unique keys, short ones before long ones.
        return (
            "SELECT attname::text, bool_or(indisunique)::text FROM (SELECT a.attname, i.indisunique, i.indisprimary, "
            "i.indnkeyatts FROM pg_catalog.pg_index i JOIN pg_catalog.pg_class c ON c.oid = i.indrelid "
            "JOIN pg_catalog.pg_namespace n ON n.oid = c.relnamespace "
            "JOIN pg_catalog.pg_class x ON x.oid = i.indexrelid JOIN pg_catalog.pg_am m ON m.oid = x.relam "
            "JOIN pg_catalog.pg_attribute a ON a.attrelid = c.oid AND a.attnum = i.indkey[0] "
            f"WHERE n.nspname = {self.literal(schema)} AND c.relname = {self.literal(table)} "
            "AND m.amname = 'btree' AND i.indisvalid AND i.indpred IS NULL "
            "AND (has_table_privilege(c.oid, 'SELECT') OR has_column_privilege(c.oid, a.attnum, 'SELECT'))) keys "
            "GROUP BY attname ORDER BY bool_or(indisprimary) DESC, bool_or(indisunique) DESC, min(indnkeyatts), attname"
        )

    def key_text(self, expression: str, type_name: str) -> str:
        if type_name.split("(", maxsplit=1)[0].removesuffix("[]") in UNORDERED:
            raise DialectError(f"keys of type {type_name} have no order")
        # A border need not be a key: the beginning of a long one does as well.
        return f"left({expression}::text, {MAX_BORDER})" if TEXTS.fullmatch(type_name) else f"{expression}::text"

    def key_literal(self, text: str, type_name: str) -> str:
        # Without COLLATE: the column's own collation decides, as in its index.
        return f"{self.literal(text)}::{type_name}"

    def sampled(self, select_sql: str, relation: str, where_sql: str | None, share: float, stored: bool) -> str:
        if share < 1 and stored:
            relation = f"{relation} TABLESAMPLE SYSTEM ({100 * share:.6f})"
        elif share < 1:
            where_sql = all_of(where_sql, f"random() < {share:.8f}")
        return super().sampled(select_sql, relation, where_sql, share, stored)

    def capture(self, column: ColumnSpec) -> Captured:
        return capture_postgresql(self.quote(column.name), column)

    def fingerprint_abilities_sql(self) -> str | None:
        return ABILITIES_SQL

    def fingerprints(self, abilities: str) -> PostgresqlFingerprints:
        return PostgresqlFingerprints(abilities)
