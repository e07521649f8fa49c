"""SQL dialects of sources: small objects that build SQL and run nothing; used by Airflow's check and by Spark."""

from __future__ import annotations

from warehouse.dialects.dialect import Dialect, DialectError
from warehouse.dialects.generic import GenericDialect
from warehouse.dialects.mariadb import MariadbDialect
from warehouse.dialects.mysql import MysqlDialect
from warehouse.dialects.oracle import OracleDialect
from warehouse.dialects.postgresql import PostgresqlDialect
from warehouse.dialects.sqlserver import SqlserverDialect

DIALECTS: dict[str, Dialect] = {
    dialect.name: dialect
    for dialect in (
        PostgresqlDialect(),
        MariadbDialect(),
        MysqlDialect(),
        OracleDialect(),
        SqlserverDialect(),
        GenericDialect(),
    )
}

__all__ = ["DIALECTS", "Dialect", "DialectError", "dialect_for", "dialect_of_url"]


def dialect_for(name: str) -> Dialect:
    """The dialect called ``name``; the generic one for an engine that has none of its own."""
    return DIALECTS.get(name, DIALECTS["generic"])


def dialect_of_url(jdbc_url: str) -> Dialect:
    """The dialect of a JDBC URL, ``jdbc:<engine>:…``.

    :raises DialectError: not a JDBC URL.
    """
    scheme, *rest = jdbc_url.split(":", 2)
    if scheme != "jdbc" or len(rest) != 2:  # noqa: PLR2004 - jdbc, engine, the rest
        raise DialectError("a source's URL has the form jdbc:<engine>://<host>:<port>/<database>")
    return dialect_for(rest[0])
