"""Why a source does not answer, refuses, or cannot hold the state that is read."""

from __future__ import annotations

from dataclasses import dataclass

from warehouse.failures import PermanentError, RetryableError


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
