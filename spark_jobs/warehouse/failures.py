"""Why a job ends without a result: exceptions that carry data and build their one sentence once.

Permanent failures end the Airflow task for good; retryable ones leave it to Airflow's retries. No message holds a
value of the data or a password. Errors of drivers and of the store are mapped to these in ``vendor_errors``.
"""

from __future__ import annotations

import difflib
from dataclasses import dataclass
from typing import ClassVar

from warehouse.fingerprints import Difference
from warehouse.job_spec import FailureKind

MOST_DIFFERENCES = 10
"""That a message names."""


class JobError(Exception):
    """An expected failure; ``str()`` is one sentence for a person."""

    kind: ClassVar[FailureKind]


class PermanentError(JobError):
    """Trying again changes nothing until somebody changes something."""

    kind = "permanent"


class RetryableError(JobError):
    """Trying again later may succeed."""

    kind = "retryable"


# Source


@dataclass(eq=False)
class WrongPassword(PermanentError):
    source: str
    user: str | None

    def __str__(self) -> str:
        return f"source {self.source} refuses user {self.user!r}: wrong user or password in its Airflow connection"


@dataclass(eq=False)
class SourceUnreachable(RetryableError):
    source: str
    table: str | None = None

    def __str__(self) -> str:
        reading = f" while table {self.table} was read" if self.table else ""
        return f"source {self.source} cannot be reached or closed the connection{reading}"


@dataclass(eq=False)
class SourceStateLost(RetryableError):
    """The connection that held the shared snapshot ended before the last write did."""

    source: str
    table: str | None = None

    def __str__(self) -> str:
        reading = f" before table {self.table} was written" if self.table else ""
        return f"the connection holding the state of source {self.source} ended{reading}, so nothing read counts"


@dataclass(eq=False)
class SourceStateElsewhere(PermanentError):
    """A connection does not find the exported state although the one that exported it lives."""

    source: str

    def __str__(self) -> str:
        return (
            f"source {self.source}: a connection does not know the state that another one holds, as if a load balancer "
            "had led it to another server; let the Airflow connection name one server"
        )


@dataclass(eq=False)
class SessionsNotKept(PermanentError):
    source: str

    def __str__(self) -> str:
        return (
            f"source {self.source}: a connection pooler in transaction mode stands in front of it, so that no "
            "connection can hold a state; connect to the server itself, or set pool_mode = session for this user"
        )


@dataclass(eq=False)
class OpenWriters(RetryableError):
    """The source's history of an instant is not complete yet. ``moment``: ISO 8601."""

    source: str
    transactions: int
    moment: str

    def __str__(self) -> str:
        return (
            f"source {self.source} has {self.transactions} open transaction(s) that began before {self.moment} and "
            "have written something, which may still become part of its history of that instant; nothing was read"
        )


@dataclass(eq=False)
class SourceRefused(PermanentError):
    """The source refuses a statement. ``reason`` never comes from the driver unless it can name no value."""

    source: str
    table: str | None
    sql_state: str
    reason: str = ""

    def __str__(self) -> str:
        what = f"reading table {self.table}" if self.table else "the connection"
        reason = f": {self.reason}" if self.reason else ""
        return f"source {self.source} refuses {what} (SQLSTATE {self.sql_state}){reason}"


@dataclass(eq=False)
class SourceBusy(RetryableError):
    source: str
    table: str | None
    sql_state: str

    def __str__(self) -> str:
        what = f"table {self.table}" if self.table else "a connection"
        return f"source {self.source} cannot serve {what} at the moment (SQLSTATE {self.sql_state})"


@dataclass(eq=False)
class DriverMissing(PermanentError):
    source: str
    driver: str

    def __str__(self) -> str:
        return f"the JDBC driver {self.driver} of source {self.source} is not on the driver's class path"


@dataclass(eq=False)
class MissingTable(PermanentError):
    table: str
    source_name: str
    source: str

    def __str__(self) -> str:
        return f"table {self.table}: source {self.source} has no table {self.source_name}"


@dataclass(eq=False)
class MissingColumn(PermanentError):
    table: str
    source_name: str
    columns: tuple[str, ...]
    found: tuple[str, ...] = ()

    def __str__(self) -> str:
        missing = ", ".join(repr(column) for column in self.columns)
        near = difflib.get_close_matches(self.columns[0], self.found, n=1)
        hint = f"; did you mean {near[0]!r}?" if near else ""
        return f"table {self.table}: {self.source_name} has no column {missing}{hint}"


@dataclass(eq=False)
class NoPrivilege(PermanentError):
    table: str
    source_name: str
    user: str | None

    def __str__(self) -> str:
        return f"table {self.table}: user {self.user!r} may not read {self.source_name}"


@dataclass(eq=False)
class UnsupportedColumn(PermanentError):
    table: str
    column: str
    type: str
    reason: str
    hint: str = "exclude it with columns.exclude"
    others: tuple[str, ...] = ()

    def __str__(self) -> str:
        others = f"; nor can {', '.join(map(repr, self.others))} be captured" if self.others else ""
        return f"table {self.table}: column {self.column!r} of type {self.type} {self.reason}; {self.hint}{others}"


@dataclass(eq=False)
class StateNotHeld(PermanentError):
    """``reason``: what of the table escapes a transaction, of the dialect's own words."""

    table: str
    reason: str

    def __str__(self) -> str:
        return (
            f"table {self.table} cannot be read in one consistent state, since {self.reason}; "
            "list it under a source with consistency: best_effort, or change that in the source"
        )


@dataclass(eq=False)
class RefusedValues(PermanentError):
    """``what``: what the values are that no stored value equals, ``infinite``. ``rows``: how many of them."""

    table: str
    column: str
    type: str
    rows: int
    what: str

    def __str__(self) -> str:
        return (
            f"table {self.table}: column {self.column!r} of type {self.type} has {self.rows} values that cannot be "
            f"stored exactly ({self.what}); name another kind for it in columns.types, or exclude it with "
            "columns.exclude"
        )


@dataclass(eq=False)
class SplitImpossible(PermanentError):
    table: str
    reason: str

    def __str__(self) -> str:
        return f"table {self.table} cannot be split: {self.reason}"


@dataclass(eq=False)
class IntervalNotExpressible(PermanentError):
    table: str
    reason: str

    def __str__(self) -> str:
        return f"table {self.table}: {self.reason}"


@dataclass(eq=False)
class CapturedTooLate(PermanentError):
    table: str
    as_of: str
    late_seconds: int
    lateness_seconds: int

    def __str__(self) -> str:
        return (
            f"table {self.table} is only known as it is now, {self.late_seconds} seconds after {self.as_of} ended, "
            f"later than its lateness of {self.lateness_seconds} seconds allows; capture the newest complete interval, "
            "or trigger this date with capture_late"
        )


@dataclass(eq=False)
class IntervalNotOver(RetryableError):
    source: str
    as_of: str
    seconds: int

    def __str__(self) -> str:
        return (
            f"the clock of source {self.source} is {self.seconds} seconds short of the end of {self.as_of}, so rows of "
            "that interval may still come; it is tried again, but check the clocks"
        )


# Store


@dataclass(eq=False)
class StoreUnreachable(RetryableError):
    uri: str

    def __str__(self) -> str:
        return f"the store {self.uri} cannot be reached or has no worker"


@dataclass(eq=False)
class StoreFull(RetryableError):
    uri: str
    table: str | None = None

    def __str__(self) -> str:
        what = f"table {self.table} does" if self.table else "the data does"
        return f"{what} not fit into the free memory of the store {self.uri}"


@dataclass(eq=False)
class TooFewWorkers(RetryableError):
    """A file cannot be written in as many copies as asked for."""

    uri: str

    def __str__(self) -> str:
        return (
            f"the store {self.uri} has fewer live workers, on different hosts, than the copies that store.replication "
            "asks for; start more"
        )


@dataclass(eq=False)
class StoreDataLost(RetryableError):
    uri: str
    table: str | None = None

    def __str__(self) -> str:
        what = f"table {self.table}" if self.table else "a table"
        return f"the store {self.uri} lists files of {what} whose contents it has lost; capture it again"


@dataclass(eq=False)
class TableNotInStore(PermanentError):
    table: str

    def __str__(self) -> str:
        return f"table {self.table} is not in the store: no snapshot of it was ever written"


@dataclass(eq=False)
class SchemaChanged(PermanentError):
    """``differences``: one for each column; ``remedy``: what to do."""

    table: str
    differences: tuple[str, ...]
    remedy: str

    def __str__(self) -> str:
        listed = ", ".join(self.differences)
        return f"table {self.table} no longer has the columns of its published snapshots: {listed}; {self.remedy}"


@dataclass(eq=False)
class TableRedefined(PermanentError):
    """The manifest means another table by the name of a stored one. ``differences``: what is now and what was."""

    table: str
    differences: tuple[str, ...]

    def __str__(self) -> str:
        return (
            f"table {self.table} is not what its published snapshots are of: {', '.join(self.differences)}; give it a "
            "new name in the manifest, which begins a new history, or set back what was changed"
        )


@dataclass(eq=False)
class ColumnsLost(PermanentError):
    table: str
    as_of: str
    columns: tuple[str, ...]

    def __str__(self) -> str:
        gone = ", ".join(self.columns)
        return (
            f"table {self.table}: the published interval {self.as_of} has values of {gone}, no longer captured; "
            "capturing the interval again would lose them: leave it as it is, or bring back what is gone"
        )


@dataclass(eq=False)
class ColumnsMoved(PermanentError):
    """Between the capture and its publishing another run published other columns."""

    table: str
    column: str

    def __str__(self) -> str:
        return (
            f"table {self.table}: another run published column {self.column!r} with another type after this one was "
            "captured; run snapshot again"
        )


@dataclass(eq=False)
class BranchGone(PermanentError):
    table: str
    branch: str

    def __str__(self) -> str:
        return f"table {self.table}: the run branch {self.branch} is gone, a later try replaced it; run snapshot again"


@dataclass(eq=False)
class BranchChanged(PermanentError):
    table: str
    branch: str

    def __str__(self) -> str:
        return f"table {self.table}: the run branch {self.branch} was changed after its capture; run snapshot again"


# Validation


@dataclass(eq=False)
class RowCountMismatch(PermanentError):
    table: str
    as_of: str
    source_rows: int
    stored_rows: int

    def __str__(self) -> str:
        return (
            f"table {self.table} as of {self.as_of}: the source had {self.source_rows} rows, the store has "
            f"{self.stored_rows}, a difference of {self.stored_rows - self.source_rows:+d}; nothing was published"
        )


@dataclass(eq=False)
class FingerprintMismatch(PermanentError):
    """The store does not hold what the source had. No difference names a value."""

    table: str
    as_of: str
    differences: tuple[Difference, ...]

    def __str__(self) -> str:
        named = [str(difference) for difference in self.differences[:MOST_DIFFERENCES]]
        if (more := len(self.differences) - len(named)) > 0:
            named.append(f"so do {more} more columns")
        return f"table {self.table} as of {self.as_of}: {'; '.join(named)}; nothing was published"


@dataclass(eq=False)
class CheckFailed(PermanentError):
    table: str
    as_of: str
    check: str
    rows: int
    of_rows: int

    def __str__(self) -> str:
        return (
            f"table {self.table} as of {self.as_of}: check {self.check!r} does not hold for {self.rows} of "
            f"{self.of_rows} rows; nothing was published"
        )


@dataclass(eq=False)
class CheckInvalid(PermanentError):
    table: str
    check: str
    reason: str

    def __str__(self) -> str:
        return f"table {self.table}: check {self.check!r} is not a condition on its rows ({self.reason})"


@dataclass(eq=False)
class CheckNotComputable(PermanentError):
    """A check raises an error for some row. ``condition`` is Spark's name of the error: its text quotes the value."""

    table: str
    condition: str

    def __str__(self) -> str:
        return f"table {self.table}: one of its checks cannot be computed for some row ({self.condition})"


@dataclass(eq=False)
class TooFewRows(PermanentError):
    table: str
    as_of: str
    rows: int
    min_rows: int

    def __str__(self) -> str:
        return (
            f"table {self.table} as of {self.as_of} has {self.rows} rows, fewer than min_rows {self.min_rows}; "
            "nothing was published"
        )


@dataclass(eq=False)
class ChangedTooMuch(PermanentError):
    table: str
    as_of: str
    rows: int
    previous_as_of: str
    previous_rows: int
    max_change: float

    def __str__(self) -> str:
        return (
            f"table {self.table} as of {self.as_of} has {self.rows} rows against {self.previous_rows} as of "
            f"{self.previous_as_of}, a change of more than max_change {self.max_change}; nothing was published"
        )
