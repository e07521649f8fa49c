"""What a real Alluxio has lost for good is let go, and blocks neither runs, nor forgetting, nor the freeing of memory;
what may come back with its worker is left as it is."""

from __future__ import annotations

from pathlib import Path

import pytest
from warehouse.clean_spec import CleanJob, Removal
from warehouse.expiry import expire_before, free_unreferenced
from warehouse.iceberg_api import load_existing_table
from warehouse.iceberg_tables import make_run_branch
from warehouse.lost_inputs import InputLost
from warehouse.lost_states import let_go_lost
from warehouse.reading import ForgottenRows, read_again, read_as_of, read_input
from warehouse.referred_files import ListsLost, readable_snapshots
from warehouse.run_spec import RunSpec
from warehouse.store_cleaning import clean_store
from warehouse.store_files import files_below
from warehouse.train_spec import InputRead, InputSpec

from local_stack.alluxio import Alluxio
from tests.spark.losses import blocks_of, blocks_of_files, held, list_of, lose, say_lost
from tests.spark.runs import Runs
from tests.spark.test_forgetting import everywhere, forget_ids

DAYS = ["2013-06-01", "2013-06-02", "2013-06-03", "2013-06-04"]


def states(runs: Runs, *days: str) -> None:
    """Of a table that has ten rows on the first day and one less on each that follows."""
    for number, day in enumerate(days):
        runs.publish(runs.table(mode="current"), day)
        runs.database.run(f"DELETE FROM events WHERE id = {number}")


def lose_list(servers: Alluxio, runs: Runs, *references: str) -> None:
    lose(servers, blocks_of_files(runs, [list_of(runs, one) for one in references]))


def test_a_run_of_whole_states_needs_nothing_of_the_newest_one(losing: Alluxio, losing_runs: Runs) -> None:
    """Not even what lists its files; and it frees nothing while nobody knows what a lost state needs."""
    runs = losing_runs
    runs.events(DAYS[:1])
    states(runs, *DAYS[:2])
    lose_list(losing, runs, "main")
    found = held(losing, runs)
    assert (set(found.whole), set(found.broken), found.unreadable) == ({DAYS[0]}, {DAYS[1]}, False)
    assert runs.publish(runs.table(mode="current"), DAYS[2], grace=0).record.rows == 8
    assert read_as_of(runs.session, runs.store, "events", DAYS[2]).count() == 8
    assert read_as_of(runs.session, runs.store, "events", DAYS[0]).count() == 10
    # Published again without a grace, its files stay as long as the lost state may come back.
    runs.publish(runs.table(mode="current"), DAYS[2], run="again", grace=0)
    table = load_existing_table(runs.session, runs.store, "events")
    files = files_below(runs.session, str(table.location()))
    assert not free_unreferenced(runs.session, runs.store, "events")
    assert files_below(runs.session, str(table.location())) == files
    with pytest.raises(ListsLost, match="lost what lists the files of 1 of its states"):
        readable_snapshots(runs.session, runs.store, "events", table)
    # Captured again, it is no branch's any more, and all that was left of it is free.
    runs.publish(runs.table(mode="current"), DAYS[1], run="repair", grace=0)
    assert held(losing, runs).parts == () and runs.data_files() == runs.live_files("events", "main", *DAYS[:3])


def test_a_lost_state_is_let_go_and_what_was_kept_of_it_is_told(
    losing: Alluxio, losing_runs: Runs, tmp_path: Path
) -> None:
    runs = losing_runs
    runs.events(DAYS[:1])
    states(runs, *DAYS[:2])
    _, read = read_input(runs.session, runs.store, InputSpec("events", "latest"), DAYS[1], keep_as="keep_churn_2")
    lose_list(losing, runs, "main")

    # While it may come back: the other date is done, and what is left to do is said.
    say_lost(losing, runs, gone=False)
    result = forget_ids(runs, tmp_path, [3])
    assert (result.unread, [date.as_of for date in result.dates]) == ((DAYS[1], "keep_churn_2"), DAYS[:1])
    assert 3 not in runs.ids(tag=DAYS[0])
    listed = clean_store(runs.session, CleanJob(runs.store, (), ""))
    (unreadable,) = [one for one in listed.unreadable if one.table == "events"]
    assert "lost what lists the files of 1 of its states" in unreadable.reason

    (part,) = say_lost(losing, runs, gone=True)
    assert set(part.names) == {"main", DAYS[1], "keep_churn_2"}
    (left,) = clean_store(runs.session, CleanJob(runs.store, (), "")).left
    assert (left.kind, left.name) == ("lost", f"{DAYS[1]}, keep_churn_2, main")
    result = forget_ids(runs, tmp_path, [4])
    assert (result.unread, [date.as_of for date in result.dates]) == ((), DAYS[:1])
    assert runs.references() == {"main", DAYS[0]} and everywhere(runs) == set(range(10)) - {3, 4}
    assert set(runs.records()) == {DAYS[0]} and runs.data_files() == runs.live_files()
    assert held(losing, runs).broken == {} and held(losing, runs).parts == ()
    with pytest.raises(InputLost, match=r"has lost what Iceberg snapshot .* train again on what is published now"):
        read_again(runs.session, runs.store, read, trained_at="2013-07-01T00:00:00Z")
    assert runs.publish(runs.table(mode="current"), DAYS[2]).record.rows == 8


@pytest.mark.long
def test_the_next_run_lets_go_the_only_state_there_was(losing: Alluxio, losing_runs: Runs) -> None:
    runs = losing_runs
    runs.events(DAYS[:1])
    states(runs, DAYS[0])
    lost = runs.data_files()
    lose_list(losing, runs, "main")
    say_lost(losing, runs, gone=True)
    runs.snapshot([runs.table(mode="current")], DAYS[1], run="next")
    assert runs.records() == {} and not runs.data_files() & lost
    assert {name.partition("_")[0] for name in runs.references()} == {"run"}
    assert runs.publish(runs.table(mode="current"), DAYS[1]).record.rows == 9
    assert runs.ids() == list(range(1, 10))


def test_a_lost_interval_is_let_go_and_of_a_kept_input_the_rest_is_read(
    losing: Alluxio, losing_runs: Runs, tmp_path: Path
) -> None:
    runs = losing_runs
    runs.events(DAYS[:3])
    for day in DAYS[:3]:
        runs.publish(runs.table(), day, grace=0)
    spec = InputSpec("events", "window", 2)
    reads = [read_input(runs.session, runs.store, spec, day, keep_as=f"keep_{day}")[1] for day in (DAYS[1], DAYS[2])]
    newest = InputRead("events", "window", (DAYS[2],), reads[1].iceberg_snapshot_id, 10, ())
    lose(losing, blocks_of(runs, DAYS[1]))
    say_lost(losing, runs, gone=False)
    assert set(forget_ids(runs, tmp_path, [3]).unread) == {
        DAYS[1],
        f"keep_{DAYS[1]} {DAYS[1]}",
        f"keep_{DAYS[2]} {DAYS[1]}",
    }
    with pytest.warns(ForgottenRows):
        assert read_again(runs.session, runs.store, newest, trained_at="").count() == 10

    say_lost(losing, runs, gone=True)
    # Published meanwhile: main stands at another Iceberg snapshot than the one that the monitor has seen.
    runs.database.run("DELETE FROM events WHERE id = 3")
    runs.publish(runs.table(), DAYS[0], run="again", grace=0)
    assert forget_ids(runs, tmp_path, [4]).unread == ()
    assert set(runs.records()) == {DAYS[0], DAYS[2]} and everywhere(runs) == {*range(10), *range(20, 30)} - {3, 4}
    assert runs.data_files() == runs.live_files("events", "main", f"keep_{DAYS[1]}", f"keep_{DAYS[2]}")
    for read in reads:
        with pytest.raises(InputLost, match=rf"had as of {DAYS[1]}, and it does not come back"):
            read_again(runs.session, runs.store, read, trained_at="")
    with pytest.warns(ForgottenRows):
        assert read_again(runs.session, runs.store, newest, trained_at="").count() == 10
    assert runs.publish(runs.table(), DAYS[1], run="repair").record.rows == 10
    assert runs.ids() == sorted({*range(30)} - {3, 4})


@pytest.mark.long
def test_intervals_whose_main_is_lost_are_made_anew_beside_a_kept_input(losing: Alluxio, losing_runs: Runs) -> None:
    runs = losing_runs
    runs.events(DAYS[:2])
    runs.publish(runs.table(), DAYS[0], grace=0)
    _, read = read_input(runs.session, runs.store, InputSpec("events", "all"), DAYS[0], keep_as="keep_1")
    runs.publish(runs.table(), DAYS[1], grace=0)
    lose_list(losing, runs, "main")
    assert held(losing, runs).unwritable and not held(losing, runs).unreadable
    say_lost(losing, runs, gone=True)
    for day in DAYS[:2]:
        runs.publish(runs.table(), day, run=f"repair {day}", grace=0)
    assert read_as_of(runs.session, runs.store, "events", DAYS[1]).count() == 20
    assert read_again(runs.session, runs.store, read, trained_at="").count() == 10
    assert runs.data_files() == runs.live_files("events", "main", "keep_1")


@pytest.mark.long
def test_what_was_lost_is_ended_by_hand_as_any_other(losing: Alluxio, losing_runs: Runs) -> None:
    runs = losing_runs
    runs.events(DAYS[:1])
    states(runs, *DAYS[:3])
    lose_list(losing, runs, DAYS[0])
    start = f"{DAYS[2]}T00:00:00Z"
    ended = expire_before(runs.session, runs.store, "events", start, grace_seconds=0, by="me")
    assert ended.ended == tuple(DAYS[:2])
    # Nothing lists the files of the one that is lost: they are in a folder of its own.
    table = load_existing_table(runs.session, runs.store, "events")
    assert readable_snapshots(runs.session, runs.store, "events", table) == {table.currentSnapshot().snapshotId()}
    assert runs.data_files() == runs.live_files("events", "main")


@pytest.mark.parametrize("mode", [pytest.param("interval", marks=pytest.mark.long), "current"])
def test_a_capture_that_lost_what_lists_its_files_stops_no_freeing_for_ever(
    losing: Alluxio, losing_runs: Runs, tmp_path: Path, mode: str
) -> None:
    """Its worker was gone before it was validated, and its run has failed for good."""
    runs = losing_runs
    runs.events(DAYS[:2])
    table = runs.table(mode=mode)
    runs.publish(table, DAYS[0], grace=0)
    branch = runs.snapshot([table], DAYS[1], run="dead").captures[0].branch
    lose_list(losing, runs, branch)
    runs.publish(table, DAYS[0], run="again", grace=0)
    assert forget_ids(runs, tmp_path, [3]).unread == (branch,)
    (part,) = (one for one in say_lost(losing, runs, gone=True) if branch in one.names)
    assert part.lists and part.as_of == ""
    assert forget_ids(runs, tmp_path, [4]).unread == ()
    assert not any(name.startswith("run_") for name in runs.references()) and everywhere(runs).isdisjoint({3, 4})
    assert runs.data_files() >= runs.live_files("events", "main")
    # What the capture had written is in the folder of its try, as that of any killed one.
    removal = Removal("events", (branch,))
    clean_store(runs.session, CleanJob(runs.store, (removal,), ""))
    assert runs.data_files() == runs.live_files("events", *runs.references())


@pytest.mark.long
def test_a_run_that_is_under_way_keeps_its_branch_when_the_newest_state_is_let_go(
    losing: Alluxio, losing_runs: Runs
) -> None:
    """It was made there, and needs nothing of it."""
    runs = losing_runs
    runs.events(DAYS[:1])
    states(runs, *DAYS[:2])
    table, branch = runs.table(mode="current"), RunSpec("dag", "under way", 1)
    make_run_branch(runs.session, runs.store, branch, "events")
    lose_list(losing, runs, "main")
    say_lost(losing, runs, gone=True)
    assert let_go_lost(runs.session, runs.store, "events") == (DAYS[1],)
    assert runs.references() == {"main", DAYS[0], branch.branch}
    assert let_go_lost(runs.session, runs.store, "events") == ()
    assert runs.publish(table, DAYS[2]).record.rows == 8


@pytest.mark.long
def test_what_was_kept_stays_readable_when_it_is_let_go_twice(losing: Alluxio, losing_runs: Runs) -> None:
    """By two jobs after one look of the monitor, beside the branch of a run."""
    runs = losing_runs
    runs.events(DAYS[:2])
    for day in DAYS[:2]:
        runs.publish(runs.table(), day, grace=0)
    _, read = read_input(runs.session, runs.store, InputSpec("events", "window", 1), DAYS[1], keep_as="keep_1")
    make_run_branch(runs.session, runs.store, RunSpec("dag", "under way", 1), "events")
    lose(losing, blocks_of(runs, DAYS[0]))
    say_lost(losing, runs, gone=True)
    assert let_go_lost(runs.session, runs.store, "events") == (DAYS[0], "keep_1")
    assert let_go_lost(runs.session, runs.store, "events") == ()
    assert {row.id for row in read_again(runs.session, runs.store, read, trained_at="").collect()} == set(range(10, 20))


def test_a_dead_try_whose_lists_are_lost_is_removed_by_name(losing: Alluxio, losing_runs: Runs) -> None:
    """Before the monitor says anything: nobody needs a dead try, whatever it had."""
    runs = losing_runs
    runs.events(DAYS[:2])
    table = runs.table()
    runs.publish(table, DAYS[0], grace=0)
    branch = runs.snapshot([table], DAYS[1], run="dead").captures[0].branch
    lose_list(losing, runs, branch)
    clean_store(runs.session, CleanJob(runs.store, (Removal("events", (branch,)),), ""))
    assert runs.references() == {"main"} and runs.data_files() == runs.live_files("events", "main")
