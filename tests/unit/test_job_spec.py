"""The contract survives its own JSON, and refuses what it does not know."""

from __future__ import annotations

import json

import pytest
from warehouse.job_spec import (
    ChecksSpec,
    ColumnSpec,
    HistorySpec,
    IntervalSpec,
    JobAnswer,
    JobFailure,
    RetentionSpec,
    RunSpec,
    SnapshotJob,
    SourceSpec,
    SpecError,
    SplitSpec,
    StoreSpec,
    TableSpec,
    TrainJob,
    from_json,
    to_json,
)

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


def test_text_that_is_not_json_is_refused() -> None:
    with pytest.raises(SpecError, match="SnapshotJob is not JSON"):
        from_json(SnapshotJob, "{")


def test_branches_of_a_run_share_their_prefix_and_differ_by_try_and_run() -> None:
    again = RunSpec(RUN.dag_id, RUN.run_id, 3)
    other = RunSpec(RUN.dag_id, "backfill__2013-06-01T00:00:00-00:00", 2)  # the same when only letters are kept
    assert RUN.branch.startswith(RUN.branch_prefix) and again.branch.startswith(RUN.branch_prefix)
    assert len({RUN.branch, again.branch, other.branch}) == 3
    assert RUN.branch.isidentifier()
