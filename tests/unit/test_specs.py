"""The contract survives its own JSON, and refuses what it does not know."""

from __future__ import annotations

import json
from dataclasses import replace
from pathlib import Path

import pytest
from warehouse.job_answer import JobAnswer, JobFailure
from warehouse.run_spec import IntervalSpec, RunSpec
from warehouse.snapshot_spec import SnapshotJob, TableCapture
from warehouse.source_spec import SourceSpec
from warehouse.spec_json import SpecError, from_json, spec_text, to_json
from warehouse.store_spec import StoreSpec
from warehouse.table_spec import ChecksSpec, ColumnSpec, HistorySpec, RetentionSpec, SplitSpec, TableSpec
from warehouse.train_spec import TrainJob

RUN = RunSpec("snapshot_flights", "backfill__2013-06-01T00:00:00+00:00", 2)
STORE = StoreSpec("alluxio://localhost:19998/warehouse")
JOB = SnapshotJob(
    run=RUN,
    store=STORE,
    source=SourceSpec(
        "bank", "postgresql", "jdbc:postgresql://localhost/bank", "reader", "org.postgresql.Driver", "UTC"
    ),
    interval=IntervalSpec("2013-06-01", "2013-06-01T00:00:00Z", "2013-06-02T00:00:00Z"),
    tables=(
        TableSpec(
            name="flights",
            source_schema="public",
            source_table="flights",
            columns=(ColumnSpec("id", "integer", nullable=False), ColumnSpec("note", "text")),
            history=HistorySpec("interval", column="time_hour"),
            split=SplitSpec(parts=2),
            checks=ChecksSpec(rows={"positive": "id > 0"}, min_rows=1, max_change=0.5),
            retention=RetentionSpec(days=30),
            schedule="@daily",
            start="2013-06-01T00:00:00Z",
        ),
    ),
    result_path=STORE.run_path(RUN, "snapshot"),
)


def test_a_spec_survives_its_json() -> None:
    assert from_json(SnapshotJob, to_json(JOB)) == JOB


def test_the_same_spec_always_gives_the_same_text() -> None:
    assert to_json(from_json(SnapshotJob, to_json(JOB))) == to_json(JOB)


def test_numbers_keep_their_type() -> None:
    job = TrainJob(RUN, STORE, "t", "2013-06-01", (), {"n": 1, "x": 1.5, "on": True, "s": "1"}, "m", "r")
    arguments = from_json(TrainJob, to_json(job)).arguments
    assert [type(value) for value in arguments.values()] == [int, bool, str, float]  # sorted by key: n, on, s, x


def test_a_failure_survives_its_json() -> None:
    answer = JobAnswer(failure=JobFailure("permanent", "no such table"))
    assert from_json(JobAnswer, to_json(answer)) == answer


@pytest.mark.parametrize(
    ("change", "message"),
    [
        ({"version": 99}, "has version 99, this code reads version 1"),
        ({"surprise": 1}, "has the unknown field 'surprise'"),
        ({"capture_late": "yes"}, "SnapshotJob.capture_late is str, not bool"),
        ({"tables": {}}, "SnapshotJob.tables is dict"),
        ({"run": {"dag_id": "a", "run_id": "b"}}, "SnapshotJob.run lacks the field 'attempt'"),
    ],
)
def test_what_it_does_not_know_is_refused(change: dict[str, object], message: str) -> None:
    with pytest.raises(SpecError) as refused:
        from_json(SnapshotJob, json.dumps(json.loads(to_json(JOB)) | change))
    assert message in str(refused.value)


def test_a_spec_comes_as_text_or_in_a_file(tmp_path: Path) -> None:
    file = tmp_path / "job.json"
    file.write_text(to_json(JOB))
    assert from_json(SnapshotJob, spec_text(f"@{file}")) == from_json(SnapshotJob, spec_text(to_json(JOB))) == JOB
    with pytest.raises(SpecError, match=r"the spec cannot be read: .*nowhere\.json"):
        spec_text(f"@{tmp_path}/nowhere.json")


def test_text_that_is_not_json_is_refused() -> None:
    with pytest.raises(SpecError, match="SnapshotJob is not JSON"):
        from_json(SnapshotJob, "{")


def test_branches_of_a_run_share_their_prefix_and_differ_by_try_and_run() -> None:
    again = RunSpec(RUN.dag_id, RUN.run_id, 3)
    other = RunSpec(RUN.dag_id, "backfill__2013-06-01T00:00:00-00:00", 2)  # the same when only letters are kept
    assert RUN.branch.startswith(RUN.branch_prefix) and again.branch.startswith(RUN.branch_prefix)
    assert len({RUN.branch, again.branch, other.branch}) == 3
    assert RUN.branch.isidentifier()


def test_an_earlier_interval_is_written_to_a_branch_of_its_own() -> None:
    earlier = IntervalSpec("2013-05-31", "2013-05-31T00:00:00Z", "2013-06-01T00:00:00Z")
    again = JOB.of(earlier)
    assert again.interval == earlier
    assert again.run.branch == f"{RUN.branch}_of_2013-05-31"
    assert (again.run.key, again.tables) == (RUN.key, JOB.tables)


def test_a_run_branch_takes_the_place_of_those_of_earlier_tries() -> None:
    first, second = replace(RUN, attempt=1), RUN
    again = [replace(run, again="2013-05-31") for run in (first, second)]
    other = replace(RUN, run_id="another run")
    made = [run.branch for run in (first, second, *again, other)]
    # That of the run's own interval is made first, and clears what any try left.
    assert [branch for branch in made if second.replaces(branch)] == made[:4]
    assert [branch for branch in made if again[1].replaces(branch)] == [run.branch for run in again]


def test_a_capture_of_an_older_version_is_of_the_runs_own_interval() -> None:
    """What a snapshot task wrote before an upgrade is read by the validate task after it."""
    capture = TableCapture("flights", RUN.branch, 1, 5, 5, 100, "2013-06-02T00:00:00Z", "wal", "snapshot", 2, 0.5)
    text = {name: value for name, value in json.loads(to_json(capture)).items() if name != "again"}
    assert from_json(TableCapture, json.dumps(text)) == capture
    assert capture.again is None
