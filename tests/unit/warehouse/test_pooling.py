"""Poolers, played: which of them hands a client's transactions to changing sessions of the server."""

from __future__ import annotations

from dataclasses import dataclass, field

import pytest
from warehouse.pooling import ensure_sessions_are_kept
from warehouse.source_failures import SessionsNotKept, SourceBusy
from warehouse.sql_states import Cause, source_failure


@dataclass
class Server:
    """Starts processes; ``free`` are those that a pooler may hand out."""

    free: list[str] = field(default_factory=list)
    started: int = 0

    def start(self) -> str:
        self.started += 1
        return f"process {self.started}"


@dataclass
class Direct:
    """No pooler, or one that keeps sessions (which names a process of its own)."""

    server: Server
    pooled: bool = False

    def __post_init__(self) -> None:
        self.mine = self.server.start()

    def announced(self) -> str | None:
        return "the pooler's" if self.pooled else self.mine

    def process(self) -> str:
        return self.mine

    def begin(self) -> None: ...

    def end(self) -> None: ...

    def close(self) -> None: ...


@dataclass
class OfTransactions:
    """A pooler of transactions; ``latest``: hands out what came back last, else what came back first."""

    server: Server
    latest: bool
    held: str | None = None
    inside: bool = False

    def announced(self) -> str | None:
        return "the pooler's"

    def process(self) -> str:
        if self.held is None:
            self.held = self.server.free.pop(-1 if self.latest else 0) if self.server.free else self.server.start()
        answering = self.held
        if not self.inside:
            self.end()
        return answering

    def begin(self) -> None:
        self.inside = True

    def end(self) -> None:
        self.inside = False
        if self.held is not None:
            self.server.free.append(self.held)
            self.held = None

    def close(self) -> None:
        self.end()


def test_without_a_pooler_no_second_connection_is_opened() -> None:
    server = Server()
    ensure_sessions_are_kept("nyc", Direct(server), lambda: pytest.fail("a second connection"))
    assert server.started == 1


def test_a_driver_that_does_not_tell_is_left_alone() -> None:
    class Silent(Direct):
        def announced(self) -> str | None:
            return None

    ensure_sessions_are_kept("nyc", Silent(Server()), lambda: pytest.fail("a second connection"))


def test_a_pooler_that_keeps_sessions_is_as_good_as_the_server() -> None:
    server = Server()
    ensure_sessions_are_kept("nyc", Direct(server, pooled=True), lambda: Direct(server, pooled=True))
    assert server.started == 2


@pytest.mark.parametrize("idle", range(5))
@pytest.mark.parametrize("latest", [True, False])
def test_a_pooler_of_transactions_is_recognised(idle: int, latest: bool) -> None:
    server = Server()
    server.free = [server.start() for _ in range(idle)]
    with pytest.raises(SessionsNotKept, match=r"source nyc: a connection pooler in transaction mode .* pool_mode"):
        ensure_sessions_are_kept("nyc", OfTransactions(server, latest), lambda: OfTransactions(server, latest))
    assert not [one for one in server.free if server.free.count(one) > 1]


def failure(state: str, message: str = "") -> object:
    return source_failure([Cause("org.postgresql.util.PSQLException", message, state)], "nyc", "reader", "flights")


def test_a_pooler_of_statements_says_so_itself() -> None:
    said = "FATAL: transaction blocks not allowed in statement pooling mode"
    assert isinstance(failure("08P01", said), SessionsNotKept)


@pytest.mark.parametrize(
    "state",
    [
        "40001",  # a standby cancels a read that is in the way of what it replays
        "25P03",  # idle_in_transaction_session_timeout
        "57014",  # statement_timeout
        "53300",  # too many connections
    ],
)
def test_what_passes_is_tried_again(state: str) -> None:
    found = failure(state, "ERROR: canceling statement due to conflict with recovery")
    assert isinstance(found, SourceBusy) and found.kind == "retryable"
    assert str(found) == f"source nyc cannot serve table flights at the moment (SQLSTATE {state})"
