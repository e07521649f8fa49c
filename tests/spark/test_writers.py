"""Captures under free-running writers: count, sums and a hash of all rows are those of the exported state."""

from __future__ import annotations

import random
import threading
from collections.abc import Iterator
from concurrent.futures import ThreadPoolExecutor
from contextlib import contextmanager
from dataclasses import replace

import psycopg2
import pytest
from pyspark.sql import functions as sf
from warehouse import capture, source_read
from warehouse.consistent_read import SourceState
from warehouse.run_spec import IntervalSpec
from warehouse.source_read import SourceRead
from warehouse.table_spec import SplitSpec, TableSpec

from tests.spark.databases import PostgresDatabase
from tests.spark.runs import Runs

DAY = "2013-06-01"
WRITERS = 4
Facts = tuple[int, int, int, int]
"""Rows, sum of keys, sum of amounts, and sum of 60 bits of each row's MD5."""


class Writers:
    """Transfers between accounts, and accounts that end and begin, as fast as the source takes them."""

    def __init__(self, runs: Runs, rows: int) -> None:
        self.runs = runs
        self.rows = rows
        self.commits = [0] * WRITERS
        self.ended = threading.Event()

    def write(self, writer: int) -> None:
        rng = random.Random(writer)
        with self.runs.database.connection() as connection:
            while not self.ended.is_set():
                # In one order everywhere, so that no two writers wait for each other.
                first, second = sorted(rng.sample(range(1, self.rows + 1), 2))
                connection.run(
                    f"BEGIN; UPDATE accounts SET amount = amount - 7 WHERE id = {first};"
                    f"UPDATE accounts SET amount = amount + 7 WHERE id = {second}; COMMIT"
                )
                new = self.rows + WRITERS * self.commits[writer] + writer + 1
                connection.run(
                    f"BEGIN; INSERT INTO accounts SELECT {new}, 100;"
                    f"DELETE FROM accounts WHERE id = {new - WRITERS}; COMMIT"
                )
                self.commits[writer] += 1


@contextmanager
def writing(runs: Runs, rows: int) -> Iterator[Writers]:
    writers = Writers(runs, rows)
    with ThreadPoolExecutor(WRITERS) as pool:
        running = [pool.submit(writers.write, writer) for writer in range(WRITERS)]
        try:
            yield writers
        finally:
            writers.ended.set()
        for one in running:
            one.result()


def source_facts(runs: Runs, snapshot: str) -> Facts:
    """The exported state as a connection of the tests' own sees it, with a hash that Spark's reader has no part in."""
    assert isinstance(runs.database, PostgresDatabase)
    connection = runs.database.server.connect()
    connection.set_session(isolation_level=psycopg2.extensions.ISOLATION_LEVEL_REPEATABLE_READ, readonly=True)
    try:
        with connection, connection.cursor() as cursor:
            cursor.execute("SET TRANSACTION SNAPSHOT %s", (snapshot,))
            cursor.execute(
                "SELECT count(*), sum(id), sum(amount), "
                "sum(('x0' || left(md5(id || ':' || amount), 15))::bit(64)::bigint) FROM accounts"
            )
            rows, keys, amounts, hashes = map(int, cursor.fetchone())
            return rows, keys, amounts, hashes
    finally:
        connection.close()


def stored_facts(runs: Runs, branch: str) -> Facts:
    hashed = sf.conv(sf.left(sf.md5(sf.concat_ws(":", "id", "amount")), sf.lit(15)), 16, 10).cast("decimal(38,0)")
    row = runs.session.table(branch).agg(sf.count("*"), sf.sum("id"), sf.sum("amount"), sf.sum(hashed)).collect()[0]
    rows, keys, amounts, hashes = map(int, row)
    return rows, keys, amounts, hashes


def captures_are_exact(runs: Runs, monkeypatch: pytest.MonkeyPatch, rows: int, times: int) -> None:
    monkeypatch.setattr(source_read, "SMALL_ROWS", 0)
    runs.database.run(
        "CREATE TABLE accounts (id integer PRIMARY KEY, amount bigint NOT NULL);"
        f"INSERT INTO accounts SELECT n, 100 FROM generate_series(1, {rows}) n; ANALYZE accounts"
    )
    expected: list[Facts] = []
    plan_read = source_read.plan_read

    def noting(state: SourceState, table: TableSpec, interval: IntervalSpec) -> SourceRead:
        assert state.snapshot is not None
        expected.append(source_facts(runs, state.snapshot))
        return plan_read(state, table, interval)

    monkeypatch.setattr(capture, "plan_read", noting)
    with writing(runs, rows) as writers:
        for number in range(times):
            commits = sum(writers.commits)
            table = runs.table("accounts", mode="current", split=SplitSpec(3, (None, "id")[number % 2]))
            table = replace(table, validate="rows")
            captured = runs.snapshot([table], DAY, run=f"run {number}")
            assert captured.captures[0].splits == 3 and sum(writers.commits) > commits
            assert stored_facts(runs, runs.branch(captured, "accounts")) == expected[-1], f"capture {number}"
            assert captured.captures[0].source_rows == expected[-1][0]
            runs.validate([table], DAY, captured, run=f"run {number}", grace=0)
    assert len(set(expected)) == times, "every capture met another state"


def test_captures_under_writers(tmpfs_runs: Runs, monkeypatch: pytest.MonkeyPatch) -> None:
    captures_are_exact(tmpfs_runs, monkeypatch, rows=50_000, times=2)


@pytest.mark.long
@pytest.mark.timeout(3600)
def test_twenty_captures_of_a_million_rows_under_writers(tmpfs_runs: Runs, monkeypatch: pytest.MonkeyPatch) -> None:
    captures_are_exact(tmpfs_runs, monkeypatch, rows=1_000_000, times=20)
