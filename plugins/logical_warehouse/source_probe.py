"""Asks the source, over ``JdbcHook``, what a run is about to read: its tables, columns and size. Reads no row."""

from __future__ import annotations

import socket
from contextlib import ExitStack
from datetime import datetime
from typing import TYPE_CHECKING, Any
from urllib.parse import urlsplit

from warehouse.capture_failures import IntervalNotExpressible, MissingColumn, MissingTable, NoPrivilege, StateNotHeld
from warehouse.dialects import Dialect, DialectError, dialect_of_url
from warehouse.dialects.columns import capture_columns
from warehouse.dialects.dialect import all_of
from warehouse.dialects.jdbc_metadata import described_columns
from warehouse.failures import PermanentError, RetryableError
from warehouse.history_sql import HistoryRows, history_rows
from warehouse.mask_failures import Unclassified
from warehouse.pooling import JdbcSession, ensure_sessions_are_kept
from warehouse.run_spec import IntervalSpec
from warehouse.source_failures import SourceUnreachable
from warehouse.sql_states import Cause, source_failure
from warehouse.table_spec import ColumnSpec

from logical_warehouse.connections import JdbcAddress
from logical_warehouse.jars import jar_files
from logical_warehouse.plan import history_spec

if TYPE_CHECKING:
    from types import TracebackType

    from logical_warehouse.manifest import Source, Table

CONNECT_SECONDS = 10


class SourceProbe:
    """One connection to a source, open while the context is; every failure names the source and the table."""

    def __init__(self, source: Source, address: JdbcAddress, jars: str | None) -> None:
        self.source = source
        self.address = address
        self.jars = jars
        try:
            self.dialect: Dialect = dialect_of_url(address.url)
        except DialectError as error:
            raise PermanentError(f"The source {source.name}: {error}.") from error
        if not self.dialect.holds_state and source.consistency != "best_effort":
            raise PermanentError(
                f"The source {source.name} ({address.url.split(':')[1]}) is not known to hold one state for a reader; "
                "set its consistency to best_effort in the manifest, and every record will say so."
            )
        self.driver = source.driver or self.dialect.driver_class
        if not self.driver:
            raise PermanentError(
                f"The source {source.name} ({address.url.split(':')[1]}) needs the class of its JDBC driver; "
                "name it as its driver in the manifest."
            )
        self._connection: Any = None

    def __enter__(self) -> SourceProbe:
        from airflow.providers.jdbc.hooks.jdbc import JdbcHook

        _ensure_reachable(self.source.name, self.address.url)
        hook = JdbcHook(
            jdbc_conn_id=self.source.connection,
            driver_path=",".join(jar_files(self.jars)) or None,
            driver_class=self.driver,
        )
        try:
            with ExitStack() as until_ready:
                self._connection = hook.get_conn()
                until_ready.callback(self._connection.close)
                ensure_sessions_are_kept(
                    self.source.name,
                    JdbcSession(self._connection.jconn, self.dialect),
                    lambda: JdbcSession(hook.get_conn().jconn, self.dialect),
                )
                # What is asked about times must not depend on the server's time zone, here as little as in the job.
                with self._connection.cursor() as cursor:
                    for statement in self.dialect.init_statements:
                        cursor.execute(statement)
                until_ready.pop_all()
        except PermanentError:
            raise
        except Exception as error:  # noqa: BLE001  # of Java, known only once its virtual machine runs
            raise self._failure(error, None) from None
        return self

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        self._connection.close()

    def columns(self, table: Table) -> tuple[ColumnSpec, ...]:
        """The table's columns that the manifest asks for, in the source's order.

        :raises MissingTable, MissingColumn, NoPrivilege, UnsupportedColumn, Unclassified: as their names say.
        """
        rows = self._described(table)
        if not rows:
            raise MissingTable(table.name, table.table, self.source.name)
        self._ensure_held(table)
        found = {
            name: (type_name, nullable == "true", readable == "true") for name, type_name, nullable, readable in rows
        }
        wanted = _wanted_columns(table, tuple(found))
        # Those that the history asks for need not be among those that are kept.
        asked = tuple(dict.fromkeys((*wanted, *history_spec(table.history).columns)))
        if missing := tuple(name for name in asked if name not in found):
            raise MissingColumn(table.name, table.table, missing, tuple(found))
        if not all(found[name][2] for name in asked):
            raise NoPrivilege(table.name, table.table, self.address.user)
        chosen = [name for name in found if name in wanted]
        columns = tuple(
            ColumnSpec(
                name=name,
                type=found[name][0],
                nullable=found[name][1],
                as_kind=table.columns.kind_of(name) if table.columns else None,
                mask=table.columns.mask_of(name) if table.columns else None,
                classification=table.columns.label_of(name) if table.columns else None,
            )
            for name in chosen
        )
        unlabelled = tuple(column.name for column in columns if column.classification is None)
        if table.require_classification and unlabelled:
            raise Unclassified(table.name, unlabelled)
        capture_columns(self.dialect, table.name, columns)
        return columns

    def history_begins(self, table: Table) -> datetime | None:
        """Since when the source's own history knows the table; None for always, and where it cannot be asked."""
        statement = self.dialect.history_begins_sql(table.source_schema, table.source_table)
        answer = None if statement is None else self._query(statement, table)[0][0]
        return None if answer is None else datetime.fromisoformat(str(answer))

    def estimate(self, table: Table, columns: tuple[ColumnSpec, ...], interval: IntervalSpec) -> tuple[int, int]:
        """Rows and bytes that the source's planner expects for the interval; the statement is planned, not run.

        :raises IntervalNotExpressible: the engine, or a history column's type, cannot say what the interval holds.
        """
        rows_sql = self._history_rows(table, columns, interval)
        listed = {f"c{index}": self.dialect.quote(column.name) for index, column in enumerate(columns)}
        statement = self.dialect.estimate_sql(
            self.dialect.select(listed, rows_sql.relation, all_of(table.filter, rows_sql.condition))
        )
        if statement is None:
            return 0, 0
        answer = "".join(str(row[0]) for row in self._query(statement, table))
        rows, width = self.dialect.read_estimate(answer)
        row_bytes = self.dialect.row_bytes_sql(table.source_schema, table.source_table)
        if not width and row_bytes is not None:
            width = int(str(self._query(row_bytes, table)[0][0] or 0))
        return rows, rows * width

    def _history_rows(self, table: Table, columns: tuple[ColumnSpec, ...], interval: IntervalSpec) -> HistoryRows:
        history = history_spec(table.history)
        types = {column.name: column for column in columns}
        if not types.keys() >= set(history.columns):
            found = self._described(table)
            types |= {name: ColumnSpec(name, type_name) for name, type_name, _, _ in found}
        try:
            return history_rows(
                self.dialect,
                table.source_schema,
                table.source_table,
                history=history,
                interval=interval,
                columns=types,
                time_zone=self.source.time_zone,
            )
        except DialectError as error:
            raise IntervalNotExpressible(table.name, str(error)) from error

    def _described(self, table: Table) -> list[tuple[Any, ...]]:
        sql = self.dialect.columns_sql(table.source_schema, table.source_table)
        if sql is not None:
            return self._query(sql, table)
        try:
            metadata = self._connection.jconn.getMetaData()
            return list(described_columns(metadata, table.source_schema, table.source_table))
        except Exception as error:  # noqa: BLE001  # as below
            raise self._failure(error, table) from None

    def _ensure_held(self, table: Table) -> None:
        statement = self.dialect.state_refusal_sql(table.source_schema, table.source_table)
        if statement is None or self.source.consistency != "snapshot":
            return
        reason = self._query(statement, table)[0][0]
        if reason is not None:
            raise StateNotHeld(table.name, str(reason))

    def _query(self, statement: str, table: Table) -> list[tuple[Any, ...]]:
        try:
            with self._connection.cursor() as cursor:
                cursor.execute(statement)
                rows: list[tuple[Any, ...]] = cursor.fetchall()
        except Exception as error:  # noqa: BLE001  # as above
            raise self._failure(error, table) from None
        return rows

    def _failure(self, error: Exception, table: Table | None) -> Exception:
        """The driver's exception as a sentence; its own text is never passed on where it could hold a value."""
        # Of a statement the hook's driver wraps it as an argument.
        chain: tuple[Any, ...] = (error.__cause__, *error.args, error)
        java: Any = next((one for one in chain if hasattr(one, "getSQLState")), error)
        state = java.getSQLState() if hasattr(java, "getSQLState") else None
        if state is None:
            if "not found" in str(error) or "ClassNotFound" in type(error).__name__:
                return PermanentError(
                    f"The JDBC driver {self.driver} of the source {self.source.name} is not in the jars "
                    f"folder {self.jars}; put its jar there."
                )
            return RetryableError(f"The source {self.source.name} failed ({type(error).__name__}); see its log.")
        cause = Cause(type(java).__name__, str(java), str(state), int(java.getErrorCode()))
        failure = source_failure([cause], self.source.name, self.address.user, table.name if table else None)
        assert failure is not None  # a cause with an SQLSTATE always maps to one
        return failure


def _wanted_columns(table: Table, found: tuple[str, ...]) -> tuple[str, ...]:
    """Names that must be there: those included, or all and those that the manifest says something of.

    A mask of a column that is not there is no mask: its column has another name, and would come in clear.
    """
    if table.columns is None:
        return found
    if table.columns.include is not None:
        return table.columns.include
    unknown = tuple(name for name in table.columns.named if name not in found)
    return (*(name for name in found if table.columns.has(name)), *unknown)


def _ensure_reachable(source: str, jdbc_url: str) -> None:
    """Fail within seconds where nothing listens: some drivers wait for minutes.

    :raises SourceUnreachable: the host and port of the URL do not accept a connection.
    """
    address = urlsplit(jdbc_url.removeprefix("jdbc:"))
    if address.hostname is None or address.port is None:
        return  # a form of URL of its own; the driver will say
    try:
        socket.create_connection((address.hostname, address.port), timeout=CONNECT_SECONDS).close()
    except OSError as error:
        raise SourceUnreachable(source) from error
