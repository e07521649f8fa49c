"""Publishing: exact, atomic, repeatable, in any order and beside other dates; the same on tmpfs and on Alluxio."""

from __future__ import annotations

from concurrent.futures import ThreadPoolExecutor
from typing import Any

import pytest
from warehouse import expiry
from warehouse.iceberg_api import load_existing_table
from warehouse.referred_files import unreferenced_snapshots
from warehouse.store_failures import BranchChanged, BranchGone
from warehouse.table_spec import RetentionSpec
from warehouse.validation_failures import RowCountMismatch

from tests.faults.store_contents import contents
from tests.spark.runs import Runs

DAYS = ["2013-06-01", "2013-06-02", "2013-06-03", "2013-06-04"]


def test_interval_holds_exactly_its_rows(runs: Runs) -> None:
    runs.events(DAYS[:2])
    published = runs.publish(runs.table(), DAYS[0])

    assert runs.ids() == list(range(10))
    record = published.record
    assert (record.rows, record.source_rows, record.history, record.late) == (10, 10, "interval", False)
    assert record.files == 1 and record.bytes > 0 and record.consistency == "snapshot"
    assert "wal " in record.source_position
    assert runs.records() == {DAYS[0]: record}
    assert runs.references() == {"main"}


def test_dates_in_any_order_and_again(runs: Runs) -> None:
    runs.events(DAYS[:3])
    table = runs.table()
    for day in (DAYS[2], DAYS[0], DAYS[1]):
        runs.publish(table, day)
    before = runs.records()
    runs.database.run("UPDATE events SET id = id + 1000 WHERE id = 15; DELETE FROM events WHERE id = 19")
    again = runs.publish(table, DAYS[1], run="manual")

    assert runs.ids() == [n for n in range(30) if n not in (15, 19)] + [1015]
    assert list(runs.records()) == DAYS[:3]
    assert again.record.rows == 9 and not again.adopted
    assert again.record.digest != before[DAYS[1]].digest
    assert runs.records()[DAYS[0]] == before[DAYS[0]]


def test_digest_is_that_of_the_rows_whatever_their_order(runs: Runs) -> None:
    runs.events(DAYS[:1])
    table = runs.table()
    first = runs.publish(table, DAYS[0]).record
    runs.database.run("CREATE TABLE copy AS SELECT * FROM events ORDER BY id DESC; TRUNCATE events")
    runs.database.run("INSERT INTO events SELECT * FROM copy")
    assert runs.publish(table, DAYS[0], run="again").record.digest == first.digest
    runs.database.run("UPDATE events SET note = NULL WHERE id = 3")
    assert runs.publish(table, DAYS[0], run="changed").record.digest != first.digest


def test_empty_interval_replaces_rows_by_nothing(runs: Runs) -> None:
    runs.events(DAYS[:2])
    table = runs.table()
    runs.publish(table, DAYS[0])
    runs.publish(table, DAYS[1])
    runs.database.run(f"DELETE FROM events WHERE at < '{DAYS[1]} 00:00+00'")
    record = runs.publish(table, DAYS[0], run="again").record
    assert (record.rows, record.files, record.bytes) == (0, 0, 0)
    assert runs.ids() == list(range(10, 20))


def test_empty_table_first(runs: Runs) -> None:
    runs.events([])
    assert runs.publish(runs.table(), DAYS[0]).record.rows == 0
    assert runs.ids() == []
    assert runs.references() == {"main"}


def test_concurrent_dates(runs: Runs) -> None:
    days = [f"2013-06-0{number}" for number in range(1, 9)]
    runs.events(days, rows_per_day=5)
    table = runs.table()
    first = runs.snapshot([table], days[0])
    with ThreadPoolExecutor(len(days)) as pool:
        captured = [first, *pool.map(lambda day: runs.snapshot([table], day), days[1:])]
        published = list(pool.map(lambda day, one: runs.validate([table], day, one, grace=0), days, captured))
    assert [one.published[0].record.rows for one in published] == [5] * len(days)
    assert runs.ids() == list(range(40))
    assert list(runs.records()) == days
    assert not [name for name in runs.references() if name.startswith("run_")]
    assert contents(runs.session, runs.store, "events").leaked == {}, "nor manifests of commits that came too late"


def test_row_lost_after_the_capture(runs: Runs) -> None:
    runs.events(DAYS[:2])
    table = runs.table()
    runs.publish(table, DAYS[0])
    captured = runs.snapshot([table], DAYS[1])
    runs.session.sql(f"DELETE FROM {runs.branch(captured)} WHERE id = 12")
    with pytest.raises(RowCountMismatch) as caught:
        runs.validate([table], DAYS[1], captured)
    assert (caught.value.source_rows, caught.value.stored_rows) == (10, 9)
    assert "difference of -1" in str(caught.value) and "events" in str(caught.value)
    assert list(runs.records()) == DAYS[:1] and runs.ids() == list(range(10))


def test_rows_changed_after_the_capture(tmpfs_runs: Runs) -> None:
    tmpfs_runs.events(DAYS[:1])
    table = tmpfs_runs.table()
    captured = tmpfs_runs.snapshot([table], DAYS[0])
    tmpfs_runs.session.sql(f"UPDATE {tmpfs_runs.branch(captured)} SET note = 'x' WHERE id = 2")
    with pytest.raises(BranchChanged):
        tmpfs_runs.validate([table], DAYS[0], captured)
    assert tmpfs_runs.records() == {}


def test_one_bad_table_keeps_its_group_unpublished(tmpfs_runs: Runs) -> None:
    runs = tmpfs_runs
    runs.events(DAYS[:1])
    runs.database.run("CREATE TABLE others AS SELECT * FROM events")
    tables = [runs.table(), runs.table("others")]
    captured = runs.snapshot(tables, DAYS[0])
    assert captured.captures[0].source_position == captured.captures[1].source_position
    runs.session.sql(f"DELETE FROM {runs.branch(captured, 'others')} WHERE id = 1")
    with pytest.raises(RowCountMismatch):
        runs.validate(tables, DAYS[0], captured)
    assert runs.records() == {} and runs.records("others") == {}


def test_a_validate_that_died_after_publishing_is_adopted(runs: Runs) -> None:
    runs.events(DAYS[:1])
    table = runs.table()
    captured = runs.snapshot([table], DAYS[0])
    first = runs.validate([table], DAYS[0], captured).published[0]
    second = runs.validate([table], DAYS[0], captured, attempt=2).published[0]
    assert not first.adopted and second.adopted
    assert second.record == first.record
    assert runs.ids() == list(range(10))


def test_a_driver_that_lives_on_cannot_publish(runs: Runs) -> None:
    runs.events(DAYS[:1])
    table = runs.table()
    early = runs.snapshot([table], DAYS[0], attempt=1)
    late = runs.snapshot([table], DAYS[0], attempt=2)
    with pytest.raises(BranchGone):
        runs.validate([table], DAYS[0], early)
    assert runs.records() == {}
    assert runs.validate([table], DAYS[0], late).published[0].record.rows == 10


@pytest.mark.parametrize("mode", ["interval", "current"])
def test_of_two_runs_of_a_date_the_later_state_stays(tmpfs_runs: Runs, mode: str) -> None:
    runs = tmpfs_runs
    runs.events(DAYS[:1])
    table = runs.table(mode=mode)
    early = runs.snapshot([table], DAYS[0], run="early")
    runs.database.run("DELETE FROM events WHERE id >= 5")
    late = runs.snapshot([table], DAYS[0], run="late")
    runs.validate([table], DAYS[0], late, run="late")

    (left,) = runs.validate([table], DAYS[0], early, run="early", grace=0).published
    assert (left.superseded, left.adopted, left.record.run_id, left.record.rows) == (True, False, "late", 5)
    assert runs.ids() == list(range(5))
    assert not [name for name in runs.references() if name.startswith("run_")]
    assert runs.data_files() == runs.live_files()
    assert runs.validate([table], DAYS[0], early, run="early", attempt=2).published[0].superseded, "tried again"


def test_states_are_tagged_and_main_is_the_newest(runs: Runs) -> None:
    runs.events(DAYS[:1])
    table = runs.table(mode="current")
    runs.publish(table, DAYS[1])
    runs.database.run("DELETE FROM events WHERE id >= 5")
    runs.publish(table, DAYS[2])
    runs.database.run("DELETE FROM events WHERE id >= 3")
    runs.publish(table, DAYS[0])

    assert runs.ids(tag=DAYS[0]) == [0, 1, 2]
    assert runs.ids(tag=DAYS[1]) == list(range(10))
    assert runs.ids(tag=DAYS[2]) == runs.ids() == list(range(5))
    runs.publish(table, DAYS[2], run="again")
    assert runs.ids(tag=DAYS[2]) == runs.ids() == [0, 1, 2]
    assert [record.rows for record in runs.records().values()] == [3, 10, 3]


def test_replaced_rows_stay_for_readers_and_then_free_their_memory(runs: Runs) -> None:
    runs.events(DAYS[:2])
    table = runs.table()
    old = runs.publish(table, DAYS[0]).record
    runs.publish(table, DAYS[1])
    runs.database.run("UPDATE events SET note = 'new'")
    runs.publish(table, DAYS[0], run="again", grace=3600)
    assert len(runs.data_files()) == 3
    assert runs.ids(snapshot=old.iceberg_snapshot_id) == list(range(10))

    runs.publish(table, DAYS[1], run="again", grace=0)
    assert len(runs.data_files()) == 4, "the grace that an earlier run promised still holds"
    assert runs.ids() == list(range(20))


def test_another_run_frees_the_same_memory_first(tmpfs_runs: Runs, monkeypatch: pytest.MonkeyPatch) -> None:
    runs = tmpfs_runs
    runs.events(DAYS[:1])
    table = runs.table()
    runs.publish(table, DAYS[0], grace=0)
    found_by_us = unreferenced_snapshots
    freed_by_others: list[int] = []

    def beaten(loaded: Any, now_millis: int) -> list[int]:
        found = found_by_us(loaded, now_millis)
        if not freed_by_others:
            other = load_existing_table(runs.session, runs.store, table.name).expireSnapshots()
            for snapshot_id in found:
                other.expireSnapshotId(snapshot_id)
            other.commit()
            freed_by_others.extend(found)
        return found

    monkeypatch.setattr(expiry, "unreferenced_snapshots", beaten)
    runs.publish(table, DAYS[0], run="again", grace=0)
    assert len(freed_by_others) > 1
    assert runs.ids() == list(range(10)) and runs.data_files() == runs.live_files()


@pytest.mark.parametrize("mode", ["interval", "current"])
def test_retention_ends_dates_and_frees_their_memory(runs: Runs, mode: str) -> None:
    runs.events(DAYS)
    table = runs.table(mode=mode, retention=RetentionSpec(keep=2))
    expired = [runs.publish(table, day, grace=0).expired for day in DAYS]

    assert expired == [(), (), (DAYS[0],), (DAYS[1],)]
    assert list(runs.records()) == DAYS[2:]
    assert runs.data_files() == runs.live_files() and len(runs.data_files()) == 2
    if mode == "interval":
        assert runs.ids() == list(range(20, 40))
    else:
        assert runs.ids(tag=DAYS[2]) == runs.ids() == list(range(40))
        assert {DAYS[0], DAYS[1]}.isdisjoint(runs.references())


def test_an_old_date_asked_for_is_readable(tmpfs_runs: Runs) -> None:
    tmpfs_runs.events(DAYS)
    table = tmpfs_runs.table(retention=RetentionSpec(days=1))
    tmpfs_runs.publish(table, DAYS[3])
    assert tmpfs_runs.publish(table, DAYS[0]).expired == ()
    assert list(tmpfs_runs.records()) == [DAYS[0], DAYS[3]]
    assert tmpfs_runs.publish(table, DAYS[2]).expired == (DAYS[0],)


def test_no_password_in_the_store(runs: Runs) -> None:
    runs.events(DAYS[:1])
    runs.publish(runs.table(), DAYS[0])
    secret = runs.database.password.encode()
    files = runs.files()
    assert any(name.endswith(".metadata.json") for name in files)
    assert not [name for name, contents in files.items() if secret in contents]
