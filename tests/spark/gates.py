"""Barriers inside the source: a capture stops half-way, others write, and it goes on."""

from __future__ import annotations

import time
from collections.abc import Callable, Iterator
from concurrent.futures import Future
from contextlib import contextmanager

from warehouse.snapshot_spec import SnapshotResult

from tests.spark.runs import Runs

GATE = 4711
ROWS = 20_000
READERS = "(application_name LIKE 'PostgreSQL JDBC%' OR application_name = 'logical-warehouse')"


def accounts(runs: Runs, rows: int = ROWS) -> None:
    """Table ``accounts (id, amount)`` and filters for it: ``at_gate`` stops the reader of the last rows at the gate,
    ``at_both_gates`` also that of the first ones. Only splits stop: the holder's own queries pass."""
    runs.database.run(
        "CREATE TABLE accounts (id integer PRIMARY KEY, amount bigint NOT NULL);"
        f"INSERT INTO accounts SELECT n, 100 FROM generate_series(1, {rows}) n; ANALYZE accounts"
    )
    for name, stops in (("at_gate", (rows - 1,)), ("at_both_gates", (1, rows // 2, rows - 1))):
        runs.database.run(
            f"CREATE FUNCTION {name}(id integer) RETURNS boolean LANGUAGE plpgsql AS $$ BEGIN "
            # Only the splits' queries have this alias.
            f"IF id IN ({', '.join(map(str, stops))}) AND position('source_rows' IN current_query()) > 0 THEN "
            f"PERFORM pg_advisory_lock_shared({GATE}); PERFORM pg_advisory_unlock_shared({GATE}); "
            "END IF; RETURN true; END $$"
        )


@contextmanager
def closed_gate(runs: Runs) -> Iterator[Callable[[], None]]:
    """The gate is closed until the block calls the function that it is given, or ends."""
    with runs.database.connection() as keeper:
        keeper.run(f"SELECT pg_advisory_lock({GATE})")
        try:
            yield lambda: keeper.run(f"SELECT pg_advisory_unlock({GATE})") and None
        finally:
            keeper.run("SELECT pg_advisory_unlock_all()")


def wait_for_readers(runs: Runs, capture: Future[SnapshotResult], waiting: int, *, besides: int = 0) -> None:
    """Until so many splits wait at the gate, and just as many others as ``besides`` still read."""
    reading = (
        "SELECT coalesce(sum((wait_event = 'advisory')::integer), 0), "
        "coalesce(sum((wait_event IS DISTINCT FROM 'advisory')::integer), 0) "
        f"FROM pg_stat_activity WHERE {READERS} AND state = 'active' AND query LIKE '%source_rows%'"
    )
    wait_until(runs, capture, lambda: runs.database.run(reading) == [(waiting, besides)], "the capture at the gate")


def wait_until(runs: Runs, capture: Future[SnapshotResult], condition: Callable[[], bool], what: str) -> None:
    """Until the condition holds; a capture that ends before fails the test with what it says."""
    deadline = time.monotonic() + 120
    while not condition():
        if capture.done():
            raise AssertionError(f"the capture ended before {what}: {capture.result()}")
        assert time.monotonic() < deadline, f"waited in vain for {what}"
        time.sleep(0.05)


def transfers(runs: Runs) -> None:
    """As many rows as before, with other amounts in both halves and in other places."""
    runs.database.run(
        f"UPDATE accounts SET amount = amount + 7 WHERE id > {ROWS // 2};"
        "UPDATE accounts SET amount = amount - 7 WHERE id < 100"
    )


def moves(runs: Runs) -> None:
    """As many rows as before, some of them others."""
    runs.database.run(
        f"DELETE FROM accounts WHERE id IN (1, {ROWS}); INSERT INTO accounts VALUES ({ROWS + 1}, 1), ({ROWS + 2}, 1)"
    )
