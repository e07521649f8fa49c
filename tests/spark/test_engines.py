"""One behaviour suite over the engines that are run for real."""

from __future__ import annotations

import random
import time
from collections.abc import Callable, Iterator
from concurrent.futures import Future, ThreadPoolExecutor
from contextlib import contextmanager
from dataclasses import replace
from datetime import UTC, date, datetime, timedelta
from typing import Any

import pytest
from py4j.protocol import Py4JJavaError
from pyspark.sql import SparkSession
from warehouse.capture import snapshot_tables
from warehouse.capture_failures import (
    IntervalNotExpressible,
    MissingColumn,
    MissingTable,
    NoPrivilege,
    RefusedValues,
    StateNotHeld,
)
from warehouse.dialects import DIALECTS
from warehouse.failures import JobError
from warehouse.jvm import jvm_of
from warehouse.reading import read_as_of
from warehouse.run_spec import IntervalSpec
from warehouse.snapshot_spec import SnapshotResult
from warehouse.source_failures import OpenWriters, SourceRefused, WrongPassword
from warehouse.source_spec import PASSWORD_VARIABLE, SourceSpec
from warehouse.store_spec import StoreSpec
from warehouse.table_spec import ColumnSpec, HistorySpec, SplitSpec

from tests.spark.databases import MariadbDatabase
from tests.spark.runs import Runs
from tests.unit.hostile import NAMES

DAY = "2013-06-01"
ROWS = 200


def accounts(runs: Runs, *names: str) -> None:
    """Tables ``(id, amount)`` of 200 rows with 100 each."""
    values = ", ".join(f"({number}, 100)" for number in range(1, ROWS + 1))
    for name in names:
        runs.database.run(f"CREATE TABLE {name} (id integer PRIMARY KEY, amount decimal(12,2) NOT NULL)")
        runs.database.run(f"INSERT INTO {name} VALUES {values}")


@contextmanager
def capture_at_gate(runs: Runs, *names: str) -> Iterator[tuple[Future[SnapshotResult], Callable[[], None]]]:
    """A capture whose state is fixed and whose first table is half read; the function opens the gate."""
    first, *others = (runs.table(name, mode="current") for name in names)
    gate = runs.database.gate
    with ThreadPoolExecutor(1) as pool, runs.database.connection() as keeper:
        keeper.run(gate.close)
        capture = pool.submit(runs.snapshot, [replace(first, filter=gate.filter), *others], DAY)
        try:
            deadline = time.monotonic() + 120
            while int(runs.database.run(gate.waiting)[0][0]) == 0:
                if capture.done():
                    capture.result()
                assert time.monotonic() < deadline and not capture.done(), "the capture never came to the gate"
                time.sleep(0.05)
            yield capture, lambda: keeper.run(gate.open)
        finally:
            keeper.run(gate.open)


def test_a_group_is_one_state_while_others_write(engine_runs: Runs) -> None:
    accounts(engine_runs, "accounts", "ledger")
    with capture_at_gate(engine_runs, "accounts", "ledger") as (capture, open_gate):
        for name in ("accounts", "ledger"):
            engine_runs.database.run(f"UPDATE {name} SET amount = amount + 7 WHERE id > 50")
            engine_runs.database.run(f"DELETE FROM {name} WHERE id = 3")
            engine_runs.database.run(f"INSERT INTO {name} VALUES ({ROWS + 1}, 1)")
        open_gate()
        captured = capture.result(timeout=120)
    for table in captured.captures:
        rows = engine_runs.session.table(engine_runs.branch(captured, table.table))
        assert rows.groupBy().sum("amount").collect()[0][0] == 100 * ROWS
        assert sorted(row.id for row in rows.collect()) == list(range(1, ROWS + 1))
        assert (table.source_rows, table.written_rows, table.consistency) == (ROWS, ROWS, "snapshot")


def test_a_reader_that_is_killed_fails_the_run(engine_runs: Runs) -> None:
    accounts(engine_runs, "accounts")
    with capture_at_gate(engine_runs, "accounts") as (capture, _):
        engine_runs.database.run(engine_runs.database.gate.kill)
        with pytest.raises(JobError, match="accounts") as caught:
            capture.result(timeout=120)
    assert caught.value.kind == "retryable"
    assert engine_runs.records("accounts") == {} and engine_runs.data_files("accounts") == set()


@pytest.mark.parametrize(("day", "hours"), [("2013-03-10", 23), ("2013-11-03", 25)])
def test_an_interval_of_a_day_on_which_clocks_change(engine_runs: Runs, day: str, hours: int) -> None:
    first = datetime.fromisoformat(day) - timedelta(hours=6)
    moments = [first + timedelta(minutes=30 * number) for number in range(72)]
    engine_runs.database.run(f"CREATE TABLE events (id integer, at {engine_runs.database.wall_time}, day date)")
    values = ", ".join(f"({number}, '{moment}', '{moment:%Y-%m-%d}')" for number, moment in enumerate(moments))
    engine_runs.database.run(f"INSERT INTO events VALUES {values}")
    start = datetime.fromisoformat(f"{day}T{5 if hours == 23 else 4:02}:00:00+00:00")
    times = [f"{moment:%Y-%m-%dT%H:%M:%SZ}" for moment in (start, start + timedelta(hours=hours))]
    expected = [number for number, moment in enumerate(moments) if f"{moment:%Y-%m-%d}" == day]
    assert len(expected) == 48
    for column in ("at", "day"):
        job = engine_runs.snapshot_job([engine_runs.table(column=column)], day, run=column)
        source = replace(job.source, time_zone="America/New_York")
        captured = snapshot_tables(engine_runs.session, replace(job, source=source, interval=IntervalSpec(day, *times)))
        rows = engine_runs.session.table(engine_runs.branch(captured)).collect()
        assert sorted(row.id for row in rows) == expected
        assert {str(row.day) for row in rows} == {day} == {f"{row.at:%Y-%m-%d}" for row in rows}


@pytest.mark.parametrize("rows", [0, 1])
def test_small_tables(engine_runs: Runs, rows: int) -> None:
    engine_runs.database.run("CREATE TABLE tiny (id integer, note varchar(20))")
    for number in range(rows):
        engine_runs.database.run(f"INSERT INTO tiny VALUES ({number}, NULL)")
    published = engine_runs.publish(engine_runs.table("tiny", mode="current"), DAY)
    assert published.record.rows == published.record.source_rows == rows
    assert engine_runs.ids("tiny", tag=DAY) == list(range(rows))


@pytest.mark.parametrize("mode", ["current", "interval"])
def test_names_that_need_quotes(engine_runs: Runs, mode: str) -> None:
    database = engine_runs.database
    dialect = DIALECTS[database.source().dialect]
    odd, day = 'Odd "tab`le"; DROP TABLE accounts; --', 'a"b`c; --'
    names = [name for name in ("select", "Ümlaut.dot", *NAMES.values()) if name.strip()]  # MariaDB has none of blanks
    listed = ", ".join(f"{dialect.quote(name)} integer" for name in names)
    relation = dialect.relation(database.schema, odd)
    accounts(engine_runs, "accounts")
    before = database.run("SELECT count(*) FROM accounts")
    database.run(f"DROP TABLE IF EXISTS {relation}")
    database.run(f"CREATE TABLE {relation} ({dialect.quote(day)} date, {listed})")
    values = ", ".join(str(number) for number in range(len(names)))
    database.run(f"INSERT INTO {relation} VALUES ('{DAY}', {values})")
    table = replace(
        engine_runs.table(odd, mode=mode, column=day), name="odd", validate="rows", split=SplitSpec(2, names[3])
    )
    assert engine_runs.publish(table, DAY).record.rows == 1
    rows = read_as_of(engine_runs.session, engine_runs.store, "odd", DAY)
    assert rows.columns == [day, *names]
    assert [tuple(row)[1:] for row in rows.collect()] == [tuple(range(len(names)))]
    assert database.run("SELECT count(*) FROM accounts") == before


def test_what_is_not_there_is_named(engine_runs: Runs) -> None:
    accounts(engine_runs, "accounts")
    table, schema = engine_runs.table("accounts", mode="current"), engine_runs.database.schema
    with pytest.raises(MissingTable, match=rf"has no table {schema}\.acounts"):
        engine_runs.snapshot([replace(table, source_table="acounts")], DAY)
    with pytest.raises(MissingColumn, match="has no column 'gone'"):
        engine_runs.snapshot([replace(table, columns=(*table.columns, ColumnSpec("gone", "integer")))], DAY)
    with pytest.raises(SourceRefused, match=r"SQLSTATE 42\w+"):
        engine_runs.snapshot([replace(table, filter="amount >")], DAY)


def test_no_right_to_read(engine_runs: Runs) -> None:
    accounts(engine_runs, "accounts")
    engine_runs.database.create_reader("nobody_much")
    job = engine_runs.snapshot_job([engine_runs.table("accounts", mode="current")], DAY)
    job = replace(job, source=replace(job.source, user="nobody_much"))
    # MariaDB does not tell a stranger what there is, not even the database.
    with pytest.raises((NoPrivilege, SourceRefused), match="nobody_much"):
        snapshot_tables(engine_runs.session, job)


def test_a_wrong_password(engine_runs: Runs, monkeypatch: pytest.MonkeyPatch) -> None:
    accounts(engine_runs, "accounts")
    table = engine_runs.table("accounts", mode="current")
    monkeypatch.setenv(PASSWORD_VARIABLE, "not-the-password")
    with pytest.raises(WrongPassword, match=f"refuses user '{engine_runs.database.user}'") as caught:
        engine_runs.snapshot([table], DAY)
    assert "not-the-password" not in str(caught.value)


# Histories

DAYS = [f"2020-01-{number:02}" for number in range(1, 11)]
INSTANTS = [datetime.fromisoformat(f"{day}T00:00:00+00:00") + timedelta(hours=hour) for day in DAYS for hour in (0, 9)]


def make_histories(runs: Runs) -> None:
    """Rows of ten days in ``events`` and validities in ``prices``, with changes at midnight and at nine."""
    database = runs.database
    database.run(f"CREATE TABLE events (id integer, at {database.wall_time})")
    events = ", ".join(f"({number}, '{moment:%Y-%m-%d %H:%M:%S}')" for number, moment in enumerate(INSTANTS))
    database.run(f"INSERT INTO events VALUES {events}")
    database.run(f"CREATE TABLE prices (id integer, valid_from {database.wall_time}, valid_to {database.wall_time})")
    ends = [f"'{moment:%Y-%m-%d %H:%M:%S}'" for moment in INSTANTS[3:]] + ["NULL"] * 3
    prices = ", ".join(
        f"({number}, '{moment:%Y-%m-%d %H:%M:%S}', {end})"
        for number, (moment, end) in enumerate(zip(INSTANTS, ends, strict=True))
    )
    database.run(f"INSERT INTO prices VALUES {prices}")


def source_answer(runs: Runs, day: str) -> dict[str, list[int]]:
    """What the source itself says of that day, in plain SQL."""
    end = date.fromisoformat(day) + timedelta(days=1)
    asked = {
        "events": f"at >= '{day} 00:00:00' AND at < '{end} 00:00:00'",
        "prices": f"valid_from < '{end} 00:00:00' AND (valid_to IS NULL OR valid_to >= '{end} 00:00:00')",
    }
    return {
        name: sorted(int(row[0]) for row in runs.database.run(f"SELECT id FROM {name} WHERE {condition}"))
        for name, condition in asked.items()
    }


def test_ten_dates_in_any_order_are_what_the_source_says(engine_runs: Runs) -> None:
    make_histories(engine_runs)
    tables = [
        engine_runs.table("events"),
        engine_runs.table("prices", history=HistorySpec("valid_between", valid_from="valid_from", valid_to="valid_to")),
    ]
    expected = {day: source_answer(engine_runs, day) for day in DAYS}
    assert len({str(answer) for answer in expected.values()}) == len(DAYS)
    for day in random.Random(4).sample(DAYS, len(DAYS)):
        captured = engine_runs.snapshot(tables, day)
        engine_runs.validate(tables, day, captured)
    events = [(row._as_of, row.id) for row in engine_runs.rows("events").collect()]
    for day in DAYS:
        stored = {
            "events": sorted(number for label, number in events if label == day),
            "prices": engine_runs.ids("prices", tag=day),
        }
        assert stored == expected[day]


# MariaDB alone


@pytest.fixture
def mariadb_runs(session: SparkSession, tmpfs_store: StoreSpec, mariadb: MariadbDatabase) -> Runs:
    return Runs(session, tmpfs_store, mariadb)


def test_ten_past_states(mariadb_runs: Runs) -> None:
    database, states = mariadb_runs.database, {}
    database.run("CREATE TABLE balances (id int PRIMARY KEY, amount int) WITH SYSTEM VERSIONING")
    with database.connection() as clock:
        for number, day in enumerate(DAYS):
            # Each statement at a microsecond of its own, the last of the day and the first of the next among them.
            midnight = f"unix_timestamp('{day} 00:00:00') + 86400"
            changes = {
                "- 0.000003": f"INSERT INTO balances VALUES ({number}, {number})",
                "- 0.000002": f"DELETE FROM balances WHERE id = {number - 4}",
                "- 0.000001": "UPDATE balances SET amount = amount + 1",
                "+ 0": "UPDATE balances SET amount = amount + 1000",
                "+ 1": "UPDATE balances SET amount = amount - 1000",
            }
            for moment, change in changes.items():
                clock.run(f"SET timestamp = {midnight} {moment}")
                clock.run(change)
                if moment == "- 0.000001":
                    states[day] = sorted(
                        (int(row[0]), int(row[1])) for row in clock.run("SELECT id, amount FROM balances")
                    )
    tables = [mariadb_runs.table("balances", history=HistorySpec("time_travel"))]
    assert [column.name for column in tables[0].columns] == ["id", "amount"]
    for day in random.Random(4).sample(DAYS, len(DAYS)):
        mariadb_runs.validate(tables, day, mariadb_runs.snapshot(tables, day))
    for day in DAYS:
        rows = mariadb_runs.rows("balances", tag=day).collect()
        assert sorted((row.id, row.amount) for row in rows) == states[day], day
    begins = database.run(history_begins(database.schema))
    assert datetime.fromisoformat(str(begins[0][0])) == datetime(2020, 1, 1, 23, 59, 59, 999997, tzinfo=UTC)


def history_begins(schema: str) -> str:
    sql = DIALECTS["mariadb"].history_begins_sql(schema, "balances")
    assert sql is not None
    return sql


def test_an_open_writer_keeps_its_past_from_being_read(mariadb_runs: Runs) -> None:
    database = mariadb_runs.database
    database.run("CREATE TABLE balances (id int PRIMARY KEY, amount int) WITH SYSTEM VERSIONING")
    day = f"{datetime.now(UTC):%Y-%m-%d}"
    job = mariadb_runs.snapshot_job([mariadb_runs.table("balances", history=HistorySpec("time_travel"))], day)
    with database.connection() as writer:
        writer.run("BEGIN")
        writer.run("INSERT INTO balances VALUES (1, 1)")
        began = database.run("SELECT date_format(utc_timestamp(6), '%Y-%m-%dT%H:%i:%s.%fZ')")[0][0]
        now = replace(job, interval=IntervalSpec(day, f"{day}T00:00:00Z", str(began)))
        with pytest.raises(OpenWriters, match=r"source tests has 1 open transaction\(s\) that began before"):
            snapshot_tables(mariadb_runs.session, now)
        writer.run("COMMIT")
    question = DIALECTS["mariadb"].open_writers_sql(datetime.now(UTC))
    assert question is not None
    deadline = time.monotonic() + 60
    while int(database.run(question)[0][0]):
        assert time.monotonic() < deadline
        time.sleep(0.2)  # the server renews this view only when nobody asked for it for a tenth of a second
    assert snapshot_tables(mariadb_runs.session, now).captures[0].source_rows == 1


def test_versions_kept_by_transaction_are_refused(mariadb_runs: Runs) -> None:
    database = mariadb_runs.database
    database.run(
        "CREATE TABLE balances (id int PRIMARY KEY, amount int, began bigint unsigned GENERATED ALWAYS AS ROW START "
        "INVISIBLE, ended bigint unsigned GENERATED ALWAYS AS ROW END INVISIBLE, "
        "PERIOD FOR SYSTEM_TIME (began, ended)) WITH SYSTEM VERSIONING"
    )
    assert [column.name for column in mariadb_runs.table("balances").columns] == ["id", "amount"]
    with pytest.raises(Py4JJavaError, match="kept by transaction"):
        database.run(history_begins(database.schema))


def test_a_table_without_history_is_refused(mariadb_runs: Runs) -> None:
    mariadb_runs.database.run("CREATE TABLE balances (id int PRIMARY KEY)")
    table = mariadb_runs.table("balances", history=HistorySpec("time_travel"))
    with pytest.raises(SourceRefused, match="is not system-versioned"):
        mariadb_runs.snapshot([table], DAY)
    with pytest.raises(Py4JJavaError, match="is not system-versioned"):
        mariadb_runs.database.run(history_begins("bank"))


def test_rows_through_the_holder(session: SparkSession, store: StoreSpec, mariadb: MariadbDatabase) -> None:
    runs = Runs(session, store, mariadb)
    mariadb.run(
        "CREATE TABLE events (id int PRIMARY KEY, at datetime(6), amount decimal(12,2), note varchar(20));"
        "INSERT INTO events SELECT seq, TIMESTAMP'2013-06-01 00:00:00' + INTERVAL seq MINUTE, seq / 4, "
        "concat('ž', seq) FROM seq_1_to_3000"
    )
    for day, rows in ((DAY, 1439), ("2013-06-02", 1440), ("2014-01-01", 0)):
        captured = runs.snapshot([runs.table()], day)
        assert captured.captures[0].source_rows == captured.captures[0].written_rows == rows
        assert captured.captures[0].consistency == "snapshot"
        runs.validate([runs.table()], day, captured)
    assert runs.ids() == list(range(1, 2880))
    first = runs.rows().where("id = 1").selectExpr("at", "amount", "note", "_as_of").collect()[0]
    assert [str(cell) for cell in first] == ["2013-06-01 00:01:00", "0.25", "ž1", DAY]


def test_tables_outside_transactions_are_refused(mariadb_runs: Runs) -> None:
    mariadb_runs.database.run("CREATE TABLE events (id int, at datetime) ENGINE = Aria")
    table = mariadb_runs.table()
    with pytest.raises(StateNotHeld, match=r"table events .* storage engine Aria takes no part in transactions"):
        mariadb_runs.snapshot([table], DAY)
    captured = mariadb_runs.snapshot([table], DAY, consistency="best_effort")
    assert captured.captures[0].consistency == "best_effort"


# Any other engine


def test_an_engine_without_a_dialect(
    session: SparkSession, tmpfs_store: StoreSpec, mariadb: MariadbDatabase, scratch: Any
) -> None:
    """Apache Derby, which comes with Spark, in the session's own JVM; known by what its driver says of it."""
    jvm = jvm_of(session)
    jvm.java.lang.System.setProperty("derby.stream.error.file", f"{scratch}/derby.log")
    driver, url = "org.apache.derby.iapi.jdbc.AutoloadedDriver", "jdbc:derby:memory:bank"
    connection = jvm.org.apache.derby.iapi.jdbc.AutoloadedDriver().connect(f"{url};create=true", None)
    statement = connection.createStatement()
    statement.execute(
        'CREATE TABLE "Events" (id integer NOT NULL, happened timestamp, day date, amount decimal(12,2), '
        "note varchar(20), odd xml)"
    )
    statement.execute(
        'INSERT INTO "Events" (id, happened, day, amount, note) VALUES '
        "(1, '2013-06-01 00:00:00', '2013-06-01', 1.25, 'a'), (2, '2013-06-01 23:59:59.999', '2013-06-01', -2, NULL), "
        "(3, '2013-06-02 00:00:00', '2013-06-02', 3, 'c')"
    )
    connection.close()
    columns = [ColumnSpec(name, "") for name in ("ID", "HAPPENED", "DAY", "AMOUNT", "NOTE")]
    source = SourceSpec("tests", "generic", url, None, driver, "UTC", consistency="best_effort")
    runs = Runs(session, tmpfs_store, mariadb)
    mariadb.run("CREATE TABLE events (id int, at datetime)")
    table = replace(runs.table(), source_schema="APP", source_table="Events", columns=tuple(columns))
    table = replace(table, history=HistorySpec("interval", "HAPPENED"))
    job = runs.snapshot_job([table], DAY)
    captured = snapshot_tables(session, replace(job, source=source))
    rows = session.table(runs.branch(captured)).orderBy("id").collect()
    assert [[str(cell) for cell in row][:5] for row in rows] == [
        ["1", "2013-06-01 00:00:00", "2013-06-01", "1.25", "a"],
        ["2", "2013-06-01 23:59:59.999000", "2013-06-01", "-2.00", "None"],
    ]
    assert captured.captures[0].consistency == "best_effort"
    refused = replace(job, source=replace(source, consistency="snapshot"), run=replace(job.run, run_id="other"))
    with pytest.raises(SourceRefused, match="set consistency: best_effort"):
        snapshot_tables(session, refused)
    with pytest.raises(IntervalNotExpressible):
        odd = replace(table, history=HistorySpec("interval", "NOTE"))
        snapshot_tables(session, replace(job, source=source, tables=(odd,)))
    connection = jvm.org.apache.derby.iapi.jdbc.AutoloadedDriver().connect(url, None)
    statement = connection.createStatement()
    statement.execute("UPDATE \"Events\" SET day = '1500-02-28' WHERE id = 2")
    connection.close()
    with pytest.raises(RefusedValues, match=r"DAY.*before 1582-10-15"):
        snapshot_tables(session, replace(job, source=source, run=replace(job.run, run_id="calendar")))
