"""Rows of given keys leave every snapshot, kept input and replaced state, and the store holds none of their files."""

from __future__ import annotations

from collections.abc import Iterable
from dataclasses import replace
from pathlib import Path

import pytest
import warehouse.forgetting
from warehouse.branch_schema import end
from warehouse.capture_failures import MissingColumn
from warehouse.clean_spec import CleanJob, Removal
from warehouse.expiry import expire_before
from warehouse.failures import PermanentError
from warehouse.forget_spec import ForgetJob, ForgetResult, ForgottenDate
from warehouse.forgetting import forget
from warehouse.forgotten import Forgetting
from warehouse.forgotten_keys import KeysOfAnotherType, NoKeys
from warehouse.iceberg_api import branch_head, load_existing_table
from warehouse.reading import ForgottenRows, read_again, read_as_of, read_input
from warehouse.store_cleaning import clean_store
from warehouse.stored_rows import branch_frame, read_back
from warehouse.table_spec import TableSpec
from warehouse.train_spec import InputSpec

from tests.spark.runs import Runs
from tests.spark.test_leftovers import Killed, die, killed_while_writing, useless

DAYS = ["2013-06-01", "2013-06-02", "2013-06-03"]


def forget_ids(runs: Runs, folder: Path, ids: Iterable[object], column: str = "id") -> ForgetResult:
    keys = folder / "keys"
    keys.write_text("".join(f"{one}\n" for one in ids))
    job = ForgetJob(runs.store, "events", column, str(keys), "officer", str(folder / "result"))
    return forget(runs.session, job)


def everywhere(runs: Runs) -> set[int]:
    """Ids of rows that any branch or tag holds."""
    return {number for name in runs.references() for number in runs.ids(snapshot=head_of(runs, name))}


def head_of(runs: Runs, name: str) -> int:
    head = branch_head(load_existing_table(runs.session, runs.store, "events"), name)
    assert head is not None
    return head


def assert_records_tell_what_is_stored(runs: Runs, table: TableSpec) -> None:
    for as_of, record in runs.records().items():
        head = head_of(runs, "main" if record.history == "interval" else as_of)
        stored = read_back(branch_frame(runs.session, runs.store, table, head, as_of), table)
        assert (stored.rows, stored.digest) == (record.rows, record.digest), as_of
        assert record.source_rows == 10


def test_intervals(tmpfs_runs: Runs, tmp_path: Path) -> None:
    tmpfs_runs.events(DAYS)
    runs, table = tmpfs_runs, tmpfs_runs.table()
    before = {day: runs.publish(table, day).record for day in DAYS}
    runs.publish(table, DAYS[0], run="again")  # leaves a replaced state for readers in flight
    _, read = read_input(runs.session, runs.store, InputSpec("events", "window", 2), DAYS[1], keep_as="keep_late_2")
    runs.snapshot([table], DAYS[2], run="under way")
    under_way = {name for name in runs.references() if name.startswith("run_")}
    result = forget_ids(runs, tmp_path, [3, 4, 12, 999, 3])
    assert (result.keys, result.dates) == (4, (ForgottenDate(DAYS[0], 2, 8), ForgottenDate(DAYS[1], 1, 9)))
    assert result.kept == ("keep_late_2",) and set(result.under_way) == under_way
    assert (result.matched, result.seen) == (3, Forgetting(result.at, "officer", "id", (DAYS[0], DAYS[1])))
    assert everywhere(runs) == set(range(30)) - {3, 4, 12}
    assert runs.references() == {"main", "keep_late_2"}
    assert runs.data_files() == runs.live_files()  # memory is free at once
    assert_records_tell_what_is_stored(runs, table)
    (note,) = runs.records()[DAYS[0]].forgotten
    assert (note.by, note.column, note.rows, note.digest) == ("officer", "id", 2, before[DAYS[0]].digest)
    assert note.fingerprint == before[DAYS[0]].fingerprint != "" == runs.records()[DAYS[0]].fingerprint
    assert runs.records()[DAYS[2]] == before[DAYS[2]]
    assert read_as_of(runs.session, runs.store, "events", DAYS[1]).count() == 17
    with pytest.warns(ForgottenRows, match="were forgotten since"):
        rows = read_again(runs.session, runs.store, read, trained_at="2013-07-01T00:00:00Z")
    assert {row.id for row in rows.collect()} == set(range(20)) - {3, 4, 12}
    # Once more finds nothing, and a second time after that adds its own note.
    again = forget_ids(runs, tmp_path, [3, 4, 12])
    assert (again.dates, again.matched, again.seen, again.before) == ((), 0, None, (result.seen,))
    assert forget_ids(runs, tmp_path, ["note 5"], "note").dates == (ForgottenDate(DAYS[0], 1, 7),)
    assert [note.rows for note in runs.records()[DAYS[0]].forgotten] == [2, 1]
    rows = read_again(runs.session, runs.store, read, trained_at="2013-07-01T00:00:00Z")
    assert 5 not in {row.id for row in rows.collect()}
    # The table goes on as any other.
    assert runs.publish(table, DAYS[0], run="third").record.rows == 10


def test_keys_that_match_nothing_end_no_run_that_is_under_way(tmpfs_runs: Runs, tmp_path: Path) -> None:
    tmpfs_runs.events(DAYS)
    runs, table = tmpfs_runs, replace(tmpfs_runs.table(), validate="rows")
    runs.publish(table, DAYS[0])
    captured = runs.snapshot([table], DAYS[1], run="under way")
    assert forget_ids(runs, tmp_path, [999]).dates == ()
    assert runs.validate([table], DAYS[1], captured, run="under way").published[0].record.validate == "rows"


def test_whole_states(tmpfs_runs: Runs, tmp_path: Path) -> None:
    tmpfs_runs.events(DAYS[:1])
    runs, table = tmpfs_runs, tmpfs_runs.table(mode="current")
    for number, day in enumerate(DAYS[:2]):
        runs.database.run(f"UPDATE events SET amount = {number}")
        runs.publish(table, day)
    result = forget_ids(runs, tmp_path, range(3))
    assert result.dates == tuple(ForgottenDate(day, 3, 7) for day in DAYS[:2])
    assert all(runs.ids(tag=day) == list(range(3, 10)) for day in DAYS[:2]) and runs.ids() == list(range(3, 10))
    assert head_of(runs, "main") == head_of(runs, DAYS[1]) == runs.records()[DAYS[1]].iceberg_snapshot_id
    assert runs.references() == {"main", *DAYS[:2]} and runs.data_files() == runs.live_files()
    assert_records_tell_what_is_stored(runs, table)
    # All rows of all dates.
    assert {date.rows_left for date in forget_ids(runs, tmp_path, range(10)).dates} == {0}
    assert everywhere(runs) == set() == runs.data_files()


def test_a_state_that_only_a_training_keeps(tmpfs_runs: Runs, tmp_path: Path) -> None:
    tmpfs_runs.events(DAYS[:1])
    runs, table = tmpfs_runs, tmpfs_runs.table(mode="current")
    runs.publish(table, DAYS[0], grace=0)
    _, read = read_input(runs.session, runs.store, InputSpec("events", "latest"), DAYS[0], keep_as="keep_churn_1")
    runs.database.run("DELETE FROM events WHERE id IN (3, 4)")
    runs.publish(table, DAYS[1], grace=0)
    # The date that was read has ended, and so has its label.
    ended = expire_before(runs.session, runs.store, "events", f"{DAYS[1]}T00:00:00Z", grace_seconds=0, by="me")
    assert (ended.ended, ended.kept) == ((DAYS[0],), ("keep_churn_1",)) and ended.kept_bytes > 0
    for key in (3, 4):
        result = forget_ids(runs, tmp_path, [key])
        assert result.seen is not None and (result.dates, result.seen.dates) == ((), ())
        # The second time, too, though the kept state has another id since the first.
        assert read.iceberg_snapshot_id in result.seen.states
        assert (result.kept, result.matched) == (("keep_churn_1",), 1)
        assert key not in everywhere(runs)


def test_an_end_at_any_point_leaves_all_or_nothing(
    tmpfs_runs: Runs, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    tmpfs_runs.events(DAYS[:2])
    runs, table = tmpfs_runs, tmpfs_runs.table()
    for day in DAYS[:2]:
        runs.publish(table, day)
    before, files = runs.records(), runs.data_files()

    def die(*_: object) -> None:
        raise KeyboardInterrupt

    with monkeypatch.context() as patch, pytest.raises(KeyboardInterrupt):
        patch.setattr(warehouse.forgetting, "end", die)
        forget_ids(runs, tmp_path, [3])
    assert runs.records() == before and 3 in everywhere(runs) and runs.data_files() == files
    with monkeypatch.context() as patch, pytest.raises(KeyboardInterrupt):
        patch.setattr(warehouse.forgetting, "_free", die)
        forget_ids(runs, tmp_path, [3])
    assert 3 not in everywhere(runs) and runs.data_files() > runs.live_files()
    again = forget_ids(runs, tmp_path, [3])
    assert again.dates == () and runs.data_files() == runs.live_files()
    (killed,) = again.before
    assert killed.dates == (DAYS[0],), "of which the one that was killed could tell nobody"
    assert len(runs.records()[DAYS[0]].forgotten) == 1


def test_what_another_run_publishes_meanwhile_is_looked_at_too(
    tmpfs_runs: Runs, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    tmpfs_runs.events(DAYS[:1])
    runs, table = tmpfs_runs, tmpfs_runs.table(mode="current")
    runs.publish(table, DAYS[0])
    publishing = iter([True])

    def late(*arguments: object) -> None:
        if next(publishing, False):
            runs.publish(table, DAYS[1])
        end(*arguments)  # type: ignore[arg-type]

    monkeypatch.setattr(warehouse.forgetting, "end", late)
    assert [date.as_of for date in forget_ids(runs, tmp_path, [3]).dates] == DAYS[:2]
    assert 3 not in everywhere(runs) and runs.data_files() == runs.live_files()


def test_what_killed_ones_had_written_and_not_committed_goes_too(
    tmpfs_runs: Runs, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    tmpfs_runs.events(DAYS[:2])
    runs, table = tmpfs_runs, tmpfs_runs.table()
    runs.publish(table, DAYS[0], grace=0)
    with monkeypatch.context() as patch, pytest.raises(Killed):
        patch.setattr(warehouse.forgetting, "end", die)
        patch.setattr(warehouse.forgetting._Forgetting, "delete_written", lambda *_: None)
        forget_ids(runs, tmp_path, [3])
    killed_while_writing(runs, table, DAYS[1], "dead")
    of_forget, of_run = sorted(path for path in useless(runs) if "/data/" in path)
    assert "/data/forgetting_" in of_forget and "/data/run_" in of_run

    result = forget_ids(runs, tmp_path, [3])
    assert [date.rows for date in result.dates] == [1]
    # Whether its run has ended is for the command to ask Airflow.
    assert [path for path in useless(runs) if "/data/" in path] == [of_run]
    (dead,) = result.left
    assert dead in of_run
    clean_store(runs.session, CleanJob(runs.store, (Removal("events", result.left),), ""))
    assert runs.data_files() == runs.live_files()
    assert forget_ids(runs, tmp_path, [4]).left == ()


def test_one_that_lives_while_another_takes_its_files_for_those_of_a_killed_one(
    tmpfs_runs: Runs, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    tmpfs_runs.events(DAYS[:1])
    runs = tmpfs_runs
    runs.publish(runs.table(), DAYS[0])
    written = list[set[str]]()

    def late(*arguments: object) -> None:
        written.append({path for path in useless(runs) if "/data/forgetting_" in path})
        if len(written) == 1:
            forget_ids(runs, tmp_path, [999])
            assert not written[0] & useless(runs)
        end(*arguments)  # type: ignore[arg-type]

    monkeypatch.setattr(warehouse.forgetting, "end", late)
    assert [date.rows for date in forget_ids(runs, tmp_path, [3]).dates] == [1]
    first, second = written
    assert len(first) == len(second) == 1 and not first & second
    assert everywhere(runs) == set(range(10)) - {3} and runs.data_files() == runs.live_files()


def test_what_cannot_be_forgotten(tmpfs_runs: Runs, tmp_path: Path) -> None:
    tmpfs_runs.events(DAYS[:1])
    tmpfs_runs.publish(tmpfs_runs.table(), DAYS[0])
    refused: list[tuple[str, list[object], type[PermanentError]]] = [
        ("id", [], NoKeys),
        ("id", ["12x", "7"], KeysOfAnotherType),
        ("ide", [7], MissingColumn),
        ("amount", ["0.249"], KeysOfAnotherType),  # 0.25 as a decimal(12,2), which id 1 has
        ("at", ["2013"], KeysOfAnotherType),
    ]
    for column, keys, failure in refused:
        with pytest.raises(failure) as error:
            forget_ids(tmpfs_runs, tmp_path, keys, column)
        assert not any(str(key) in str(error.value) for key in keys if key != 7), "no message shows a key"
    assert tmpfs_runs.records()[DAYS[0]].rows == 10
    # A number may be written in another way, and a text with a blank is another text.
    assert [date.rows for date in forget_ids(tmpfs_runs, tmp_path, ["0.250", "0.5", "0.50"], "amount").dates] == [2]
    result = forget_ids(tmpfs_runs, tmp_path, ["note 5 ", "note 6"], "note")
    assert (result.keys, result.matched, result.blank) == (2, 1, 1)
