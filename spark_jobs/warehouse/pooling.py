"""Recognises a connection pooler that hands a session's transactions to changing servers. Pure: no driver in here.

In front of such a pooler nothing that lives longer than a transaction belongs to one client: settings leak to others,
and what a session prepared is gone. A pooler that keeps sessions (PgBouncer's ``pool_mode = session``) is as good as
the server itself.

PostgreSQL's protocol names the server process when it connects, for cancelling. PgBouncer puts a number of its own
there (1.18: random bytes), so that one question finds out whether anything stands between, at no cost without a pooler.
"""

from __future__ import annotations

from collections.abc import Callable
from typing import Protocol

from warehouse.failures import SessionsNotKept

ROUNDS = 3
"""The second already tells for pools that take turns, the first for those that reuse the latest connection."""


class Session(Protocol):
    """A connection in which every statement outside :meth:`begin` and :meth:`end` is a transaction of its own."""

    def announced(self) -> str | None:
        """The server process that the protocol named; None where the driver does not tell."""

    def process(self) -> str:
        """The process that answers now."""

    def begin(self) -> None: ...

    def end(self) -> None: ...

    def close(self) -> None: ...


def ensure_sessions_are_kept(source: str, first: Session, connect: Callable[[], Session]) -> None:
    """Return if a session stays with one process of the server. Opens a second connection only behind a pooler.

    While the second one holds a transaction, the first asks again: a pooler of transactions has given one process to
    both, or gives the first another one.

    :raises SessionsNotKept: it does not stay.
    """
    announced = first.announced()
    if announced is None or announced == first.process():
        return
    second = connect()
    try:
        for _ in range(ROUNDS):
            before = first.process()
            second.begin()
            held, after = second.process(), first.process()
            second.end()
            if held == before or after != before:
                raise SessionsNotKept(source)
    finally:
        second.close()
