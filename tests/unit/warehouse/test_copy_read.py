"""What the client library's errors mean, and what the server is asked to send."""

from __future__ import annotations

from types import TracebackType
from typing import Any

import pyarrow as pa
import pytest
from adbc_driver_manager import AdbcStatusCode, OperationalError, ProgrammingError
from adbc_driver_postgresql import dbapi
from warehouse.copy_read import Split, SplitReader, arrow_type, cause_of, copy_errors, decoded, sent_sql
from warehouse.dialects.dialect import Captured
from warehouse.failures import JobError
from warehouse.kinds import Kind, decimal
from warehouse.source_failures import SourceBusy, SourceRefused, SourceStateLost, SourceUnreachable, WrongPassword


@pytest.mark.parametrize(
    ("error", "failure"),
    [
        (
            OperationalError(
                "Failed to connect: FATAL:  password authentication failed for user", status_code=AdbcStatusCode.IO
            ),
            WrongPassword,
        ),
        (OperationalError("Failed to connect: Connection refused", status_code=AdbcStatusCode.IO), SourceUnreachable),
        (OperationalError("FATAL:  sorry, too many clients already", status_code=AdbcStatusCode.IO), SourceBusy),
        (OperationalError('FATAL:  too many connections for role "reader"', status_code=AdbcStatusCode.IO), SourceBusy),
        (OSError("PQgetCopyData() failed: server closed the connection unexpectedly"), SourceUnreachable),
        (
            ProgrammingError(
                "Failed to execute query 'SET …': ERROR:  snapshot \"00-1\" does not exist\n. SQLSTATE: 42704",
                status_code=AdbcStatusCode.NOT_FOUND,
                sqlstate="42704",
            ),
            SourceStateLost,
        ),
    ],
)
def test_an_error_is_the_failure_that_the_jdbc_drivers_would_be(error: Exception, failure: type[JobError]) -> None:
    with pytest.raises(failure), copy_errors("core", "reader", "flights"):
        raise error


def test_a_value_in_a_message_stays_out_of_the_failure() -> None:
    error = ProgrammingError(
        'ERROR:  invalid input syntax for type integer: "DE02 1203"\nQuery was: …',
        status_code=AdbcStatusCode.INVALID_ARGUMENT,
        sqlstate="22P02",
    )
    with pytest.raises(SourceRefused) as refused, copy_errors("core", "reader", "flights"):
        raise error
    assert "DE02" not in str(refused.value) and "22P02" in str(refused.value)


def test_the_sentence_is_the_servers() -> None:
    error = ProgrammingError(
        'Failed to prepare query: ERROR:  relation "nope" does not exist\nLINE 1: …\nQuery was: SELECT 1',
        status_code=AdbcStatusCode.NOT_FOUND,
        sqlstate="42P01",
    )
    assert (cause_of(error).message, cause_of(error).sql_state) == ('relation "nope" does not exist', "42P01")


def test_other_errors_pass() -> None:
    with pytest.raises(KeyError), copy_errors("core", None, "flights"):
        raise KeyError("x")


def test_a_split_does_not_show_its_password() -> None:
    assert "secret" not in repr(Split("postgresql://?password=secret", (), "SELECT 1"))


def test_decimals_travel_as_text_and_nothing_else_is_changed() -> None:
    assert sent_sql(Captured("amount", decimal(12, 2))) == "(amount)::text"
    assert sent_sql(Captured("day - DATE '1970-01-01'", Kind("date"), "epoch_days")) == "day - DATE '1970-01-01'"


def test_whole_numbers_become_dates_and_timestamps_of_any_year() -> None:
    far = 2**63 - 1
    batch = pa.RecordBatch.from_arrays(
        [
            pa.array([-4_371_222, None, 2_932_896], pa.int32()),
            pa.array([-(2**63), None, far], pa.int64()),
            pa.array(["-0.01", None, "9999999999.99"]),
            pa.array([1, None, -(2**15)], pa.int16()),
        ],
        names=["c0", "c1", "c2", "c3"],
    )
    kinds = [Kind("date"), Kind("timestamp_ntz"), decimal(12, 2), Kind("integer")]
    days, moments, amounts, small = decoded(batch, [arrow_type(kind) for kind in kinds])
    assert days.cast(pa.int32()).to_pylist() == [-4_371_222, None, 2_932_896]
    assert moments.cast(pa.int64()).to_pylist() == [-(2**63), None, far]
    assert [None if one is None else str(one) for one in amounts.to_pylist()] == ["-0.01", None, "9999999999.99"]
    assert small.type == pa.int32() and small.to_pylist() == [1, None, -(2**15)]


class Connection:
    """A connection with its only cursor; when that is closed somebody cancels the reading at this very moment."""

    def __init__(self) -> None:
        self.reader: SplitReader | None = None
        self.cancelled = 0
        self.is_closed = False

    def __enter__(self) -> Connection:
        return self

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        assert self.reader is not None
        self.is_closed = True
        self.reader.cancel()

    def cursor(self) -> Connection:
        return self

    def execute(self, statement: str) -> None:
        assert self.reader is not None
        self.reader.cancel()
        raise OperationalError("canceling statement", status_code=AdbcStatusCode.CANCELLED, sqlstate="57014")

    def adbc_cancel(self) -> None:
        assert not self.is_closed, "the driver has freed what it cancels by"
        self.cancelled += 1


def test_a_reader_is_cancelled_while_it_reads_and_not_while_it_closes(monkeypatch: pytest.MonkeyPatch) -> None:
    connection = Connection()

    def connect(uri: str, **options: Any) -> Connection:
        return connection

    monkeypatch.setattr(dbapi, "connect", connect)
    split = Split("postgresql://", ("BEGIN",), "SELECT 1")
    connection.reader = SplitReader(split, source="core", user="reader", table="flights")
    with pytest.raises(JobError):
        list(connection.reader.batches())
    assert (connection.is_closed, connection.cancelled) == (True, 1)
