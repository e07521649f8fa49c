"""The databases that the tests read from: one small object for each engine, so that a test can run on all of them."""

from __future__ import annotations

from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass
from typing import Any, Protocol

from pyspark.sql import SparkSession
from warehouse.dialects import DIALECTS
from warehouse.jvm import jvm_of
from warehouse.source_spec import SourceSpec
from warehouse.table_spec import ColumnSpec

from local_stack.mariadb import MariadbServer
from local_stack.postgres import PostgresServer

Rows = list[tuple[Any, ...]]


@dataclass(frozen=True)
class Gate:
    """What makes a reader wait at a row: SQL of one engine. ``kill`` ends every connection that waits."""

    filter: str
    close: str
    open: str
    waiting: str
    kill: str


class Connection(Protocol):
    """One connection of the tests' own; every statement commits unless one began a transaction."""

    def run(self, sql: str) -> Rows:
        """Run statements; rows of the last one."""


class Database(Protocol):
    """A source's database, as its owner. ``schema``: where the tests' tables are."""

    @property
    def schema(self) -> str: ...

    @property
    def user(self) -> str: ...

    @property
    def password(self) -> str: ...

    @property
    def wall_time(self) -> str:
        """Type of a time without zone, in microseconds."""

    @property
    def gate(self) -> Gate: ...

    def create_reader(self, name: str) -> None:
        """An account with the owner's password and no right on any table."""

    def run(self, sql: str) -> Rows:
        """Run statements; rows of the last one."""

    def connection(self) -> Any:
        """Context manager of a :class:`Connection`."""

    def columns(self, table: str) -> tuple[ColumnSpec, ...]:
        """The table's columns as check finds them."""

    def source(self) -> SourceSpec: ...


@dataclass(frozen=True)
class PostgresDatabase:
    """The database ``name`` with its schema ``public``."""

    server: PostgresServer
    name: str = "postgres"
    schema: str = "public"
    wall_time: str = "timestamp"
    gate: Gate = Gate(
        filter="CASE WHEN id = 10 THEN pg_advisory_lock_shared(4711)::text = '' ELSE true END",
        close="SELECT pg_advisory_lock(4711)",
        open="SELECT pg_advisory_unlock(4711)",
        waiting="SELECT count(*) FROM pg_locks WHERE locktype = 'advisory' AND NOT granted",
        kill="SELECT count(pg_terminate_backend(pid)) FROM pg_locks WHERE locktype = 'advisory' AND NOT granted",
    )

    def create_reader(self, name: str) -> None:
        self.server.create_role(name, self.password)

    @property
    def user(self) -> str:
        return self.server.owner

    @property
    def password(self) -> str:
        return self.server.password

    def run(self, sql: str) -> Rows:
        """Run statements in one transaction; rows of the last one, if it has any."""
        connection = self.server.connect(self.name)
        try:
            with connection, connection.cursor() as cursor:
                cursor.execute(sql)
                return cursor.fetchall() if cursor.description else []
        finally:
            connection.close()

    @contextmanager
    def connection(self) -> Iterator[Connection]:
        connection = self.server.connect(self.name)
        connection.autocommit = True
        try:
            yield _PostgresConnection(connection)
        finally:
            connection.close()

    def columns(self, table: str) -> tuple[ColumnSpec, ...]:
        return _columns(self, table)

    def source(self) -> SourceSpec:
        return _source(self, "postgresql", self.server.jdbc_url(self.name))


@dataclass(frozen=True)
class _PostgresConnection:
    connection: Any

    def run(self, sql: str) -> Rows:
        with self.connection.cursor() as cursor:
            cursor.execute(sql)
            return cursor.fetchall() if cursor.description else []


@dataclass(frozen=True)
class MariadbDatabase:
    """The database ``schema``, over JDBC from the session's JVM: there is no client in Python."""

    server: MariadbServer
    session: SparkSession
    schema: str = "bank"
    wall_time: str = "datetime(6)"
    gate: Gate = Gate(
        filter="CASE WHEN id = 10 THEN get_lock('gate', 600) ELSE 1 END = 1",
        close="SELECT get_lock('gate', 0)",
        open="SELECT release_lock('gate')",
        waiting="SELECT count(*) FROM information_schema.processlist WHERE state = 'User lock'",
        kill="BEGIN NOT ATOMIC DECLARE waiting INT DEFAULT (SELECT min(id) FROM information_schema.processlist "
        "WHERE state = 'User lock'); EXECUTE IMMEDIATE concat('KILL ', waiting); END",
    )

    def create_reader(self, name: str) -> None:
        self.run(f"CREATE OR REPLACE USER '{name}'@'%' IDENTIFIED BY '{self.password}'")

    @property
    def user(self) -> str:
        return self.server.owner

    @property
    def password(self) -> str:
        return self.server.password

    def recreate(self) -> None:
        """Make the database anew, empty."""
        with self._connect("") as connection:
            connection.run(f"DROP DATABASE IF EXISTS `{self.schema}`; CREATE DATABASE `{self.schema}`")

    def run(self, sql: str) -> Rows:
        with self.connection() as connection:
            return connection.run(sql)

    @contextmanager
    def connection(self) -> Iterator[Connection]:
        with self._connect(self.schema) as connection:
            yield connection

    def columns(self, table: str) -> tuple[ColumnSpec, ...]:
        return _columns(self, table)

    def source(self) -> SourceSpec:
        return _source(self, "mariadb", self.server.jdbc_url(self.schema))

    @contextmanager
    def _connect(self, database: str) -> Iterator[Connection]:
        jvm = jvm_of(self.session)
        properties = jvm.java.util.Properties()
        options = {"user": self.user, "password": self.password, "allowMultiQueries": "true", "tinyInt1isBit": "false"}
        for name, value in options.items():
            properties.setProperty(name, value)
        connection = jvm.org.mariadb.jdbc.Driver().connect(self.server.jdbc_url(database), properties)
        try:
            yield _JdbcConnection(connection)
        finally:
            connection.close()


@dataclass(frozen=True)
class _JdbcConnection:
    connection: Any

    def run(self, sql: str) -> Rows:
        statement = self.connection.createStatement()
        rows: Rows = []
        has_rows = statement.execute(sql)
        while has_rows or statement.getUpdateCount() != -1:
            rows = list(_rows(statement.getResultSet())) if has_rows else rows
            has_rows = statement.getMoreResults()
        statement.close()
        return rows


def _rows(answer: Any) -> Iterator[tuple[Any, ...]]:
    width = answer.getMetaData().getColumnCount()
    while answer.next():
        yield tuple(answer.getObject(index) for index in range(1, width + 1))


def _columns(database: Database, table: str) -> tuple[ColumnSpec, ...]:
    dialect = DIALECTS[database.source().dialect]
    sql = dialect.columns_sql(database.schema, table)
    assert sql is not None
    listed = database.run(sql)
    return tuple(ColumnSpec(name, type_name, nullable == "true") for name, type_name, nullable, _ in listed)


def _source(database: Database, dialect: str, url: str) -> SourceSpec:
    return SourceSpec("tests", dialect, url, database.user, DIALECTS[dialect].driver_class, "UTC")
