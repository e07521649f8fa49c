"""Recognises a connection pooler that hands a client's transactions to changing sessions of the server.

In front of such a pooler nothing that outlives a transaction belongs to one client: settings leak to others, and what
a session prepared is gone. A pooler that keeps sessions (PgBouncer's ``pool_mode = session``) is as good as the server.

PostgreSQL's protocol names the server process when it connects, for cancelling. PgBouncer puts a number of its own
there (1.18: random bytes), so that one question finds out whether anything stands between, at no cost without a pooler.

Java connections look the same through Spark's bridge and through Airflow's: both sides use this.
"""

from __future__ import annotations

from collections.abc import Callable
from typing import Any, Protocol

from warehouse.dialects import Dialect
from warehouse.source_failures import SessionsNotKept

ROUNDS = 3
"""One tells where a pool reuses the latest connection or takes turns; other clients may get between."""


class Session(Protocol):
    """A connection in which every statement outside :meth:`begin` and :meth:`end` is a transaction of its own."""

    def announced(self) -> str | None:
        """The server process that the protocol named; None where the driver does not tell."""

    def process(self) -> str:
        """The process that answers now."""

    def begin(self) -> None:
        """What follows is one transaction."""

    def end(self) -> None:
        """The transaction is over."""

    def close(self) -> None:
        """The connection is over."""


class JdbcSession:
    """A ``java.sql.Connection`` with autocommit on, as it comes from its driver."""

    def __init__(self, connection: Any, dialect: Dialect) -> None:
        self._connection = connection
        self._dialect = dialect

    def announced(self) -> str | None:
        method = self._dialect.announced_process
        return None if method is None else str(getattr(self._connection, method)())

    def process(self) -> str:
        statement = self._connection.createStatement()
        try:
            answer = statement.executeQuery(self._dialect.process_sql())
            answer.next()
            return str(answer.getString(1))
        finally:
            statement.close()

    def begin(self) -> None:
        self._connection.setAutoCommit(False)

    def end(self) -> None:
        self._connection.rollback()
        self._connection.setAutoCommit(True)

    def close(self) -> None:
        self._connection.close()


def ensure_sessions_are_kept(source: str, first: Session, connect: Callable[[], Session]) -> None:
    """Return if a session stays with one process of the server. Opens a second connection only behind a pooler.

    A pooler of transactions that takes turns gives the first one another process when it asks again; one that reuses
    the latest gives the second one that of the first.

    :raises SessionsNotKept: it does not stay.
    """
    announced = first.announced()
    if announced is None or announced == first.process():
        return
    second = connect()
    try:
        for _ in range(ROUNDS):
            before, again = first.process(), first.process()
            second.begin()
            held, after = second.process(), first.process()
            second.end()
            if held == before or len({before, again, after}) > 1:
                raise SessionsNotKept(source)
    finally:
        second.close()
