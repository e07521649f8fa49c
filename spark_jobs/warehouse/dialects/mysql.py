"""MySQL 8, by its manual: tested by its SQL, not run against a server."""

# ruff: noqa: S608 - building SQL is what this module is for; every name and literal passes quote() or literal()

from __future__ import annotations

import re
from collections.abc import Mapping
from datetime import datetime
from types import MappingProxyType

from warehouse.dialects.dialect import Dialect
from warehouse.dialects.mariadb import MariadbDialect

ROWS = re.compile(r'^( *)"rows_produced_per_join": (\d+)', re.MULTILINE)


class MysqlDialect(MariadbDialect):
    """MariaDB's SQL where the two agree; MySQL keeps no history of its tables."""

    name = "mysql"
    driver_class = "com.mysql.cj.jdbc.Driver"
    init_statements: tuple[str, ...] = (
        "SET SESSION sql_mode = 'ANSI_QUOTES', time_zone = '+00:00', "
        "wait_timeout = 86400, net_write_timeout = 86400, max_execution_time = 0",
    )
    properties: Mapping[str, str] = MappingProxyType(
        {
            "tinyInt1isBit": "false",
            "sessionVariables": "sql_mode='ANSI_QUOTES',time_zone='+00:00'",
            # Without it the driver reads a whole answer into memory, whatever its fetch size.
            "useCursorFetch": "true",
        }
    )

    def relation(self, schema: str, table: str, at: datetime | None = None) -> str:
        return Dialect.relation(self, schema, table, at)

    def history_begins_sql(self, schema: str, table: str) -> str | None:
        return None

    def open_writers_sql(self, before: datetime) -> str | None:
        return None

    def state_refusal_sql(self, schema: str, table: str) -> str | None:
        return (
            "SELECT CASE WHEN engine <> 'InnoDB' THEN "
            "concat('its storage engine ', engine, ' does not read one state in a transaction') END "
            f"FROM information_schema.tables WHERE table_schema = {self.literal(schema)} "
            f"AND table_name = {self.literal(table)}"
        )

    def read_estimate(self, answer: str) -> tuple[int, int]:
        # The last table of a join tells the rows of all of it.
        found = ROWS.findall(answer)
        depth = min((len(indent) for indent, _ in found), default=0)
        return int(next((rows for indent, rows in reversed(found) if len(indent) == depth), 0)), 0

    def source_position_sql(self) -> str | None:
        return "SELECT concat('gtid ', @@global.gtid_executed)"
