"""Rows by COPY: the same as over JDBC, in files of any number, and nothing left where it fails."""

from __future__ import annotations

from concurrent.futures import ThreadPoolExecutor
from dataclasses import replace

import pytest
from warehouse import copy_files, source_read
from warehouse.capture import snapshot_tables
from warehouse.jvm import jvm_of
from warehouse.source_failures import SourceRefused, SourceUnreachable
from warehouse.table_spec import SplitSpec

from tests.spark.databases import PostgresDatabase
from tests.spark.gates import READERS, ROWS, accounts, closed_gate, wait_for_readers
from tests.spark.runs import Runs

DAY = "2013-06-01"


@pytest.fixture(autouse=True)
def always_split(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(source_read, "SMALL_ROWS", 0)


def left_in_scratch(runs: Runs) -> list[str]:
    files = (
        jvm_of(runs.session).java.io.File(jvm_of(runs.session).java.lang.System.getProperty("java.io.tmpdir")).list()
    )
    return [name for name in files if name.startswith("copy-")]


@pytest.mark.parametrize("mode", ["interval", "current"])
def test_both_ways_store_the_same(runs: Runs, mode: str, capsys: pytest.CaptureFixture[str]) -> None:
    runs.events([DAY, "2013-06-02"], rows_per_day=500)
    table = runs.table(mode=mode)
    digests = []
    for reader in ("auto", "jdbc"):
        captured = runs.snapshot([table], "2013-06-02", run=reader, reader=reader)
        digests.append(runs.validate([table], "2013-06-02", captured, run=reader).published[0].record.digest)
    assert digests[0] == digests[1]
    assert capsys.readouterr().out.count("over JDBC, since the manifest's reader") == 1
    expected = range(500, 1_000) if mode == "interval" else range(1_000)
    assert runs.ids(tag=None if mode == "interval" else "2013-06-02") == list(expected)


def test_an_empty_interval_is_a_snapshot_without_files(tmpfs_runs: Runs) -> None:
    tmpfs_runs.events([DAY])
    published = tmpfs_runs.publish(tmpfs_runs.table(), "2013-06-05")
    assert published.record.rows == 0 and tmpfs_runs.data_files() == set()


def test_a_large_table_is_several_files_that_readers_divide(tmpfs_runs: Runs, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr("warehouse.copy_read.BATCH_BYTES", 20_000)
    monkeypatch.setattr(copy_files, "ROW_GROUP_BYTES", 50_000)
    monkeypatch.setattr(copy_files, "FILE_BYTES", 30_000)
    runs = tmpfs_runs
    runs.events([DAY], rows_per_day=40_000)
    table = replace(runs.table(mode="current", split=SplitSpec(3, "id")), validate="rows")
    record = runs.publish(table, DAY).record
    assert record.rows == 40_000 and len(runs.data_files()) > 3
    assert left_in_scratch(runs) == []
    # Without the size Iceberg does not believe the offsets.
    stored = f"SELECT record_count, file_size_in_bytes, split_offsets FROM {runs.store.identifier('events')}.files"
    files = runs.session.sql(stored).collect()
    assert sum(file.record_count for file in files) == 40_000
    assert max(len(file.split_offsets) for file in files) > 1


def test_text_of_a_database_in_another_encoding(tmpfs_runs: Runs) -> None:
    """The client library would hand over the bytes as the database has them."""
    assert isinstance(tmpfs_runs.database, PostgresDatabase)
    server = tmpfs_runs.database.server
    tmpfs_runs.database.run("SELECT 1")
    with tmpfs_runs.database.connection() as connection:
        connection.run("DROP DATABASE IF EXISTS western")
        connection.run("CREATE DATABASE western ENCODING 'LATIN1' TEMPLATE template0 LC_COLLATE 'C' LC_CTYPE 'C'")
    western = PostgresDatabase(server, "western")
    western.run("CREATE TABLE names (id integer, name text); INSERT INTO names VALUES (1, U&'Z\\00fcrich \\00df')")
    runs = Runs(tmpfs_runs.session, tmpfs_runs.store, western)
    table = replace(runs.table("names", mode="current"), validate="rows")
    assert runs.publish(table, DAY).record.rows == 1
    assert [row.name for row in runs.rows("names").collect()] == ["Zürich ß"]


@pytest.mark.parametrize("failing", [1, ROWS - 1])
def test_a_split_that_fails_leaves_nothing_and_ends_the_others(runs: Runs, failing: int) -> None:
    accounts(runs)
    runs.database.run(
        # Only the splits' queries have this alias.
        "CREATE FUNCTION fails(id integer) RETURNS boolean LANGUAGE plpgsql AS $$ BEGIN "
        f"RETURN position('source_rows' IN current_query()) = 0 OR 1 / (id - {failing}) < 2; END $$"
    )
    table = runs.table("accounts", mode="current", split=SplitSpec(2, "id"), filter="fails(id)")
    with pytest.raises(SourceRefused, match="22012"):
        runs.snapshot([table], DAY)
    assert runs.data_files("accounts") == set() and left_in_scratch(runs) == []
    assert runs.database.run(f"SELECT count(*) FROM pg_stat_activity WHERE {READERS}") == [(0,)]


def test_a_connection_that_is_killed_ends_the_capture_and_leaves_nothing(runs: Runs) -> None:
    accounts(runs)
    table = runs.table("accounts", mode="current", split=SplitSpec(2, "id"), filter="at_gate(id)")
    with ThreadPoolExecutor(1) as pool, closed_gate(runs):
        capture = pool.submit(snapshot_tables, runs.session, runs.snapshot_job([table], DAY))
        wait_for_readers(runs, capture, 1)
        runs.database.run(
            f"SELECT pg_terminate_backend(pid) FROM pg_stat_activity WHERE {READERS} AND wait_event = 'advisory'"
        )
        with pytest.raises(SourceUnreachable):
            capture.result(timeout=60)
    assert runs.data_files("accounts") == set() and left_in_scratch(runs) == []


@pytest.mark.parametrize(
    ("suffix", "reason"),
    [("?currentSchema=public", "its setting currentSchema is one of the JDBC driver alone"), ("", None)],
)
def test_a_url_that_only_the_jdbc_driver_understands(
    tmpfs_runs: Runs, capsys: pytest.CaptureFixture[str], suffix: str, reason: str | None
) -> None:
    tmpfs_runs.events([DAY])
    job = tmpfs_runs.snapshot_job([tmpfs_runs.table()], DAY)
    source = replace(job.source, url=job.source.url.partition("?")[0] + suffix)
    [captured] = snapshot_tables(tmpfs_runs.session, replace(job, source=source)).captures
    assert captured.written_rows == 10
    printed = capsys.readouterr().out
    assert (f"events: over JDBC, since {reason}" in printed) if reason else ("over JDBC" not in printed)
