"""One behaviour suite over the engines that are run for real."""

from __future__ import annotations

import pytest
from pyspark.sql import SparkSession
from warehouse.failures import StateNotHeld
from warehouse.job_spec import StoreSpec

from tests.spark.databases import MariadbDatabase
from tests.spark.runs import Runs

DAY = "2013-06-01"


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


def test_tables_outside_transactions_are_refused(
    session: SparkSession, tmpfs_store: StoreSpec, mariadb: MariadbDatabase
) -> None:
    runs = Runs(session, tmpfs_store, mariadb)
    mariadb.run("CREATE TABLE events (id int, at datetime) ENGINE = Aria")
    with pytest.raises(StateNotHeld, match=r"table events .* storage engine Aria takes no part in transactions"):
        runs.snapshot([runs.table()], DAY)
    assert runs.snapshot([runs.table()], DAY, consistency="best_effort").captures[0].consistency == "best_effort"
