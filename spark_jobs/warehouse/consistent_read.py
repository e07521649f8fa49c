"""One consistent state of a source, held by one connection in the driver's JVM while all splits read it.

A row count cannot certify a parallel read of a live table: measured with concurrent writers, splits without a shared
state gave the right count and a wrong sum. So the holder opens one repeatable-read transaction and exports its
snapshot, every split imports it, and the holder must still be alive when the last write has ended.
"""

from __future__ import annotations

import os
import threading
from collections.abc import Collection, Iterator
from contextlib import contextmanager, suppress
from datetime import UTC, datetime
from typing import TYPE_CHECKING, Any

from py4j.protocol import Py4JError, Py4JJavaError

from warehouse.dialects import Dialect, DialectError, dialect_for
from warehouse.dialects.jdbc_metadata import described_columns
from warehouse.failures import JobError
from warehouse.jvm import java_array, jvm_of
from warehouse.masks import MaskKey
from warehouse.pooling import JdbcSession, ensure_sessions_are_kept
from warehouse.side_by_side import Cancelled
from warehouse.source_failures import DriverMissing, OpenWriters, SourceRefused, SourceStateElsewhere, SourceStateLost
from warehouse.source_spec import PASSWORD_VARIABLE, SourceSpec
from warehouse.table_spec import TableSpec
from warehouse.vendor_errors import source_errors

if TYPE_CHECKING:
    from pyspark.sql import SparkSession


ALIVE_SECONDS = 10


class SourceState:
    """A source as all tables of a group are read from it.

    ``snapshot``: the exported state's name, None where nothing is shared. ``consistency``: ``snapshot`` or
    ``best_effort``, as the record says it for ever. ``one_connection``: the state is this connection's alone, so that
    rows have to come through it.
    ``captured_at``: ISO 8601 in UTC by the source's clock. ``position``: the source's own name of the state.
    ``keys``: of masks, by their connection; they are known to every session, and to no statement.
    """

    def __init__(self, source: SourceSpec, dialect: Dialect, connection: Any, keys: Collection[MaskKey] = ()) -> None:
        self.source = source
        self.dialect = dialect
        self.keys = {key.connection: key for key in keys}
        self._connection = connection
        self._lock = threading.Lock()
        self._running: Any | None = None
        self._cancelled = False
        self._cancelling = threading.Lock()
        self.consistency = source.consistency
        export = dialect.export_snapshot_sql() if source.consistency == "snapshot" else None
        self.snapshot: str | None = self.value(export) if export else None
        self.captured_at: str = self._clock()
        position = dialect.source_position_sql()
        self.position: str = (self.value(position) or "") if position else (self.snapshot or "")

    @property
    def one_connection(self) -> bool:
        """Whether no other connection can read this state."""
        return self.consistency == "snapshot" and not self.dialect.shares_snapshots

    def query(self, sql: str, table: str | None = None) -> list[tuple[str | None, ...]]:
        """All rows of a small answer, each cell as text, read in the held state. Safe from several threads.

        :raises JobError: the source refused, or is gone.
        """
        with source_errors(self.source.name, self.source.user, table), self._statement() as statement:
            answer = statement.executeQuery(sql)
            width = answer.getMetaData().getColumnCount()
            rows: list[tuple[str | None, ...]] = []
            while answer.next():
                rows.append(tuple(answer.getString(index) for index in range(1, width + 1)))
            return rows

    @contextmanager
    def stream(self, sql: str) -> Iterator[Any]:
        """The ``java.sql.ResultSet`` of a large answer in the held state, fetched as it is read.

        No other statement runs meanwhile: some drivers would read the rest of the answer into memory first.
        """
        with self._statement() as statement:
            statement.setFetchSize(max(1, self.source.fetch_size))
            try:
                yield statement.executeQuery(sql)
            except BaseException:
                with suppress(Py4JError):
                    statement.cancel()  # else closing it would read the rest
                raise

    @contextmanager
    def _statement(self) -> Iterator[Any]:
        """A ``java.sql.Statement`` in the held state, the only one at a time, which :meth:`cancel` reaches."""
        with self._lock:
            with self._cancelling:
                if self._cancelled:
                    raise Cancelled
                self._running = self._connection.createStatement()
            try:
                yield self._running
            finally:
                with self._cancelling, suppress(Py4JError):
                    statement, self._running = self._running, None
                    statement.close()

    def cancel(self) -> None:
        """End what another thread reads in the held state; it fails, and nothing can be read in the state any more.

        A statement that is about to begin may not be reached: ask again until that thread has ended.
        """
        with self._cancelling:
            self._cancelled = True
            if self._running is not None:
                with suppress(Py4JError):
                    self._running.cancel()

    def value(self, sql: str, table: str | None = None) -> str | None:
        """First cell of the first row."""
        return self.query(sql, table)[0][0]

    def verify(self, table: str) -> None:
        """Prove that the state was held until now, that is until ``table`` was written.

        :raises SourceStateLost: the holder ended; what was read may be of several states.
        """
        if not self.is_held():
            raise SourceStateLost(self.source.name, table)

    def is_held(self) -> bool:
        """Whether the state is held still."""
        try:
            # A cancelled statement may have broken the transaction, in which nothing is answered any more.
            if (alive := self.dialect.alive_sql) is None or self._cancelled:
                return bool(self._connection.isValid(ALIVE_SECONDS))
            self.value(alive)
        except JobError:
            return False
        return True

    def columns(self, table: TableSpec) -> list[tuple[str | None, ...]]:
        """The table's columns as of ``Dialect.columns_sql``."""
        place = (table.source_schema, table.source_table)
        sql = self.dialect.columns_sql(*place)
        if sql is not None:
            return self.query(sql, table.name)
        with self._lock, source_errors(self.source.name, self.source.user, table.name):
            return list(described_columns(self._connection.getMetaData(), *place))

    def _clock(self) -> str:
        try:
            return self.value(self.dialect.captured_at_sql()) or ""
        except DialectError:
            return datetime.now(UTC).isoformat(timespec="microseconds").replace("+00:00", "Z")


@contextmanager
def hold_source_state(
    session: SparkSession,
    source: SourceSpec,
    *,
    history_of: datetime | None = None,
    keys: Collection[MaskKey] = (),
) -> Iterator[SourceState]:
    """Open the holder, and keep it until the block ends.

    :param keys: of the masks of the tables that are read.
    :param history_of: the instant whose state is asked of the source's own history, if there is one.
    :raises OpenWriters: what is still being written could change that history.
    :raises JobError: wrong password, unreachable source, missing driver, a pooler that breaks sessions, or an engine
        that cannot hold a state although the spec asks for it.
    """
    dialect = dialect_for(source.dialect)
    if source.consistency == "snapshot" and not dialect.holds_state:
        raise SourceRefused(source.name, None, "0A000", "its engine holds no state; set consistency: best_effort")
    with source_errors(source.name, source.user):
        connection = _connect(session, source, dialect, keys)
    try:
        with source_errors(source.name, source.user):
            ensure_sessions_are_kept(
                source.name,
                JdbcSession(connection, dialect),
                lambda: JdbcSession(_connect(session, source, dialect, keys), dialect),
            )
            for statement in (*dialect.session_settings, *dialect.init_statements):
                _execute(connection, statement)
            if source.consistency == "snapshot":
                if history_of is not None:
                    _refuse_open_writers(connection, source, dialect, history_of)
                connection.setReadOnly(True)
                if dialect.isolation is not None:
                    connection.setTransactionIsolation(dialect.isolation)
                connection.setAutoCommit(False)
                for statement in dialect.begin_statements:
                    _execute(connection, statement)
        state = SourceState(source, dialect, connection, keys)
        try:
            yield state
        except SourceStateLost as error:
            if state.is_held():
                raise SourceStateElsewhere(source.name) from error
            raise
    finally:
        with suppress(Py4JError):
            connection.close()


def _refuse_open_writers(connection: Any, source: SourceSpec, dialect: Dialect, moment: datetime) -> None:
    """Before the state is fixed: what was begun before ``moment`` is committed by then, or refuses the run."""
    sql = dialect.open_writers_sql(moment)
    if sql is None:
        return
    statement = connection.createStatement()
    try:
        with source_errors(source.name, source.user):
            answer = statement.executeQuery(sql)
            answer.next()
            writers = int(answer.getString(1))
    except SourceRefused:
        print(
            f"source {source.name} does not show its open transactions to user {source.user!r}: one that was writing "
            f"at {moment.isoformat()} and is not committed yet would be missed",
            flush=True,
        )
        return
    finally:
        statement.close()
    if writers:
        raise OpenWriters(source.name, writers, moment.isoformat())


def connection_properties(source: SourceSpec, dialect: Dialect, keys: Collection[MaskKey]) -> dict[str, str]:
    """JDBC properties of every connection to the source, with the password and the keys of masks.

    Unlike statements and Spark's options of a relation these are in no plan, log line or page of its UI.
    """
    properties = dict(dialect.masks.properties(dialect.properties, keys))
    credentials = {"user": source.user, "password": os.environ.get(PASSWORD_VARIABLE)}
    return properties | {name: value for name, value in credentials.items() if value is not None}


def _connect(session: SparkSession, source: SourceSpec, dialect: Dialect, keys: Collection[MaskKey]) -> Any:
    jvm = jvm_of(session)
    try:
        # The context loader knows the jars of --jars as well as the class path; DriverManager only the latter.
        loader = jvm.java.lang.Thread.currentThread().getContextClassLoader()
        no_types = java_array(session, jvm.java.lang.Class, 0)
        no_values = java_array(session, jvm.java.lang.Object, 0)
        driver = loader.loadClass(source.driver).getDeclaredConstructor(no_types).newInstance(no_values)
    except Py4JJavaError as error:
        raise DriverMissing(source.name, source.driver) from error
    properties = jvm.java.util.Properties()
    for name, value in connection_properties(source, dialect, keys).items():
        properties.setProperty(name, value)
    connection = driver.connect(source.url, properties)
    if connection is None:
        raise SourceRefused(source.name, None, "08001", f"its URL is not one of the driver {source.driver}")
    return connection


def _execute(connection: Any, sql: str) -> None:
    statement = connection.createStatement()
    try:
        statement.execute(sql)
    finally:
        statement.close()
