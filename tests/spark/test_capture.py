"""Capturing: one consistent state while others write, and every refusal before anything becomes visible."""

from __future__ import annotations

import time
from collections.abc import Callable, Iterator
from concurrent.futures import Future, ThreadPoolExecutor
from contextlib import contextmanager
from dataclasses import replace

import pytest
from warehouse import source_read
from warehouse.capture import snapshot_tables
from warehouse.failures import (
    CapturedTooLate,
    DriverMissing,
    IntervalNotExpressible,
    JobError,
    MissingColumn,
    MissingTable,
    NoPrivilege,
    SchemaChanged,
    SourceRefused,
    SourceStateLost,
    SourceUnreachable,
    WrongPassword,
)
from warehouse.job_spec import PASSWORD_VARIABLE, ColumnSpec, SnapshotResult, SplitSpec, TableSpec

from tests.spark.runs import Runs

DAY = "2013-06-01"
GATE = 4711
ROWS = 20_000
JDBC = "application_name LIKE 'PostgreSQL JDBC%'"


def accounts(runs: Runs) -> None:
    """Rows that a transfer changes without changing their number; reading one of the second half waits at the gate."""
    runs.database.run(
        "CREATE TABLE accounts (id integer PRIMARY KEY, amount bigint NOT NULL);"
        f"INSERT INTO accounts SELECT n, 100 FROM generate_series(1, {ROWS}) n;"
        "CREATE FUNCTION at_gate(id integer) RETURNS boolean LANGUAGE plpgsql AS $$ BEGIN "
        # Only the splits' queries have this alias: the holder's own, which run meanwhile, pass.
        f"IF id = {ROWS - 1} AND position('source_rows' IN current_query()) > 0 THEN "
        f"PERFORM pg_advisory_lock_shared({GATE}); PERFORM pg_advisory_unlock_shared({GATE}); "
        "END IF; RETURN true; END $$"
    )


@contextmanager
def closed_gate(runs: Runs) -> Iterator[Callable[[], None]]:
    """The gate is closed until the block calls the function that it is given, or ends."""
    keeper = runs.database.server.connect()
    keeper.autocommit = True
    with keeper.cursor() as cursor:
        cursor.execute(f"SELECT pg_advisory_lock({GATE})")
        try:
            yield lambda: cursor.execute(f"SELECT pg_advisory_unlock({GATE})")
        finally:
            cursor.execute("SELECT pg_advisory_unlock_all()")
    keeper.close()


def wait_until_half_read(runs: Runs, capture: Future[SnapshotResult]) -> None:
    """Until the first split has ended and the second waits at the gate."""
    wait_for_readers(runs, capture, [("Lock",)])


def wait_for_readers(runs: Runs, capture: Future[SnapshotResult], waiting: list[tuple[str]]) -> None:
    """Until just these splits are there, each waiting for what its tuple says."""
    deadline = time.monotonic() + 60
    splits = f"{JDBC} AND state = 'active' AND query LIKE '%source_rows%'"
    reading = f"SELECT wait_event_type FROM pg_stat_activity WHERE {splits}"
    while runs.database.run(reading) != waiting:
        if capture.done():
            capture.result()
        assert time.monotonic() < deadline and not capture.done(), "the capture never came to the gate"
        time.sleep(0.05)


def transfers(runs: Runs) -> None:
    """As many rows as before, other amounts in both halves, and rows that moved to other places."""
    runs.database.run(
        f"UPDATE accounts SET amount = amount + 7 WHERE id > {ROWS // 2};"
        "UPDATE accounts SET amount = amount - 7 WHERE id < 100;"
        f"DELETE FROM accounts WHERE id IN (1, {ROWS}); "
        f"INSERT INTO accounts VALUES ({ROWS + 1}, 1), ({ROWS + 2}, 1)"
    )


def capture_while_others_write(runs: Runs, table: TableSpec, consistency: str) -> SnapshotResult:
    with ThreadPoolExecutor(1) as pool, closed_gate(runs) as open_gate:
        capture = pool.submit(runs.snapshot, [table], DAY, consistency=consistency)
        wait_until_half_read(runs, capture)
        transfers(runs)
        open_gate()
        return capture.result(timeout=60)


@pytest.mark.parametrize("column", [None, "id"])
def test_exactly_the_exported_state(runs: Runs, monkeypatch: pytest.MonkeyPatch, column: str | None) -> None:
    monkeypatch.setattr(source_read, "SMALL_ROWS", 0)
    accounts(runs)
    table = runs.table("accounts", mode="current", split=SplitSpec(2, column), filter="at_gate(id)")
    captured = capture_while_others_write(runs, table, "snapshot")

    assert captured.captures[0].splits == 2 and captured.captures[0].consistency == "snapshot"
    assert captured.captures[0].source_rows == captured.captures[0].written_rows == ROWS
    rows = runs.session.table(runs.branch(captured, "accounts"))
    assert rows.groupBy().agg({"amount": "sum", "id": "sum"}).collect()[0].asDict() == {
        "sum(amount)": 100 * ROWS,
        "sum(id)": ROWS * (ROWS + 1) // 2,
    }


def test_without_a_shared_state_the_same_read_mixes_two(tmpfs_runs: Runs, monkeypatch: pytest.MonkeyPatch) -> None:
    """Proof that the test above can fail: what is stored is neither the state before nor the one after."""
    monkeypatch.setattr(source_read, "SMALL_ROWS", 0)
    # Two cores and three splits: the third starts when the first has ended, and this one must see the transfers.
    accounts(tmpfs_runs)
    table = tmpfs_runs.table("accounts", mode="current", split=SplitSpec(3, "id"), filter="at_gate_of_second(id)")
    tmpfs_runs.database.run(
        "CREATE FUNCTION at_gate_of_second(id integer) RETURNS boolean LANGUAGE plpgsql AS $$ BEGIN "
        f"IF id IN (1, {ROWS // 2}) AND position('source_rows' IN current_query()) > 0 THEN "
        f"PERFORM pg_advisory_lock_shared({GATE}); PERFORM pg_advisory_unlock_shared({GATE}); "
        "END IF; RETURN true; END $$"
    )
    with ThreadPoolExecutor(1) as pool, closed_gate(tmpfs_runs) as open_gate:
        capture = pool.submit(tmpfs_runs.snapshot, [table], DAY, consistency="best_effort")
        wait_for_readers(tmpfs_runs, capture, [("Lock",), ("Lock",)])
        transfers(tmpfs_runs)
        open_gate()
        captured = capture.result(timeout=60)
    assert captured.captures[0].consistency == "best_effort"
    total = tmpfs_runs.session.table(tmpfs_runs.branch(captured, "accounts")).groupBy().sum("amount").collect()[0][0]
    after = int(tmpfs_runs.database.run("SELECT sum(amount) FROM accounts")[0][0])
    assert total not in (100 * ROWS, after)


def test_a_holder_that_dies_fails_the_read(tmpfs_runs: Runs, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(source_read, "SMALL_ROWS", 0)
    accounts(tmpfs_runs)
    table = tmpfs_runs.table("accounts", mode="current", filter="at_gate(id)")
    with ThreadPoolExecutor(1) as pool, closed_gate(tmpfs_runs) as open_gate:
        capture = pool.submit(tmpfs_runs.snapshot, [table], DAY)
        wait_until_half_read(tmpfs_runs, capture)
        holder = f"SELECT pid FROM pg_stat_activity WHERE {JDBC} ORDER BY backend_start LIMIT 1"
        assert tmpfs_runs.database.run(f"SELECT pg_terminate_backend(pid) FROM ({holder}) h") == [(True,)]
        open_gate()
        with pytest.raises(SourceStateLost) as caught:
            capture.result(timeout=60)
    assert "accounts" in str(caught.value) and caught.value.kind == "retryable"
    assert tmpfs_runs.records("accounts") == {}


def test_a_columns_name_may_hold_quotes_and_dots(tmpfs_runs: Runs) -> None:
    tmpfs_runs.database.run('CREATE TABLE named ("Mixed ""quotes`" integer, "at.zone" timestamptz)')
    tmpfs_runs.database.run("INSERT INTO named VALUES (7, '2013-03-10 02:30:00.123456-05')")
    captured = tmpfs_runs.snapshot([tmpfs_runs.table("named", mode="current")], DAY)
    rows = tmpfs_runs.session.table(tmpfs_runs.branch(captured, "named"))
    assert rows.columns == ['Mixed "quotes`', "at.zone"]
    assert [rows.collect()[0][0], *rows.selectExpr("string(`at.zone`)").collect()[0]] == [
        7,
        "2013-03-10 07:30:00.123456",
    ]


def test_a_table_grows_by_columns_and_by_nothing_else(runs: Runs) -> None:
    runs.events([DAY])
    runs.publish(runs.table(), DAY)
    runs.database.run("ALTER TABLE events ADD COLUMN extra integer DEFAULT 5")
    runs.publish(runs.table(), "2013-06-02")
    runs.publish(runs.table(), DAY, run="again")
    assert {row.extra for row in runs.rows().collect()} == {5}
    runs.database.run("ALTER TABLE events DROP COLUMN note, ALTER COLUMN extra TYPE text")
    with pytest.raises(SchemaChanged) as caught:
        runs.snapshot([runs.table()], DAY, run="third")
    assert "'note' is gone" in str(caught.value) and "'extra' is string, was int" in str(caught.value)


def test_progress_is_told_as_splits_finish(
    tmpfs_runs: Runs, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    monkeypatch.setattr(source_read, "SMALL_ROWS", 0)
    accounts(tmpfs_runs)
    tmpfs_runs.snapshot([tmpfs_runs.table("accounts", mode="current")], DAY)
    printed = capsys.readouterr().out
    assert f"accounts: 2 of 2 splits, {ROWS:,} rows" in printed
    assert f"accounts: {ROWS:,} of {ROWS:,} rows written" in printed


def refused(runs: Runs, table: TableSpec, failure: type[JobError], *words: str) -> None:
    with pytest.raises(failure) as caught:
        runs.snapshot([table], DAY)
    message = str(caught.value)
    assert "\n" not in message and "Exception" not in message and runs.database.server.password not in message
    assert not [word for word in words if word not in message]


def test_missing_table(tmpfs_runs: Runs) -> None:
    tmpfs_runs.events([DAY])
    refused(tmpfs_runs, replace(tmpfs_runs.table(), source_table="evnets"), MissingTable, "events", "public.evnets")


def test_missing_column(tmpfs_runs: Runs) -> None:
    tmpfs_runs.events([DAY])
    table = tmpfs_runs.table()
    table = replace(table, columns=(*table.columns, ColumnSpec("gone", "integer")))
    refused(tmpfs_runs, table, MissingColumn, "events", "'gone'")


def test_no_privilege(tmpfs_runs: Runs) -> None:
    tmpfs_runs.events([DAY])
    server = tmpfs_runs.database.server
    server.create_role("nobody_much", server.password)
    job = tmpfs_runs.snapshot_job([tmpfs_runs.table()], DAY)
    with pytest.raises(NoPrivilege, match=r"user 'nobody_much' may not read public\.events"):
        snapshot_tables(tmpfs_runs.session, replace(job, source=replace(job.source, user="nobody_much")))


def test_wrong_password(tmpfs_runs: Runs, monkeypatch: pytest.MonkeyPatch) -> None:
    tmpfs_runs.events([DAY])
    table = tmpfs_runs.table()
    monkeypatch.setenv(PASSWORD_VARIABLE, "not-the-password")
    refused(tmpfs_runs, table, WrongPassword, "tests", tmpfs_runs.database.server.owner)


def test_unreachable_source(tmpfs_runs: Runs) -> None:
    tmpfs_runs.events([DAY])
    job = tmpfs_runs.snapshot_job([tmpfs_runs.table()], DAY)
    for url in ("jdbc:postgresql://127.0.0.1:1/postgres", "jdbc:postgresql://no-such-host.invalid/postgres"):
        with pytest.raises(SourceUnreachable, match="source tests cannot be reached"):
            snapshot_tables(tmpfs_runs.session, replace(job, source=replace(job.source, url=url)))


def test_driver_missing(tmpfs_runs: Runs) -> None:
    tmpfs_runs.events([DAY])
    job = tmpfs_runs.snapshot_job([tmpfs_runs.table()], DAY)
    with pytest.raises(DriverMissing, match=r"org\.nowhere\.Driver"):
        snapshot_tables(tmpfs_runs.session, replace(job, source=replace(job.source, driver="org.nowhere.Driver")))


def test_filter_that_is_no_sql(tmpfs_runs: Runs) -> None:
    tmpfs_runs.events([DAY])
    table = replace(tmpfs_runs.table(), filter="amount >")
    refused(tmpfs_runs, table, SourceRefused, "events", "42601")


def test_interval_over_a_column_that_is_no_time(tmpfs_runs: Runs) -> None:
    tmpfs_runs.events([DAY])
    refused(tmpfs_runs, tmpfs_runs.table(column="id"), IntervalNotExpressible, "events", "'id'", "bigint")


def test_a_current_table_long_after_its_interval(tmpfs_runs: Runs) -> None:
    tmpfs_runs.events([DAY])
    table = tmpfs_runs.table(mode="current", lateness_seconds=3600)
    refused(tmpfs_runs, table, CapturedTooLate, "events", DAY)
    job = replace(tmpfs_runs.snapshot_job([table], DAY), capture_late=True)
    captured = snapshot_tables(tmpfs_runs.session, job)
    assert tmpfs_runs.validate([table], DAY, captured).published[0].record.late
