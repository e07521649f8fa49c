"""A source whose columns change: nothing that is published says anything else than before, whoever runs beside it."""

from __future__ import annotations

from concurrent.futures import ThreadPoolExecutor
from dataclasses import replace
from decimal import Decimal
from pathlib import Path
from typing import Any

import pytest
from logical_warehouse.cli import main
from logical_warehouse.manifest import load_manifest
from logical_warehouse.plan import make_plan
from logical_warehouse.store_files import AlluxioFiles, store_files
from logical_warehouse.stored_tables import unknown_tables
from pyspark.sql import DataFrame, SparkSession
from warehouse import source_read
from warehouse.capture_failures import UnsupportedColumn
from warehouse.coverage import MissingIntervals
from warehouse.iceberg_api import load_existing_table, load_table
from warehouse.reading import read_as_of
from warehouse.schema_failures import ColumnsLost, ColumnsMoved, SchemaChanged, TableRedefined
from warehouse.store_spec import StoreSpec
from warehouse.table_spec import HistorySpec, TableSpec

from local_stack.alluxio import Alluxio
from tests.spark.databases import MariadbDatabase, PostgresDatabase
from tests.spark.gates import ROWS, accounts, closed_gate, wait_for_readers
from tests.spark.runs import Runs, interval

DAYS = ["2013-06-01", "2013-06-02", "2013-06-03"]
COLUMNS = ["id", "at", "amount", "note"]


def events(runs: Runs, policy: str = "additive", mode: str = "interval") -> TableSpec:
    """The source's table as it is now."""
    return replace(runs.table(mode=mode), schema_policy=policy)  # type: ignore[arg-type]


def as_of(runs: Runs, day: str) -> DataFrame:
    return read_as_of(runs.session, runs.store, "events", day)


def values(frame: DataFrame, column: str) -> dict[int, Any]:
    return {row.id: row[column] for row in frame.collect()}


def test_a_new_column_is_null_in_older_intervals_and_unseen_until_it_is_published(runs: Runs) -> None:
    runs.events(DAYS[:2], rows_per_day=2)
    runs.publish(events(runs), DAYS[0])
    runs.database.run("ALTER TABLE events ADD COLUMN extra integer DEFAULT 5")
    table = events(runs)
    captured = runs.snapshot([table], DAYS[1])

    assert runs.rows().drop("_as_of").columns == COLUMNS == as_of(runs, DAYS[0]).columns
    before = runs.records()[DAYS[0]]
    runs.validate([table], DAYS[1], captured)

    assert values(as_of(runs, DAYS[1]), "extra") == {0: None, 1: None, 2: 5, 3: 5}
    # An older date is read with the columns of all intervals published since.
    assert values(as_of(runs, DAYS[0]), "extra") == {0: None, 1: None}
    after = runs.records()
    assert after[DAYS[0]] == before and after[DAYS[1]].schema_id != before.schema_id
    again = runs.publish(table, DAYS[0], run="again").record
    assert values(runs.rows(), "extra") == dict.fromkeys(range(4), 5)
    assert again.digest != before.digest and again.schema_id != before.schema_id


def test_whole_states_are_read_with_their_own_columns(tmpfs_runs: Runs) -> None:
    runs = tmpfs_runs
    runs.events(DAYS[:1], rows_per_day=2)
    runs.publish(events(runs, "evolve", "current"), DAYS[0])
    runs.database.run(
        "ALTER TABLE events RENAME note TO remark; ALTER TABLE events ALTER amount TYPE text, ALTER id TYPE numeric(20)"
    )
    table = events(runs, "evolve", "current")
    captured = runs.snapshot([table], DAYS[2])
    assert runs.rows().columns == COLUMNS
    runs.validate([table], DAYS[2], captured)

    old, new = as_of(runs, DAYS[0]), as_of(runs, DAYS[2])
    assert old.columns == COLUMNS and new.columns == ["id", "at", "amount", "remark"]
    assert old.schema["amount"].dataType.simpleString() == "decimal(12,2)"
    assert [kind for _, kind in new.dtypes] == ["decimal(20,0)", "timestamp", "string", "string"]
    assert values(old, "note") == values(new, "remark") == {0: "note 0", 1: "note 1"}
    assert values(new, "amount") == {0: "0.00", 1: "0.25"}
    assert runs.rows().columns == new.columns and runs.rows(tag=DAYS[0]).columns == COLUMNS

    # An older date that is published later has its columns, too, and leaves those of the newest to main.
    runs.database.run("ALTER TABLE events DROP COLUMN remark")
    runs.publish(events(runs, "evolve", "current"), DAYS[1])
    assert as_of(runs, DAYS[1]).columns == ["id", "at", "amount"]
    assert runs.rows().columns == ["id", "at", "amount", "remark"]
    assert values(as_of(runs, DAYS[2]), "remark") == {0: "note 0", 1: "note 1"}


def test_a_column_that_comes_back_with_another_type_shows_nothing_of_the_old_one(tmpfs_runs: Runs) -> None:
    runs = tmpfs_runs
    runs.events(DAYS[:1], rows_per_day=1)
    for day, change in zip(
        DAYS,
        ("ADD COLUMN flag integer DEFAULT 7", "DROP COLUMN flag", "ADD COLUMN flag text DEFAULT 'seven'"),
        strict=True,
    ):
        runs.database.run(f"ALTER TABLE events {change}")
        runs.publish(events(runs, "evolve", "current"), day)
    assert values(as_of(runs, DAYS[0]), "flag") == {0: 7} and values(as_of(runs, DAYS[2]), "flag") == {0: "seven"}
    assert as_of(runs, DAYS[1]).columns == COLUMNS


@pytest.mark.parametrize(
    ("mode", "policy", "change", "words"),
    [
        ("interval", "fail", "ADD COLUMN extra integer", "column 'extra' (integer) is new; columns.exclude: [extra]"),
        ("interval", "additive", "RENAME note TO remark", "perhaps renamed to 'remark'; schema: evolve; a new name"),
        (
            "interval",
            "evolve",
            "ALTER amount TYPE text",
            "'amount' is text, was decimal(12,2); columns.types; new name",
        ),
        ("current", "additive", "DROP COLUMN note", "column 'note' (text) is no longer captured; schema: evolve"),
        ("current", "fail", "ALTER amount TYPE numeric(14,2)", "'amount' is decimal(14,2), was decimal(12,2)"),
    ],
)
def test_what_a_policy_does_not_take_is_refused(
    tmpfs_runs: Runs, mode: str, policy: str, change: str, words: str
) -> None:
    runs = tmpfs_runs
    runs.events(DAYS[:1], rows_per_day=1)
    runs.publish(events(runs, policy, mode), DAYS[0])
    runs.database.run(f"ALTER TABLE events {change}")
    references = runs.references()
    with pytest.raises(SchemaChanged) as caught:
        runs.snapshot([events(runs, policy, mode)], DAYS[1])
    assert not [word for word in words.split("; ") if word not in str(caught.value)]
    assert runs.rows().drop("_as_of").columns == COLUMNS and runs.references() == references


def test_a_column_that_is_gone_stays_in_older_intervals(tmpfs_runs: Runs) -> None:
    runs = tmpfs_runs
    runs.events(DAYS, rows_per_day=1)
    runs.publish(events(runs, "evolve"), DAYS[0])
    runs.database.run("ALTER TABLE events DROP COLUMN note, ALTER amount TYPE numeric(20,2)")
    table = events(runs, "evolve")
    runs.publish(table, DAYS[1])
    assert values(runs.rows(), "note") == {0: "note 0", 1: None}
    assert runs.rows().schema["amount"].dataType.simpleString() == "decimal(20,2)"
    assert values(runs.rows(), "amount") == {0: Decimal("0.00"), 1: Decimal("0.25")}

    with pytest.raises(ColumnsLost, match=f"the published interval {DAYS[0]} has values of column 'note'"):
        runs.snapshot([table], DAYS[0], run="again")
    runs.publish(table, DAYS[1], run="again")
    runs.database.run("ALTER TABLE events ADD COLUMN note text DEFAULT 'back'")
    runs.publish(events(runs), DAYS[2])
    assert values(runs.rows(), "note") == {0: "note 0", 1: None, 2: "back"}


def test_lookback_fills_a_new_column_in_and_leaves_what_would_lose_one(
    tmpfs_runs: Runs, capsys: pytest.CaptureFixture[str]
) -> None:
    runs = tmpfs_runs
    runs.events(DAYS, rows_per_day=1)

    def run(day: str, *earlier: str) -> list[str]:
        table = replace(events(runs, "evolve"), earlier=tuple(map(interval, earlier)))
        captured = runs.snapshot([table], day)
        return [one.record.as_of for one in runs.validate([table], day, captured).published]

    run(DAYS[0])
    runs.database.run("ALTER TABLE events ADD COLUMN extra integer DEFAULT 5")
    assert run(DAYS[1], DAYS[0]) == [DAYS[0], DAYS[1]]
    assert values(runs.rows(), "extra") == {0: 5, 1: 5}
    runs.database.run("ALTER TABLE events DROP COLUMN note")
    assert run(DAYS[2], DAYS[0], DAYS[1]) == [DAYS[2]]
    assert values(runs.rows(), "note") == {0: "note 0", 1: "note 1", 2: None}
    assert f"the published interval {DAYS[0]} has values of column 'note'" in capsys.readouterr().out


def test_dates_that_bring_the_same_column_at_once(tmpfs_runs: Runs) -> None:
    runs = tmpfs_runs
    runs.events(DAYS, rows_per_day=1)
    runs.publish(events(runs), DAYS[0])
    runs.database.run("ALTER TABLE events ADD COLUMN extra integer; UPDATE events SET extra = id * 10")
    table = events(runs)
    with ThreadPoolExecutor(2) as pool:
        captured = dict(zip(DAYS[1:], pool.map(lambda day: runs.snapshot([table], day), DAYS[1:]), strict=True))
        list(pool.map(lambda day: runs.validate([table], day, captured[day]), DAYS[1:]))
    assert values(runs.rows(), "extra") == {0: None, 1: 10, 2: 20}
    assert list(runs.records()) == DAYS


def test_runs_from_before_the_change_are_published_after_it(tmpfs_runs: Runs) -> None:
    runs = tmpfs_runs
    runs.events(DAYS, rows_per_day=1)
    before = events(runs)
    early = runs.snapshot([before], DAYS[0])
    runs.database.run("ALTER TABLE events ADD COLUMN extra integer DEFAULT 5")
    after = events(runs)
    other = runs.snapshot([after], DAYS[1])
    runs.validate([after], DAYS[1], other)
    runs.validate([before], DAYS[0], early)
    assert values(runs.rows(), "extra") == {0: None, 1: 5}
    # Its spec was frozen before the change, it reads after it: what the store has by now it would leave out.
    with pytest.raises(SchemaChanged, match=r"column 'extra' \(integer\) is no longer captured"):
        runs.snapshot([before], DAYS[2])


def test_columns_that_cannot_stand_beside_each_other_are_found_at_publishing(tmpfs_runs: Runs) -> None:
    runs = tmpfs_runs
    runs.events(DAYS, rows_per_day=1)
    runs.publish(events(runs), DAYS[0])
    runs.database.run("ALTER TABLE events ADD COLUMN extra integer")
    first = events(runs)
    captured = runs.snapshot([first], DAYS[1])
    runs.database.run("ALTER TABLE events ALTER extra TYPE text")
    runs.publish(events(runs), DAYS[2])
    with pytest.raises(ColumnsMoved, match="'extra'"):
        runs.validate([first], DAYS[1], captured)
    assert list(runs.records()) == [DAYS[0], DAYS[2]]


def test_a_date_that_is_published_during_a_capture_changes_none_of_its_columns(
    tmpfs_runs: Runs, monkeypatch: pytest.MonkeyPatch
) -> None:
    runs = tmpfs_runs
    monkeypatch.setattr(source_read, "SMALL_ROWS", 0)
    accounts(runs)
    table = replace(runs.table("accounts", mode="current", filter="at_gate(id)"), schema_policy="evolve")
    fewer = replace(table, columns=table.columns[:1], filter=None)
    runs.publish(replace(table, filter=None), DAYS[0])
    with ThreadPoolExecutor(1) as pool, closed_gate(runs) as open_gate:
        capture = pool.submit(runs.snapshot, [table], DAYS[2])
        wait_for_readers(runs, capture, 1)
        runs.publish(fewer, DAYS[1])
        assert runs.rows("accounts").columns == ["id"]
        open_gate()
        runs.validate([table], DAYS[2], capture.result(timeout=120))
    read = {day: read_as_of(runs.session, runs.store, "accounts", day) for day in DAYS}
    assert [frame.columns for frame in read.values()] == [["id", "amount"], ["id"], ["id", "amount"]]
    assert read[DAYS[2]].selectExpr("sum(amount)").collect()[0][0] == 100 * ROWS


def test_what_was_never_published_binds_nobody(tmpfs_runs: Runs) -> None:
    runs = tmpfs_runs
    runs.events(DAYS, rows_per_day=1)
    runs.snapshot([events(runs, "fail")], DAYS[0])
    runs.database.run("ALTER TABLE events DROP COLUMN note, ALTER amount TYPE text")
    runs.publish(events(runs, "fail"), DAYS[0], run="again")
    assert runs.rows().columns == ["id", "at", "amount", "_as_of"]
    # Nor does a change that was captured and taken back.
    runs.database.run("ALTER TABLE events ADD COLUMN extra integer")
    runs.snapshot([events(runs)], DAYS[1])
    runs.database.run("ALTER TABLE events DROP COLUMN extra")
    runs.publish(events(runs, "fail"), DAYS[1], run="again")
    assert runs.rows().columns == ["id", "at", "amount", "_as_of"] and runs.ids() == [0, 1]


def test_an_empty_interval_with_a_new_column(tmpfs_runs: Runs) -> None:
    runs = tmpfs_runs
    runs.events(DAYS[:1], rows_per_day=1)
    runs.publish(events(runs), DAYS[0])
    runs.database.run("ALTER TABLE events ADD COLUMN extra integer DEFAULT 5")
    assert runs.publish(events(runs), DAYS[1]).record.rows == 0
    assert values(runs.rows(), "extra") == {0: None}


def test_nothing_is_left_beside_the_table(tmpfs_runs: Runs) -> None:
    """Metadata files apart: those are ended by Iceberg."""
    runs = tmpfs_runs
    runs.events(DAYS[:2], rows_per_day=1)
    runs.publish(events(runs), DAYS[0])
    runs.database.run("ALTER TABLE events ADD COLUMN extra integer")
    runs.publish(events(runs), DAYS[1], grace=0)
    assert runs.data_files() == runs.live_files()
    table = load_existing_table(runs.session, runs.store, "events")
    known = {name for snapshot in table.snapshots() for name in _metadata_of(snapshot, table.io())}
    assert {path.rpartition("/")[2] for path in runs.files() if path.endswith(".avro")} == known


def _metadata_of(snapshot: Any, file_io: Any) -> set[str]:
    paths = [snapshot.manifestListLocation(), *(manifest.path() for manifest in snapshot.allManifests(file_io))]
    return {str(path).rpartition("/")[2] for path in paths}


def test_columns_of_a_source_that_is_read_through_one_connection(
    session: SparkSession, tmpfs_store: StoreSpec, mariadb: MariadbDatabase
) -> None:
    runs = Runs(session, tmpfs_store, mariadb)
    mariadb.run(
        "CREATE TABLE events (id int, at datetime(6), note varchar(20)) ENGINE = InnoDB;"
        "INSERT INTO events SELECT seq, TIMESTAMP'2013-06-01 12:00:00' + INTERVAL seq DAY, seq FROM seq_0_to_2"
    )
    runs.publish(events(runs), DAYS[0])
    mariadb.run("ALTER TABLE events ADD COLUMN extra int DEFAULT 5 AFTER id")
    first = runs.publish(events(runs), DAYS[1]).record
    assert values(runs.rows(), "extra") == {0: None, 1: 5}
    assert runs.publish(events(runs), DAYS[1], run="again").record.digest == first.digest
    mariadb.run("ALTER TABLE events MODIFY id bigint, DROP COLUMN note")
    runs.publish(events(runs, "evolve"), DAYS[2])
    assert values(runs.rows(), "note") == {0: "0", 1: "1", 2: None}
    assert runs.rows().schema["id"].dataType.simpleString() == "bigint"


def test_the_stores_own_column_is_reserved(tmpfs_runs: Runs) -> None:
    runs = tmpfs_runs
    runs.events(DAYS[:1])
    runs.database.run('ALTER TABLE events ADD COLUMN "_As_Of" text')
    for mode in ("interval", "current"):
        with pytest.raises(UnsupportedColumn, match=r"'_As_Of'.*has the name of the store's label column"):
            runs.snapshot([events(runs, "evolve", mode)], DAYS[0])


@pytest.mark.parametrize(
    ("again", "words"),
    [
        ({"source_table": "others"}, "its table in the source is 'public.others', was 'public.events'"),
        ({"history": HistorySpec("interval", "seen")}, "its history's columns is 'seen', was 'at'"),
        ({"history": HistorySpec("current")}, "its history is 'current', was 'interval'"),
    ],
)
def test_a_manifest_that_means_another_table_publishes_nothing_beside_it(
    tmpfs_runs: Runs, again: dict[str, Any], words: str
) -> None:
    runs = tmpfs_runs
    runs.events(DAYS[:2], rows_per_day=1)
    runs.database.run("ALTER TABLE events ADD COLUMN seen timestamptz; CREATE TABLE others AS SELECT * FROM events")
    runs.publish(events(runs), DAYS[0])
    with pytest.raises(TableRedefined) as caught:
        runs.snapshot([replace(events(runs), **again)], DAYS[1])
    assert words in str(caught.value) and "\n" not in str(caught.value)
    assert runs.ids() == [0]


def test_a_start_that_moves_hides_nothing_and_makes_up_nothing(tmpfs_runs: Runs) -> None:
    runs = tmpfs_runs
    runs.events(DAYS, rows_per_day=1)
    for day in DAYS[:2]:
        runs.publish(events(runs), day)
    later = replace(events(runs), start=f"{DAYS[2]}T00:00:00Z")
    runs.publish(later, DAYS[2])
    assert [row.id for row in as_of(runs, DAYS[2]).sort("id").collect()] == [0, 1, 2]
    runs.publish(replace(later, start="2013-05-31T00:00:00Z"), DAYS[2], run="earlier")
    with pytest.raises(MissingIntervals, match="2013-05-31"):
        as_of(runs, DAYS[2])


def test_a_table_that_the_manifest_no_longer_has_is_listed_and_dropped(
    session: SparkSession, stores: dict[str, StoreSpec], alluxio: Alluxio, database: PostgresDatabase, tmp_path: Path
) -> None:
    runs = Runs(session, replace(stores["alluxio"], namespace="dropped"), database)
    runs.events(DAYS[:1])
    runs.publish(events(runs), DAYS[0])
    manifest = tmp_path / "m.yaml"
    manifest.write_text(
        "version: 1\nsources: {shop: {connection: shop, budget: 3}}\n"
        f"store: {{uri: '{alluxio.uri}', namespace: dropped, web: '{alluxio.web}', s3: '{alluxio.s3}'}}\n"
        "tables:\n  happened: {table: public.events, history: current, source: shop, schedule: '@daily', "
        "start: 2013-06-01}\n"
    )
    loaded = load_manifest(manifest).manifest
    assert loaded is not None
    plan = make_plan(loaded).snapshots[0]
    (said,) = unknown_tables(store_files(plan.store), plan.store, dict(plan.known_tables), ["happened"])
    assert "has a table 'events'" in said and "'happened' has the same source table" in said

    assert main(["tables", "--manifest", str(manifest), "drop", "events", "--yes"]) == 0
    assert load_table(session, runs.store.identifier("events")) is None
    assert AlluxioFiles(alluxio.web, alluxio.s3).folders("/warehouse/dropped") == []
    # And its name is free.
    runs.publish(events(runs, mode="current"), DAYS[0], run="again")
    assert runs.ids() == list(range(10))
