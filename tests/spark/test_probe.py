"""What check asks, over JdbcHook and JPype, of the engines that are run for real."""

from __future__ import annotations

# ruff: noqa: PLC0415 - Airflow makes its home when it is loaded, which a fixture has to set before
import datetime
import json
from collections.abc import Iterator
from pathlib import Path
from typing import TYPE_CHECKING, Protocol

import pytest
from warehouse.capture_failures import MissingTable, StateNotHeld
from warehouse.run_spec import IntervalSpec
from warehouse.source_failures import SourceRefused, WrongPassword
from warehouse.table_spec import HistoryMode

from local_stack.jars import ensure_jars
from tests.spark.databases import Database, MariadbDatabase

if TYPE_CHECKING:
    from logical_warehouse.manifest import Table
    from logical_warehouse.source_probe import SourceProbe

DAY = IntervalSpec("2013-06-01", "2013-06-01T00:00:00Z", "2013-06-02T00:00:00Z")


class Probe(Protocol):
    """Opens what check asks a database with, by default with the owner's password."""

    def __call__(self, database: Database, password: str | None = None) -> SourceProbe: ...


@pytest.fixture
def probe(scratch: Path, monkeypatch: pytest.MonkeyPatch, clean_environment: None) -> Probe:
    # Before Airflow is loaded: it makes its home then.
    monkeypatch.setenv("AIRFLOW_HOME", str(scratch / "airflow"))

    def open_probe(database: Database, password: str | None = None) -> SourceProbe:
        from logical_warehouse.connections import JdbcAddress
        from logical_warehouse.manifest import Source
        from logical_warehouse.source_probe import SourceProbe

        url, user = database.source().url, database.user
        written = {"conn_type": "jdbc", "host": url, "login": user, "password": password or database.password}
        monkeypatch.setenv("AIRFLOW_CONN_TESTS", json.dumps(written))
        return SourceProbe(Source(name="tests", connection="tests"), JdbcAddress(url, user), str(ensure_jars("spark")))

    return open_probe


def table(database: Database, name: str, mode: HistoryMode = "interval") -> Table:
    from logical_warehouse.manifest import History, Table

    history = History(mode, column="at") if mode == "interval" else History(mode)
    place = f"{database.schema}.{name}"
    return Table(name, place, "tests", "@daily", datetime.date(2013, 6, 1), None, history, name)


def test_columns_and_size(engine: Database, probe: Probe) -> None:
    engine.run(f"CREATE TABLE events (id integer NOT NULL, at {engine.wall_time}, note varchar(20))")
    values = ", ".join(f"({number}, '2013-06-01 10:00:00', 'note')" for number in range(500))
    engine.run(f"INSERT INTO events VALUES {values}")
    engine.run("ANALYZE events" if engine.schema == "public" else "ANALYZE TABLE events PERSISTENT FOR ALL")
    with probe(engine) as opened:
        events = table(engine, "events")
        columns = opened.columns(events)
        assert columns == engine.columns("events")
        rows, size = opened.estimate(events, columns, DAY)
        assert 400 <= rows <= 600 and 4_000 <= size <= 100_000
        with pytest.raises(MissingTable, match="evnets"):
            opened.columns(table(engine, "evnets"))


def test_a_wrong_password(engine: Database, probe: Probe) -> None:
    with pytest.raises(WrongPassword, match="tests"), probe(engine, "wrong"):
        pass


def test_what_mariadb_cannot_answer(mariadb: MariadbDatabase, probe: Probe) -> None:
    mariadb.run("CREATE TABLE events (id int, at datetime) ENGINE = Aria; CREATE TABLE plain (id int)")
    with probe(mariadb) as opened:
        with pytest.raises(StateNotHeld, match="storage engine Aria"):
            opened.columns(table(mariadb, "events"))
        with pytest.raises(SourceRefused, match=r"\(SQLSTATE 42000\): the table is not system-versioned, so"):
            opened.history_begins(table(mariadb, "plain", "time_travel"))


@pytest.fixture(params=["+02:00", "-05:00"])
def zone_of_sessions(request: pytest.FixtureRequest, mariadb: MariadbDatabase) -> Iterator[str]:
    mariadb.run(f"SET GLOBAL time_zone = '{request.param}'")
    yield request.param
    mariadb.run("SET GLOBAL time_zone = '+00:00'")


def test_when_a_history_begins_whatever_zone_the_server_gives_its_sessions(
    mariadb: MariadbDatabase, probe: Probe, zone_of_sessions: str
) -> None:
    assert mariadb.run("SELECT @@time_zone") == [(zone_of_sessions,)]
    mariadb.run(
        "CREATE TABLE balances (id int) WITH SYSTEM VERSIONING; "
        "SET time_zone = '+00:00'; SET timestamp = unix_timestamp('2020-01-01 00:00:00'); "
        "INSERT INTO balances VALUES (1)"
    )
    with probe(mariadb) as opened:
        begins = opened.history_begins(table(mariadb, "balances", "time_travel"))
    assert begins == datetime.datetime(2020, 1, 1, tzinfo=datetime.UTC)
