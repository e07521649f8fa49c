"""One state of the source, whatever happens to it meanwhile: writers, faults, time-outs, poolers, budgets."""

from __future__ import annotations

import os
from collections.abc import Iterator
from concurrent.futures import Future, ThreadPoolExecutor
from contextlib import contextmanager
from dataclasses import replace
from pathlib import Path

import pytest
from warehouse import source_read
from warehouse.capture import snapshot_tables
from warehouse.dialects.postgresql import PostgresqlDialect
from warehouse.fingerprints import ValidateMode
from warehouse.snapshot_spec import SnapshotJob, SnapshotResult
from warehouse.source_failures import SessionsNotKept, SourceStateElsewhere, SourceStateLost
from warehouse.spec_json import SpecError
from warehouse.table_spec import SplitSpec, TableSpec
from warehouse.validation_failures import FingerprintMismatch

from local_stack.errors import StackError
from local_stack.pgbouncer import PgBouncer, PoolMode, ensure_pgbouncer
from local_stack.ports import free_port
from local_stack.postgres import PostgresServer
from tests.spark.gates import READERS, ROWS, accounts, closed_gate, moves, transfers, wait_for_readers, wait_until
from tests.spark.runs import Runs

DAY = "2013-06-01"
REQUIRE_PGBOUNCER = "WAREHOUSE_REQUIRE_PGBOUNCER" in os.environ
"""Whether a machine without PgBouncer fails its tests instead of skipping them."""


@pytest.fixture(autouse=True)
def always_split(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(source_read, "SMALL_ROWS", 0)


@contextmanager
def capturing(runs: Runs, job: SnapshotJob) -> Iterator[Future[SnapshotResult]]:
    with ThreadPoolExecutor(1) as pool:
        yield pool.submit(snapshot_tables, runs.session, job)


def job_of(runs: Runs, *tables: TableSpec, consistency: str = "snapshot", **source: object) -> SnapshotJob:
    job = runs.snapshot_job(tables, DAY)
    return replace(job, source=replace(job.source, consistency=consistency, **source))  # type: ignore[arg-type]


def stored(runs: Runs, captured: SnapshotResult) -> list[tuple[int, int]]:
    rows = runs.session.table(runs.branch(captured, "accounts")).select("id", "amount").toLocalIterator()
    return sorted((row[0], row[1]) for row in rows)


def there(runs: Runs) -> list[tuple[int, int]]:
    return sorted(runs.database.run("SELECT id, amount FROM accounts"))


@pytest.mark.parametrize(("column", "reader"), [(None, "auto"), ("id", "auto"), (None, "jdbc"), ("id", "jdbc")])
def test_exactly_the_exported_state(runs: Runs, column: str | None, reader: str) -> None:
    accounts(runs)
    before = there(runs)
    table = runs.table("accounts", mode="current", split=SplitSpec(2, column), filter="at_gate(id)")
    table = replace(table, validate="rows")
    with capturing(runs, job_of(runs, table, reader=reader)) as capture, closed_gate(runs) as open_gate:
        wait_for_readers(runs, capture, 1)
        transfers(runs)
        moves(runs)
        open_gate()
        captured = capture.result(timeout=60)
    assert captured.captures[0].splits == 2 and captured.captures[0].consistency == "snapshot"
    assert captured.captures[0].source_rows == captured.captures[0].written_rows == ROWS
    assert stored(runs, captured) == before != there(runs)
    assert runs.validate([table], DAY, captured).published[0].record.validate == "rows"


@pytest.mark.parametrize("validate", ["count", "columns", "rows"])
def test_without_a_shared_state_the_same_read_mixes_two(tmpfs_runs: Runs, validate: ValidateMode) -> None:
    """Proof that the test above can fail: what is stored is neither the state before nor the one after.

    The number of rows is right all the same, so that only sums and hashes tell.
    """
    runs = tmpfs_runs
    accounts(runs)
    before = there(runs)
    # Two cores and three splits: the third starts when the first has ended, and this one must see the transfers.
    table = runs.table("accounts", mode="current", split=SplitSpec(3, "id"), filter="at_both_gates(id)")
    table = replace(table, validate=validate)
    with capturing(runs, job_of(runs, table, consistency="best_effort")) as capture, closed_gate(runs) as open_gate:
        wait_for_readers(runs, capture, 2)
        transfers(runs)
        open_gate()
        captured = capture.result(timeout=60)
    assert captured.captures[0].consistency == "best_effort"
    assert stored(runs, captured) not in (before, there(runs))
    if validate == "count":
        assert runs.validate([table], DAY, captured).published[0].record.consistency == "best_effort"
    else:
        with pytest.raises(FingerprintMismatch, match="amount"):
            runs.validate([table], DAY, captured)
        assert runs.records("accounts") == {}


def test_every_split_reads_in_the_state_that_the_record_names(tmpfs_runs: Runs) -> None:
    """Each row says in which state it was read, and which time-outs its connection had."""
    runs = tmpfs_runs
    accounts(runs)
    runs.database.run(
        "CREATE VIEW told AS SELECT id AS n, pg_current_snapshot()::text AS state, pg_backend_pid() AS process, "
        "current_setting('idle_in_transaction_session_timeout') || current_setting('statement_timeout') AS time_outs "
        "FROM accounts WHERE at_gate(id)"
    )
    table = runs.table("told", mode="current", split=SplitSpec(3, "n"))
    patient = "SET idle_in_transaction_session_timeout = '1h'; ALTER ROLE patient SET statement_timeout = '1h'"
    with (
        role(runs, "patient", patient) as reader,
        capturing(runs, job_of(runs, table, user=reader)) as capture,
        closed_gate(runs) as open_gate,
    ):
        wait_for_readers(runs, capture, 1)
        transfers(runs)
        open_gate()
        captured = capture.result(timeout=60)
    rows = runs.session.table(runs.branch(captured, "told"))
    assert rows.select("process").distinct().count() == 3
    [(state, time_outs)] = rows.select("state", "time_outs").distinct().collect()
    assert captured.captures[0].source_position.endswith(f"snapshot {state}") and time_outs == "00"


def test_a_holder_that_dies_fails_the_read(tmpfs_runs: Runs) -> None:
    runs = tmpfs_runs
    accounts(runs)
    table = runs.table("accounts", mode="current", filter="at_gate(id)")
    with capturing(runs, job_of(runs, table)) as capture, closed_gate(runs) as open_gate:
        wait_for_readers(runs, capture, 1)
        holder = f"SELECT pid FROM pg_stat_activity WHERE {READERS} ORDER BY backend_start LIMIT 1"
        assert runs.database.run(f"SELECT pg_terminate_backend(pid) FROM ({holder}) h") == [(True,)]
        open_gate()
        with pytest.raises(SourceStateLost, match="accounts") as caught:
            capture.result(timeout=60)
    assert caught.value.kind == "retryable"
    assert runs.records("accounts") == {}


@pytest.mark.parametrize("snapshot", ["00000000-00000001-1", "no snapshot"])
def test_a_state_that_a_connection_does_not_know(
    tmpfs_runs: Runs, monkeypatch: pytest.MonkeyPatch, snapshot: str
) -> None:
    """As when a load balancer leads a split to another server: the holder lives, and its state is unknown."""
    monkeypatch.setattr(PostgresqlDialect, "export_snapshot_sql", lambda _: f"SELECT '{snapshot}'")
    accounts(tmpfs_runs)
    with pytest.raises(SourceStateElsewhere, match="source tests: a connection does not know the state") as caught:
        tmpfs_runs.snapshot([tmpfs_runs.table("accounts", mode="current")], DAY)
    assert caught.value.kind == "permanent"


def test_no_fetch_size_of_zero(tmpfs_runs: Runs) -> None:
    """The driver would read a whole split at once, in autocommit mode, and ignore the imported state in silence."""
    with pytest.raises(SpecError, match="fetch_size"):
        replace(tmpfs_runs.database.source(), fetch_size=0)


@contextmanager
def role(runs: Runs, name: str, settings: str) -> Iterator[str]:
    """A reader of the tests' tables, with the server's password."""
    runs.database.create_reader(name)
    runs.database.run(
        f"ALTER ROLE {name} {settings}; GRANT USAGE ON SCHEMA public TO {name};"
        f"GRANT SELECT ON ALL TABLES IN SCHEMA public TO {name}"
    )
    try:
        yield name
    finally:
        runs.database.run(f"DROP OWNED BY {name}; DROP ROLE {name}")


def test_a_role_with_time_outs(tmpfs_runs: Runs) -> None:
    runs = tmpfs_runs
    accounts(runs)
    table = runs.table("accounts", mode="current", filter="at_gate(id)")
    with (
        role(runs, "hasty", "SET idle_in_transaction_session_timeout = '100ms'") as hasty,
        capturing(runs, job_of(runs, table, user=hasty)) as capture,
        closed_gate(runs) as open_gate,
    ):
        wait_for_readers(runs, capture, 1)
        idle = (
            "SELECT count(*) FROM pg_stat_activity WHERE usename = 'hasty' AND state = 'idle in transaction' "
            "AND clock_timestamp() - state_change > interval '500 ms'"
        )
        wait_until(runs, capture, lambda: runs.database.run(idle) == [(1,)], "the holder was idle for half a second")
        open_gate()
        assert capture.result(timeout=60).captures[0].written_rows == ROWS


def test_the_budget_is_never_exceeded(tmpfs_runs: Runs) -> None:
    """The source itself allows no connection more than the budget: holder, Spark's look at the schema, and splits."""
    runs = tmpfs_runs
    accounts(runs)
    runs.database.run("CREATE TABLE others AS SELECT * FROM accounts")
    tables = [
        runs.table(name, mode="current", split=SplitSpec(2), filter="at_both_gates(id)")
        for name in ("accounts", "others")
    ]
    with (
        role(runs, "modest", "CONNECTION LIMIT 3") as modest,
        capturing(runs, job_of(runs, *tables, user=modest)) as capture,
        closed_gate(runs) as open_gate,
    ):
        wait_for_readers(runs, capture, 2)
        counted = runs.database.run("SELECT count(*) FROM pg_stat_activity WHERE usename = 'modest'")
        open_gate()
        captured = capture.result(timeout=60)
        assert counted == [(3,)]
    assert [(table.splits, table.written_rows) for table in captured.captures] == [(2, ROWS), (2, ROWS)]


@contextmanager
def pooler(server: PostgresServer, scratch: Path, mode: PoolMode, *, take_turns: bool = False) -> Iterator[PgBouncer]:
    try:
        ensure_pgbouncer()
    except StackError as error:
        if REQUIRE_PGBOUNCER:
            raise
        pytest.skip(f"no PgBouncer: {error}")
    running = PgBouncer(server, scratch / "pgbouncer", free_port(), mode, take_turns)
    try:
        running.start()
        yield running
    finally:
        running.stop()


@pytest.mark.parametrize(("mode", "take_turns"), [("transaction", False), ("transaction", True), ("statement", False)])
def test_a_pooler_that_breaks_sessions(
    tmpfs_runs: Runs, server: PostgresServer, scratch: Path, mode: PoolMode, take_turns: bool
) -> None:
    accounts(tmpfs_runs)
    table = tmpfs_runs.table("accounts", mode="current")
    with pooler(server, scratch, mode, take_turns=take_turns) as between:
        job = job_of(tmpfs_runs, table, url=between.jdbc_url("postgres"))
        with pytest.raises(SessionsNotKept, match="source tests: a connection pooler in transaction mode") as caught:
            snapshot_tables(tmpfs_runs.session, job)
    assert caught.value.kind == "permanent"


def test_a_pooler_that_keeps_sessions(tmpfs_runs: Runs, server: PostgresServer, scratch: Path) -> None:
    accounts(tmpfs_runs)
    before = there(tmpfs_runs)
    table = tmpfs_runs.table("accounts", mode="current", split=SplitSpec(2))
    with pooler(server, scratch, "session") as between:
        captured = snapshot_tables(tmpfs_runs.session, job_of(tmpfs_runs, table, url=between.jdbc_url("postgres")))
    assert stored(tmpfs_runs, captured) == before and captured.captures[0].splits == 2
