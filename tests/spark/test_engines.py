"""One behaviour suite over the engines that are run for real."""

from __future__ import annotations

from pyspark.sql import SparkSession
from warehouse.job_spec import StoreSpec

from tests.spark.databases import MariadbDatabase
from tests.spark.runs import Runs

DAY = "2013-06-01"


def test_mariadb_best_effort(session: SparkSession, tmpfs_store: StoreSpec, mariadb: MariadbDatabase) -> None:
    runs = Runs(session, tmpfs_store, mariadb)
    mariadb.run(
        "CREATE TABLE events (id int PRIMARY KEY, at datetime(6), amount decimal(12,2), note varchar(20));"
        "INSERT INTO events SELECT seq, TIMESTAMP'2013-06-01 00:00:00' + INTERVAL seq MINUTE, seq / 4, "
        "concat('ž', seq) FROM seq_1_to_3000"
    )
    captured = runs.snapshot([runs.table()], DAY, consistency="best_effort")
    assert captured.captures[0].source_rows == captured.captures[0].written_rows == 1439
    rows = session.table(runs.branch(captured)).orderBy("id").collect()
    assert [str(cell) for cell in rows[0]] == ["1", "2013-06-01 00:01:00", "0.25", "ž1", DAY]
