"""MariaDB 10.5 and later, with InnoDB's repeatable read and system-versioned tables."""

# ruff: noqa: S608 - building SQL is what this module is for; every name and literal passes quote() or literal()

from __future__ import annotations

import re
from collections.abc import Mapping
from datetime import UTC, datetime, timedelta
from types import MappingProxyType

from warehouse.dialects.dialect import (
    Captured,
    Dialect,
    DialectError,
    all_of,
    ensure_identifier,
    last_digit,
    local_date,
    local_wall_time,
)
from warehouse.dialects.mariadb_prints import MariadbFingerprints
from warehouse.dialects.mariadb_types import INSTANT, TYPE_SQL, WALL_TIME, capture_mariadb
from warehouse.dialects.mask_sql import MariadbMasks
from warehouse.table_spec import ColumnSpec

MAX_IDENTIFIER_CHARACTERS = 64
ESTIMATE = re.compile(r'^( *)"rows": (\d+),\n *"filtered": ([\d.]+)', re.MULTILINE)
ORDERED_KEY = re.compile(
    r"(tiny|small|medium|big)?int|decimal|float|double|date|time|year|(var)?char|(tiny|medium|long)?text|uuid|inet[46]"
)
BINARY_KEY = re.compile(r"(var)?binary|(tiny|medium|long)?blob")
MAX_BORDER = 1_000
"""Characters or bytes."""
MOMENT = "%Y-%m-%d %H:%M:%S.%f"


class MariadbDialect(Dialect):
    """SQL of MariaDB. No connection can import another one's state, so that one connection reads all of a group."""

    name = "mariadb"
    driver_class = "org.mariadb.jdbc.Driver"
    shares_snapshots = False
    holds_state = True
    masks = MariadbMasks()
    init_statements: tuple[str, ...] = (
        # Spark quotes names with double quotes. Whatever else the server's default mode has would change what is
        # read; a row's time must not depend on the server's time zone.
        "SET SESSION sql_mode = 'ANSI_QUOTES', time_zone = '+00:00', "
        # The holder sits idle while a table is written, and a slow reader must not end it: a day, in seconds.
        "wait_timeout = 86400, net_write_timeout = 86400, max_statement_time = 0",
    )
    begin_statements: tuple[str, ...] = ("START TRANSACTION WITH CONSISTENT SNAPSHOT, READ ONLY",)
    properties: Mapping[str, str] = MappingProxyType(
        {
            # Otherwise tinyint(1), which holds -128 to 127, is a boolean.
            "tinyInt1isBit": "false",
            # Of Spark's connections, which run no statements of ours.
            "sessionVariables": "sql_mode='ANSI_QUOTES',time_zone='+00:00'",
        }
    )

    def quote(self, identifier: str) -> str:
        ensure_identifier(identifier, MAX_IDENTIFIER_CHARACTERS)
        # A name in double quotes would be a text wherever ANSI_QUOTES is not set.
        return "`" + identifier.replace("`", "``") + "`"

    def literal(self, text: str) -> str:
        return super().literal(text.replace("\\", "\\\\"))

    def relation(self, schema: str, table: str, at: datetime | None = None) -> str:
        current = super().relation(schema, table)
        return current if at is None else f"{current} FOR SYSTEM_TIME AS OF TIMESTAMP '{at.astimezone(UTC):{MOMENT}}'"

    def history_begins_sql(self, schema: str, table: str) -> str | None:
        # The column of a row's start has a name of the table's own, or the one of a hidden column. Nothing tells that
        # history was deleted: rows that never changed are as old as before.
        relation = self.literal(self.relation(schema, table))
        iso = self.literal("%Y-%m-%dT%H:%i:%s.%fZ")
        return (
            "BEGIN NOT ATOMIC\n"
            "DECLARE versioned TEXT;\nDECLARE began TEXT;\nDECLARE created TEXT;\n"
            "SELECT t.table_type, coalesce(c.column_name, 'row_start'), quote(t.create_time), c.column_type "
            "INTO versioned, began, created, @warehouse_start_type "
            "FROM information_schema.tables t LEFT JOIN information_schema.columns c "
            "ON c.table_schema = t.table_schema AND c.table_name = t.table_name "
            "AND c.generation_expression = 'ROW START' "
            f"WHERE t.table_schema = {self.literal(schema)} AND t.table_name = {self.literal(table)};\n"
            "IF versioned <> 'SYSTEM VERSIONED' THEN SIGNAL SQLSTATE '42000' SET MESSAGE_TEXT = "
            "'the table is not system-versioned, so its history cannot be time_travel'; END IF;\n"
            # Seen on 10.11: after an EXPLAIN in the same transaction AS OF TIMESTAMP answered with today's rows.
            "IF @warehouse_start_type LIKE 'bigint%' THEN SIGNAL SQLSTATE '42000' SET MESSAGE_TEXT = "
            "'the versions of the table are kept by transaction, whose past the server does not answer reliably; "
            "keep them by timestamp(6)'; END IF;\n"
            "EXECUTE IMMEDIATE concat('SELECT date_format(coalesce(min(`', replace(began, '`', '``'), '`), ', created, "
            f"'), ', quote({iso}), ') FROM ', {relation}, ' FOR SYSTEM_TIME ALL');\nEND"
        )

    def open_writers_sql(self, before: datetime) -> str | None:
        # A version's start is the time of its statement, not of its commit. This view has the system's time zone.
        return (
            "SELECT count(*) FROM information_schema.innodb_trx WHERE trx_rows_modified > 0 AND trx_started <= "
            f"convert_tz(TIMESTAMP '{before.astimezone(UTC):{MOMENT}}', '+00:00', 'SYSTEM')"
        )

    def time_bound(
        self, column: str, type_name: str, moment: datetime, time_zone: str, *, last_before: bool = False
    ) -> str:
        if type_name == "date":
            return f"DATE '{local_date(moment, time_zone) - timedelta(days=1 if last_before else 0)}'"
        if (instant := INSTANT.fullmatch(type_name)) is not None:
            digits, wall_time = instant[1], moment.astimezone(UTC)
        elif (wall := WALL_TIME.fullmatch(type_name)) is not None:
            digits, wall_time = wall[1], local_wall_time(moment, time_zone)
        else:
            raise DialectError(f"column {column!r} of type {type_name} is neither a datetime, a timestamp nor a date")
        back = last_digit(int(digits or 0)) if last_before else timedelta(0)
        return f"TIMESTAMP '{wall_time - back:{MOMENT}}'"

    def columns_sql(self, schema: str, table: str) -> str:
        # What the user has no right on at all is not listed: it looks as if it were not there.
        return (
            f"SELECT column_name, {TYPE_SQL}, CASE is_nullable WHEN 'YES' THEN 'true' ELSE 'false' END, "
            "CASE WHEN find_in_set('select', privileges) > 0 THEN 'true' ELSE 'false' END "
            f"FROM information_schema.columns WHERE table_schema = {self.literal(schema)} "
            f"AND table_name = {self.literal(table)} "
            # The end of a version changes after the instant that is asked for, and none of these is in SELECT *.
            "AND NOT (coalesce(generation_expression, '') IN ('ROW START', 'ROW END') AND extra LIKE '%INVISIBLE%') "
            "ORDER BY ordinal_position"
        )

    def state_refusal_sql(self, schema: str, table: str) -> str | None:
        return (
            "SELECT CASE WHEN engine NOT IN ('InnoDB', 'ROCKSDB') THEN "
            "concat('its storage engine ', engine, ' takes no part in transactions') END "
            f"FROM information_schema.tables WHERE table_schema = {self.literal(schema)} "
            f"AND table_name = {self.literal(table)}"
        )

    def estimate_sql(self, select_sql: str) -> str | None:
        return f"EXPLAIN FORMAT=JSON {select_sql}"

    def read_estimate(self, answer: str) -> tuple[int, int]:
        """MariaDB's plan has no width: 0, see :meth:`row_bytes_sql`.

        Read line by line: under ANSI_QUOTES the conditions in it are not valid JSON. The tables of a join stand at
        one depth; deeper ones are inside a derived table, whose own estimate counts them already.
        """
        estimates = ESTIMATE.findall(answer)
        depth = min((len(indent) for indent, *_ in estimates), default=0)
        rows = 1.0
        for indent, number, share in estimates:
            if len(indent) == depth:
                rows *= float(number) * float(share) / 100
        return (round(rows) if estimates else 0), 0

    def row_bytes_sql(self, schema: str, table: str) -> str | None:
        return (
            f"SELECT avg_row_length FROM information_schema.tables WHERE table_schema = {self.literal(schema)} "
            f"AND table_name = {self.literal(table)}"
        )

    def captured_at_sql(self) -> str:
        return "SELECT date_format(utc_timestamp(6), '%Y-%m-%dT%H:%i:%s.%fZ')"

    def source_position_sql(self) -> str | None:
        # Fixed by WITH CONSISTENT SNAPSHOT; empty where the server writes no binary log.
        return (
            "SELECT group_concat(lower(variable_name), ' ', variable_value ORDER BY variable_name SEPARATOR ', ') "
            "FROM information_schema.session_status "
            "WHERE variable_name LIKE 'binlog_snapshot_%' AND variable_value NOT IN ('', '0')"
        )

    def export_snapshot_sql(self) -> str | None:
        return None

    def import_statements(self, snapshot: str) -> tuple[str, ...]:
        raise DialectError("MariaDB does not share a state between connections")

    def keys_sql(self, schema: str, table: str) -> str | None:
        return (
            "SELECT s.column_name, CASE WHEN min(s.non_unique) = 0 THEN 'true' ELSE 'false' END "
            "FROM information_schema.statistics s JOIN information_schema.columns c USING (table_schema, table_name, "
            f"column_name) WHERE s.table_schema = {self.literal(schema)} AND s.table_name = {self.literal(table)} "
            "AND s.seq_in_index = 1 AND s.index_type = 'BTREE' AND s.sub_part IS NULL "
            "AND find_in_set('select', c.privileges) > 0 GROUP BY s.column_name "
            "ORDER BY max(s.index_name = 'PRIMARY') DESC, min(s.non_unique), s.column_name"
        )

    def key_expression(self, column: ColumnSpec) -> str:
        # Spark knows no JDBC type of these.
        name = self.quote(column.name)
        return f"cast({name} AS char)" if column.type.startswith(("uuid", "inet")) else name

    def key_text(self, expression: str, type_name: str) -> str:
        if BINARY_KEY.match(type_name):
            return f"hex(left({expression}, {MAX_BORDER}))"
        if not ORDERED_KEY.match(type_name):
            raise DialectError(f"keys of type {type_name} have no order that a literal can be compared by")
        return f"left(cast({expression} AS char), {MAX_BORDER})"

    def key_literal(self, text: str, type_name: str) -> str:
        # A column's own collation goes before that of a literal.
        return f"x'{text}'" if BINARY_KEY.match(type_name) else self.literal(text)

    def sampled(self, select_sql: str, relation: str, where_sql: str | None, share: float, stored: bool) -> str:
        if share < 1:
            where_sql = all_of(where_sql, f"rand() < {share:.8f}")
        return super().sampled(select_sql, relation, where_sql, share, stored)

    def capture(self, column: ColumnSpec) -> Captured:
        return capture_mariadb(self.quote(column.name), column)

    def fingerprints(self, abilities: str) -> MariadbFingerprints:
        return MariadbFingerprints()
