"""Rows of one split as Arrow batches, by ``COPY (…) TO STDOUT (FORMAT binary)`` through PostgreSQL's client library.

Neither Spark nor the JVM has a part in it: the server sends its own binary form of each value, and the ADBC driver
decodes it into columns in C++. Measured with TPC-H lineitem (6.0M by 16, two connections, two cores, server included):
6.0 s, of Spark's JDBC source into rows of the JVM 10.6 s.

Source of the driver's behaviour: ADBC's manual of the PostgreSQL driver; it describes a statement, and then runs it by
COPY.
"""

from __future__ import annotations

import re
import threading
from collections.abc import Iterator, Sequence
from contextlib import contextmanager, suppress
from dataclasses import dataclass, field
from typing import Any

import pyarrow as pa
from adbc_driver_manager import Error as DriverError
from adbc_driver_manager._reader import AdbcRecordBatchReader
from adbc_driver_postgresql import StatementOptions, dbapi

from warehouse.dialects.dialect import Captured
from warehouse.kinds import Kind
from warehouse.sql_states import Cause, source_failure

BATCH_BYTES = 4 << 20
"""Of rows as they come, in a batch; what a split holds at a time is a few of them and its row group."""

_ARROW_TYPES = {
    "boolean": pa.bool_(),
    "integer": pa.int32(),
    "long": pa.int64(),
    "float": pa.float32(),
    "double": pa.float64(),
    "text": pa.string(),
    "binary": pa.binary(),
    "date": pa.date32(),
    "timestamp": pa.timestamp("us", tz="UTC"),
    "timestamp_ntz": pa.timestamp("us"),
}
_WITHOUT_STATE = (
    # The client library gives no SQLSTATE where a connection fails; what it says is the server's sentence.
    (re.compile(r"too many (clients|connections)|remaining connection slots"), "53300"),
    (re.compile(r"authentication failed|no pg_hba\.conf entry"), "28P01"),
)
_CONNECTION_LOST = "08006"


@dataclass(frozen=True)
class Split:
    """One connection's part of a table. ``uri`` holds the password.

    ``statements``: what the connection runs before, to see the held state. ``select``: its rows.
    """

    uri: str = field(repr=False)
    statements: tuple[str, ...]
    select: str


def sent_sql(captured: Captured) -> str:
    """The captured value as the server has to send it: a decimal as text, which the driver decodes best.

    The driver writes a binary numeric out as text itself, at twice the cost of the server's own (measured).
    """
    return f"({captured.sql})::text" if captured.kind.name == "decimal" else captured.sql


def arrow_type(kind: Kind) -> pa.DataType:
    """The Arrow type whose values, and whose Parquet form, are those that Iceberg has for ``kind``."""
    if kind.name == "decimal":
        return pa.decimal128(kind.precision, kind.scale)
    return _ARROW_TYPES[kind.name]


def decoded(batch: pa.RecordBatch, types: Sequence[pa.DataType]) -> list[pa.Array]:
    """The columns of a batch as they are stored.

    :raises pa.ArrowInvalid: a value is none of its type.
    """
    return [
        # Whole numbers since 1970 are what these types are made of.
        column.view(wanted) if pa.types.is_timestamp(wanted) or pa.types.is_date32(wanted) else column.cast(wanted)
        for column, wanted in zip(batch.columns, types, strict=True)
    ]


class SplitReader:
    """Reads one split; :meth:`cancel` may be called by any thread."""

    def __init__(self, split: Split, *, source: str, user: str | None, table: str) -> None:
        self._split = split
        self._names = (source, user, table)
        self._lock = threading.Lock()
        self._cursor: dbapi.Cursor | None = None
        self._cancelled = False

    def batches(self) -> Iterator[pa.RecordBatch]:
        """The rows in the held state, as they come.

        :raises JobError: the source refused, or is gone.
        """
        with (
            copy_errors(*self._names),
            dbapi.connect(self._split.uri, autocommit=True) as connection,
            connection.cursor() as cursor,
            self._cancellable(cursor),
        ):
            for statement in self._split.statements:
                cursor.execute(statement)
            yield from self._rows(cursor)

    @contextmanager
    def _cancellable(self, cursor: dbapi.Cursor) -> Iterator[None]:
        """Until the block ends: before the cursor is closed, for closing it frees what the driver cancels by."""
        with self._lock:
            self._cursor = cursor
        try:
            yield
        finally:
            with self._lock:
                self._cursor = None

    def cancel(self) -> None:
        """End the reading soon: what the server does for it now is stopped, and no more batches come.

        A reader that is just between two statements goes on with the next one: ask again until it has ended.
        """
        with self._lock:
            self._cancelled = True
            if self._cursor is not None:
                with suppress(DriverError):
                    self._cursor.adbc_cancel()

    def _rows(self, cursor: dbapi.Cursor) -> Iterator[pa.RecordBatch]:
        cursor.adbc_statement.set_options(**{StatementOptions.BATCH_SIZE_HINT_BYTES.value: str(BATCH_BYTES)})
        cursor.execute(self._split.select)
        handle = cursor.fetch_arrow()  # it ends the stream when it goes
        # Not fetch_record_batch(): the errors of what that returns have lost their SQLSTATE.
        reader = AdbcRecordBatchReader._import_from_c(handle.address)
        try:
            for batch in reader:
                if self._cancelled:
                    return
                yield batch
        finally:
            reader.close()


@contextmanager
def copy_errors(source: str, user: str | None, table: str) -> Iterator[None]:
    """Turn errors of the client library into the failures that the JDBC driver's would be; let all others pass."""
    try:
        yield
    except (DriverError, OSError) as error:
        failure = source_failure([cause_of(error)], source, user, table)
        assert failure is not None, "a cause with an SQLSTATE is always a failure"
        raise failure from error


def cause_of(error: Exception) -> Cause:
    """What is known of an error: its SQLSTATE and the server's sentence, without the query that the library repeats."""
    text = str(error)
    state: Any = getattr(error, "sqlstate", None)
    if not state:
        state = next((code for pattern, code in _WITHOUT_STATE if pattern.search(text)), _CONNECTION_LOST)
    sentence = text.partition("ERROR:")[2] or text
    return Cause(type(error).__name__, sentence.partition("\n")[0].strip(), str(state))
