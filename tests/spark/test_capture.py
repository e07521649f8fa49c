"""Capturing: one consistent state while others write, and every refusal before anything becomes visible."""

from __future__ import annotations

import threading
from dataclasses import replace
from datetime import UTC, datetime, timedelta

import pytest
from pyspark.sql import SparkSession
from warehouse import source_read
from warehouse.capture import snapshot_tables
from warehouse.capture_failures import (
    CapturedTooLate,
    IntervalNotExpressible,
    IntervalNotOver,
    MissingColumn,
    MissingTable,
    NoPrivilege,
)
from warehouse.failures import JobError
from warehouse.source_failures import DriverMissing, SourceRefused, SourceUnreachable, WrongPassword
from warehouse.source_spec import PASSWORD_VARIABLE
from warehouse.store_failures import StoreUnreachable
from warehouse.store_spec import StoreSpec
from warehouse.table_spec import ColumnSpec, TableSpec

from tests.spark.gates import ROWS, accounts
from tests.spark.runs import Runs

DAY = "2013-06-01"


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
    assert "\n" not in message and "Exception" not in message and runs.database.password not in message
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
    tmpfs_runs.database.create_reader("nobody_much")
    job = tmpfs_runs.snapshot_job([tmpfs_runs.table()], DAY)
    with pytest.raises(NoPrivilege, match=r"user 'nobody_much' may not read public\.events"):
        snapshot_tables(tmpfs_runs.session, replace(job, source=replace(job.source, user="nobody_much")))


def test_wrong_password(tmpfs_runs: Runs, monkeypatch: pytest.MonkeyPatch) -> None:
    tmpfs_runs.events([DAY])
    table = tmpfs_runs.table()
    monkeypatch.setenv(PASSWORD_VARIABLE, "not-the-password")
    refused(tmpfs_runs, table, WrongPassword, "tests", tmpfs_runs.database.user)


def test_unreachable_source(tmpfs_runs: Runs) -> None:
    tmpfs_runs.events([DAY])
    job = tmpfs_runs.snapshot_job([tmpfs_runs.table()], DAY)
    for url in ("jdbc:postgresql://127.0.0.1:1/postgres", "jdbc:postgresql://no-such-host.invalid/postgres"):
        with pytest.raises(SourceUnreachable, match="source tests cannot be reached"):
            snapshot_tables(tmpfs_runs.session, replace(job, source=replace(job.source, url=url)))


def test_a_store_that_fails_beside_the_source(tmpfs_runs: Runs, monkeypatch: pytest.MonkeyPatch) -> None:
    """The store is opened while the source is held: its failure ends the capture, and so does the source's own."""

    def unreachable(session: SparkSession, store: StoreSpec) -> None:
        raise StoreUnreachable(store.uri)

    monkeypatch.setattr("warehouse.capture.prepare_store", unreachable)
    tmpfs_runs.events([DAY])
    refused(tmpfs_runs, tmpfs_runs.table(), StoreUnreachable, tmpfs_runs.store.uri)
    assert not [thread for thread in threading.enumerate() if thread.name.startswith("store")]
    refused(tmpfs_runs, replace(tmpfs_runs.table(), source_table="evnets"), MissingTable, "public.evnets")


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


def test_by_the_sources_clock_the_interval_is_not_over(tmpfs_runs: Runs) -> None:
    tmpfs_runs.events([DAY])
    end = (datetime.now(UTC) + timedelta(seconds=300)).strftime("%Y-%m-%dT%H:%M:%SZ")
    job = tmpfs_runs.snapshot_job([tmpfs_runs.table()], DAY)
    with pytest.raises(
        IntervalNotOver, match=r"source tests is (29\d|300) seconds short of the end of 2013-06-01"
    ) as caught:
        snapshot_tables(tmpfs_runs.session, replace(job, interval=replace(job.interval, end=end)))
    assert caught.value.kind == "retryable"
