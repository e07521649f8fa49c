"""What killed runs leave is removed by the next one, and nothing of those that live."""

from __future__ import annotations

import re
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from dataclasses import replace
from typing import Any

import pytest
from logical_warehouse.capacity import MIB, Room
from logical_warehouse.manifest import Store
from logical_warehouse.promises import Promises
from logical_warehouse.reserving import Reserving
from logical_warehouse.store_files import store_files
from logical_warehouse.store_health import ask_alluxio
from pyspark.sql import SparkSession
from warehouse import copy_write, iceberg_tables, leftovers, publish
from warehouse.capture import snapshot_tables
from warehouse.clean_spec import CleanJob, Removal
from warehouse.failures import PermanentError
from warehouse.iceberg_api import load_existing_table
from warehouse.job_answer import JobAnswer
from warehouse.promises import Promise, promise_of
from warehouse.referred_files import referred_files, snapshot_ids
from warehouse.run_spec import EndedRun, RunSpec
from warehouse.snapshot_spec import SnapshotResult
from warehouse.spec_json import from_json, to_json
from warehouse.store_cleaning import clean_store
from warehouse.store_failures import BranchGone
from warehouse.store_files import delete_file, delete_folder, files_below, read_text, write_text
from warehouse.store_spec import StoreSpec
from warehouse.table_spec import RetentionSpec, TableSpec
from warehouse.validate_spec import ValidateResult
from warehouse.validation import validate_snapshots
from warehouse.validation_failures import RowCountMismatch

from local_stack.alluxio import Alluxio
from tests.spark.databases import PostgresDatabase
from tests.spark.runs import DAG, Runs, interval

DAYS = ["2013-06-01", "2013-06-02", "2013-06-03"]


class Killed(BaseException):
    """Stands for SIGKILL: no handler of an ``Exception`` sees it, so that nothing is tidied up."""


def die(*_: object, **__: object) -> None:
    raise Killed


@contextmanager
def before(module: Any, function: str, happens: Callable[[], None]) -> Iterator[None]:
    """Something happens before the first call of a function."""
    real, pending = getattr(module, function), [happens]

    def called(*arguments: Any, **named: Any) -> Any:
        while pending:
            pending.pop()()
        return real(*arguments, **named)

    with pytest.MonkeyPatch.context() as patch:
        patch.setattr(module, function, called)
        yield


@contextmanager
def before_the_branch(happens: Callable[[], None]) -> Iterator[None]:
    """Something happens when the data files of a capture are complete, and its run branch does not know them."""
    with before(iceberg_tables, "replace_on_branch", happens), before(copy_write, "replace_on_branch", happens):
        yield


def killed_while_writing(runs: Runs, table: TableSpec, day: str, run: str, reader: str = "auto") -> None:
    with pytest.MonkeyPatch.context() as patch:
        # Who is killed tidies nothing up.
        patch.setattr(copy_write._StoredFiles, "remove", lambda files: None)
        with before_the_branch(die), pytest.raises(Killed):
            capture(runs, table, day, run, reader=reader)


def capture(
    runs: Runs,
    table: TableSpec,
    day: str,
    run: str,
    *,
    attempt: int = 1,
    ended: tuple[EndedRun, ...] = (),
    reader: str = "auto",
) -> SnapshotResult:
    """As a driver does it, with an answer in the store."""
    job = runs.snapshot_job([table], day, run=run, attempt=attempt)
    job = replace(job, ended=ended, source=replace(job.source, reader=reader))  # type: ignore[arg-type]
    captured = snapshot_tables(runs.session, job)
    write_text(runs.session, job.result_path, to_json(JobAnswer(snapshot=captured)))
    return captured


def validate(
    runs: Runs, table: TableSpec, day: str, run: str, captured: SnapshotResult, *, ended: tuple[EndedRun, ...] = ()
) -> ValidateResult:
    job = replace(runs.validate_job([table], day, captured, run=run, grace=0), ended=ended)
    return validate_snapshots(runs.session, job)


def ended(runs: Runs, run: str, day: str, table: str = "events") -> EndedRun:
    """As the task has it that looks before it asks Airflow."""
    spec = RunSpec(DAG, run, 0)
    folders = {path.split("/data/")[1].split("/")[0] for path in runs.files(table) if "/data/" in path}
    tries = {name for name in folders | runs.references(table) if spec.try_of(name) is not None}
    promise = read_text(runs.session, runs.store.promise_path(spec))
    promised_at = "" if promise is None else from_json(Promise, promise).made_at
    return EndedRun(run, day, interval(day).start, tuple(sorted(tries)), promised_at)


def branches(runs: Runs) -> set[str]:
    return {name for name in runs.references() if name.startswith("run_")}


def is_promised(runs: Runs, run: str) -> bool:
    return read_text(runs.session, runs.store.promise_path(RunSpec(DAG, run, 1))) is not None


def useless(runs: Runs, name: str = "events") -> set[str]:
    """Paths of files of a table that nothing refers to."""
    table = load_existing_table(runs.session, runs.store, name)
    referred = referred_files(runs.session, table, snapshot_ids(table))
    return files_below(runs.session, str(table.location())).keys() - referred.keys()


@pytest.mark.parametrize("reader", ["auto", "jdbc"])
def test_the_next_try_removes_what_a_killed_one_had_written(runs: Runs, reader: str) -> None:
    runs.events(DAYS[:1])
    table = runs.table()
    run = f"one {reader}"
    killed_while_writing(runs, table, DAYS[0], run, reader)
    (dead,) = runs.data_files()

    captured = capture(runs, table, DAYS[0], run, attempt=2, reader=reader)
    assert dead not in runs.data_files()
    validate(runs, table, DAYS[0], run, captured)
    assert runs.ids() == list(range(10))
    assert runs.data_files() == runs.live_files() and branches(runs) == set()
    assert not is_promised(runs, run)


def test_another_run_removes_what_an_ended_one_had_written_and_nothing_of_one_that_writes(runs: Runs) -> None:
    runs.events(DAYS)
    table = runs.table()
    killed_while_writing(runs, table, DAYS[0], "dead run1")
    (dead,) = runs.data_files()

    def meanwhile() -> None:
        captured = capture(runs, table, DAYS[1], "next1", ended=(ended(runs, "dead run1", DAYS[0]),))
        assert dead not in runs.data_files() and len(runs.data_files()) == 2
        validate(runs, table, DAYS[1], "next1", captured, ended=(ended(runs, "dead run1", DAYS[0]),))

    with before_the_branch(meanwhile):
        living = capture(runs, table, DAYS[2], "living1")
    validate(runs, table, DAYS[2], "living1", living)
    assert runs.ids() == list(range(10, 30))
    assert runs.data_files() == runs.live_files() and branches(runs) == set()
    assert not any(is_promised(runs, run) for run in ("dead run1", "next1", "living1"))


def test_a_driver_that_lives_on_after_its_run_was_cleaned_up_fails_and_leaves_nothing(runs: Runs) -> None:
    runs.events(DAYS)
    table = runs.table()
    runs.publish(table, DAYS[0])

    def cleaned_up() -> None:
        capture(runs, table, DAYS[2], "next2", ended=(ended(runs, "slow2", DAYS[1]),))

    with before_the_branch(cleaned_up), pytest.raises(BranchGone, match="run snapshot again"):
        capture(runs, table, DAYS[1], "slow2")
    assert len(runs.data_files()) == 2 and runs.data_files() == runs.live_files()


def test_a_slow_publisher_is_not_made_to_publish_files_that_are_gone(runs: Runs) -> None:
    """Its run was taken for ended between its look at the branch and its commit."""
    runs.events(DAYS)
    table = runs.table()
    runs.publish(table, DAYS[0])
    captured = capture(runs, table, DAYS[1], "slow3")

    def cleaned_up() -> None:
        # Else the capture, which is complete, would stay.
        delete_file(runs.session, runs.store.run_path(RunSpec(DAG, "slow3", 1), "snapshot"))
        capture(runs, table, DAYS[2], "next3", ended=(ended(runs, "slow3", DAYS[1]),))

    with before(publish, "retire", cleaned_up), pytest.raises(BranchGone):
        validate(runs, table, DAYS[1], "slow3", captured)
    assert list(runs.records()) == DAYS[:1] and runs.ids() == list(range(10))
    assert runs.data_files() == runs.live_files()


def test_a_run_that_was_cleared_after_it_was_taken_for_ended_goes_on(runs: Runs) -> None:
    runs.events(DAYS)
    table = runs.table()
    killed_while_writing(runs, table, DAYS[0], "cleared9")
    dead = (ended(runs, "cleared9", DAYS[0]),)
    other = capture(runs, table, DAYS[1], "other9", ended=dead)
    # Meanwhile somebody clears it: `check` promises anew, and `snapshot` captures, whose answer is not written yet.
    delete_file(runs.session, runs.store.promise_path(RunSpec(DAG, "cleared9", 1)))
    again = runs.snapshot([table], DAYS[0], run="cleared9", attempt=2)
    validate(runs, table, DAYS[1], "other9", other, ended=dead)
    assert branches(runs) == {again.captures[0].branch} and is_promised(runs, "cleared9")
    assert runs.validate([table], DAYS[0], again, run="cleared9", attempt=2).published[0].record.rows == 10
    assert runs.ids() == list(range(20)) and not is_promised(runs, "cleared9")


def test_metadata_of_a_commit_that_was_killed(runs: Runs, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(leftovers, "SETTLED_MILLIS", -1)
    runs.events(DAYS[:1])
    table = runs.table()
    captured = capture(runs, table, DAYS[0], "one4")
    with before(publish, "retire", die), pytest.raises(Killed):
        validate(runs, table, DAYS[0], "one4", captured)
    assert {path.rpartition(".")[2] for path in useless(runs)} == {"avro"}
    job = runs.validate_job([table], DAYS[0], captured, run="one4", attempt=2)
    assert validate_snapshots(runs.session, job).published[0].record.rows == 10
    assert useless(runs) == set()


def test_a_capture_that_did_not_validate_stays_until_its_date_is_published(runs: Runs) -> None:
    runs.events(DAYS[:2])
    table = runs.table()
    captured = capture(runs, table, DAYS[0], "bad5")
    runs.session.sql(f"DELETE FROM {runs.branch(captured)} WHERE id = 1")
    with pytest.raises(RowCountMismatch):
        validate(runs, table, DAYS[0], "bad5", captured)
    bad = (ended(runs, "bad5", DAYS[0]),)
    other = capture(runs, table, DAYS[1], "other5", ended=bad)
    validate(runs, table, DAYS[1], "other5", other, ended=bad)
    assert branches(runs) == {captured.captures[0].branch} and is_promised(runs, "bad5")

    good = capture(runs, table, DAYS[0], "good5", ended=bad)
    validate(runs, table, DAYS[0], "good5", good, ended=bad)
    assert branches(runs) == set() and not is_promised(runs, "bad5")
    assert runs.ids() == list(range(20)) and runs.data_files() == runs.live_files()


def test_a_capture_whose_date_retention_has_passed_goes(tmpfs_runs: Runs) -> None:
    runs = tmpfs_runs
    runs.events(DAYS)
    table = runs.table(retention=RetentionSpec(keep=1))
    capture(runs, table, DAYS[0], "old")
    runs.publish(table, DAYS[1], grace=0)
    old = (ended(runs, "old", DAYS[0]),)
    captured = capture(runs, table, DAYS[2], "new", ended=old)
    assert len(branches(runs)) == 2 and is_promised(runs, "old")
    validate(runs, table, DAYS[2], "new", captured, ended=old)
    assert branches(runs) == set() and not is_promised(runs, "old")
    assert runs.ids() == list(range(20, 30)) and runs.data_files() == runs.live_files()


def test_what_is_removed_before_the_first_table_is_written_counts_as_room(
    session: SparkSession, stores: dict[str, StoreSpec], alluxio: Alluxio, database: PostgresDatabase
) -> None:
    runs = Runs(session, replace(stores["alluxio"], namespace="reserved"), database)
    runs.events(DAYS)
    database.run("CREATE TABLE others AS SELECT * FROM events")
    events, others = runs.table(mode="current"), runs.table("others", mode="current")
    first, *_ = (runs.publish(events, day, run=f"room {day}").record for day in DAYS)
    killed_while_writing(runs, others, DAYS[2], "dead8")
    (dead,) = (path for path in runs.files("others") if path.endswith(".parquet"))
    job = replace(
        runs.snapshot_job([events, others], DAYS[2], run="mine8"), ended=(ended(runs, "dead8", DAYS[2], "others"),)
    )

    reserve(runs, alluxio, promise_of(job))
    room = reserve(runs, alluxio, replace(promise_of(job), bytes=1))
    assert room.removed_first == pytest.approx(len(runs.files("others")[dead]), rel=0.01) and room.left == 0
    too_big = replace(promise_of(job), run_id="big8", bytes=room.capacity + MIB)
    with pytest.raises(PermanentError) as refused:
        reserve(runs, alluxio, too_big)
    found = REFUSAL.fullmatch(str(refused.value))
    assert found is not None, str(refused.value)
    needed, free, capacity, later, missing = map(float, found.group(1, 2, 3, 4, 5))
    assert needed == pytest.approx(capacity + 1, abs=0.1) and free <= later < capacity
    assert missing == pytest.approx(needed - later, abs=0.3)
    assert found[6] == f"events {DAYS[0]} to {DAYS[1]} (2 snapshots)", "of three the newest stays"
    table = load_existing_table(session, runs.store, "events")
    table.manageSnapshots().createTag("keep_model_2013-06-01", first.iceberg_snapshot_id).commit()
    with pytest.raises(PermanentError, match=f"; events {DAYS[1]} with"):
        reserve(runs, alluxio, too_big)

    def is_gone() -> None:
        assert dead not in runs.files("others")

    with before_the_branch(is_gone):
        assert [one.table for one in snapshot_tables(session, job).captures] == ["events", "others"]


REFUSAL = re.compile(
    r"group does not fit into the store: about ([\d.]+) MiB are needed \(most by events\), "
    r"([\d.]+) of ([\d.]+) MiB are free, ([\d.]+) MiB once this run has removed what nobody needs any more, "
    r"of which [\d.]+ MiB are promised to other runs \(snapshot_tests mine8\), so ([\d.]+) MiB are missing; "
    r"(.*) with [\d.]+ MiB are all that could be expired, and not enough: shorten the retention, or `expire` them; "
    r"or give Alluxio's workers more memory\."
)


def reserve(runs: Runs, alluxio: Alluxio, own: Promise) -> Room:
    """As the `check` of a run does it; of all other runs `mine8` alone has not ended."""
    store = Store(
        uri=runs.store.uri,
        namespace=runs.store.namespace,
        memory_only=runs.store.memory_only,
        web=alluxio.web,
        s3=alluxio.s3,
    )
    return Reserving(
        store,
        store_files(store),
        Promises(store_files(store), runs.store),
        is_live=lambda promise: promise.run_id == "mine8",
        ask_health=lambda: ask_alluxio(store.uri, alluxio.web, memory_only=store.memory_only),
    ).reserve("group", own, "events")


def test_the_command_lists_what_is_left_and_removes_what_it_names(runs: Runs) -> None:
    runs.events(DAYS)
    table = runs.table()
    capture(runs, table, DAYS[0], "late6")  # whose date is then published from a later state
    runs.publish(table, DAYS[0], grace=0)
    killed_while_writing(runs, table, DAYS[1], "dead run6")
    (dead,) = runs.data_files() - runs.live_files()
    living = capture(runs, table, DAYS[2], "living6")

    broken = f"{runs.store.uri}/{runs.store.namespace}/broken"
    write_text(runs.session, f"{broken}/metadata/v1.metadata.json", "{")
    write_text(runs.session, f"{broken}/metadata/version-hint.text", "1")

    listed = clean_store(runs.session, CleanJob(runs.store, (), ""))
    left = listed.left
    branches_of = {run: RunSpec(DAG, run, 1).branch for run in ("dead run6", "late6", "living6")}
    assert {(one.table, one.name, one.kind, one.branch, one.files) for one in left} == {
        ("events", branches_of["dead run6"], "try", True, 1),
        ("events", branches_of["late6"], "try", True, 1),
        ("events", branches_of["living6"], "capture", True, 1),
    }
    assert [one.table for one in listed.unreadable] == ["broken"] and "damaged" in listed.unreadable[0].reason
    delete_folder(runs.session, broken)
    assert all(one.bytes > 1_000 and 0 <= one.age_seconds < 120 for one in left)

    gone = (branches_of["dead run6"], branches_of["late6"])
    removed = clean_store(runs.session, CleanJob(runs.store, (Removal("events", gone),), ""))
    assert removed.files >= 1 and removed.bytes > 1_000
    assert dead not in runs.data_files() and runs.data_files() == runs.live_files()
    validate(runs, table, DAYS[2], "living6", living)
    assert runs.ids() == [*range(10), *range(20, 30)]
    assert clean_store(runs.session, CleanJob(runs.store, (), "")).left == ()
