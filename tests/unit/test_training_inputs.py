"""What a training is about to read: whether it waits, how long, and whether its job is a small one."""

from __future__ import annotations

from dataclasses import dataclass, field
from datetime import UTC, date, datetime, timedelta
from pathlib import Path
from types import SimpleNamespace
from typing import Any

import pytest
from airflow.providers.apache.spark.hooks import spark_submit
from airflow.sdk import BaseHook, Connection
from airflow.sdk.exceptions import AirflowFailException, AirflowRescheduleException
from logical_warehouse.intervals import Interval, Schedule
from logical_warehouse.manifest import Spark, Store, Training, TrainingInput
from logical_warehouse.operators.spark import TrainOperator
from logical_warehouse.training_inputs import SMALL_BYTES, inputs_of, is_small, next_look
from warehouse.coverage import MissingIntervals
from warehouse.job_answer import JobAnswer
from warehouse.lost_marks import LostMark, LostMarks, marks_path
from warehouse.snapshot_record import SnapshotRecord
from warehouse.spec_json import from_json, spec_text, to_json
from warehouse.train_spec import InputSpec, TrainJob, TrainResult

from tests.unit.records import snapshot_record, write_metadata

DAILY = Schedule("@daily", "UTC")
WINDOW = InputSpec("flights", "window", 3)
FIVE_MINUTES = timedelta(minutes=5)


def record(day: int, table: str = "flights", **others: Any) -> SnapshotRecord:
    return snapshot_record(
        table, f"2013-06-0{day}", f"2013-06-0{day}T00:00:00Z", f"2013-06-0{day + 1}T00:00:00Z", **others
    )


def publish(root: Path, *days: int, table: str = "flights", history: str = "interval", size: int = 1) -> Store:
    """A store in which ``table`` has these days of June."""
    start = {"warehouse.history": history, "warehouse.start": "2013-06-01T00:00:00Z"}
    write_metadata(root, table, *(record(day, table, bytes=size, history=history) for day in days), version=1, **start)
    return Store(uri=f"file://{root}")


def interval(day: int) -> Interval:
    return DAILY.interval_of_label(date(2013, 6, day).isoformat())


def test_the_records_of_every_input(tmp_path: Path) -> None:
    store = publish(tmp_path, 1, 2, 3, 4, 5)
    publish(tmp_path, 2, 5, table="planes", history="current")
    asked = {
        "window": (WINDOW, ["2013-06-02", "2013-06-03", "2013-06-04"]),
        "all": (InputSpec("flights", "all"), ["2013-06-01", "2013-06-02", "2013-06-03", "2013-06-04"]),
        "latest": (InputSpec("planes", "latest"), ["2013-06-05"]),
        "at_or_before": (InputSpec("planes", "at_or_before"), ["2013-06-02"]),
    }
    for spec, dates in asked.values():
        records = inputs_of(store, [spec], interval(4))
        assert records is not None and [one.as_of for one in records] == dates
    together = inputs_of(store, [spec for spec, _ in asked.values()], interval(4))
    assert together is not None and len(together) == 9


def test_what_is_missing_is_waited_for_unless_it_is_known_to_be_lost(tmp_path: Path) -> None:
    store = publish(tmp_path, 1, 4)
    with pytest.raises(MissingIntervals, match="flights as of 2013-06-04 lacks 2013-06-02, 2013-06-03"):
        inputs_of(store, [InputSpec("planes", "latest"), WINDOW], interval(4))
    marks = Path(marks_path(str(tmp_path), store.namespace, "flights"))
    marks.parent.mkdir(parents=True)
    marks.write_text(to_json(LostMarks("flights", (LostMark("2013-06-03", "", "", "it is gone"),))))
    assert inputs_of(store, [WINDOW], interval(4)) is None, "the job says what comes of it"


@pytest.mark.parametrize("metadata", ["no table", "no JSON", "not to be opened"])
def test_what_cannot_be_told_from_here_is_not_waited_for(tmp_path: Path, metadata: str) -> None:
    store = publish(tmp_path, 1, table="weather")
    folder = tmp_path / "snapshots" / "flights" / "metadata"
    if metadata != "no table":
        publish(tmp_path, 1)
        (folder / "v1.metadata.json").unlink()
    if metadata == "no JSON":
        (folder / "v1.metadata.json").write_text("{")
    if metadata == "not to be opened":
        (folder / "v1.metadata.json").mkdir()
    for inputs in ([WINDOW], [InputSpec("weather", "window", 1), WINDOW]):
        assert inputs_of(store, inputs, interval(1)) is None
    assert inputs_of(Store(uri="hdfs://name/warehouse", memory_only=False), [WINDOW], interval(1)) is None


def test_small_is_what_is_known_to_be(tmp_path: Path) -> None:
    third = SMALL_BYTES // 3
    assert is_small(inputs_of(publish(tmp_path, 1, 2, 3, size=third), [WINDOW], interval(3)))
    assert not is_small(inputs_of(publish(tmp_path, 1, 2, 3, size=third + 1), [WINDOW], interval(3)))
    assert is_small(inputs_of(publish(tmp_path, 1, 2, 3, size=third + 1), [WINDOW], interval(2)))
    assert not is_small(None)


def test_a_short_gap_is_seen_soon_and_a_long_one_costs_little() -> None:
    waits = [next_look(timedelta(minutes=waited)) for waited in (0, 2, 20, 600)]
    assert waits == [timedelta(minutes=minutes) for minutes in (1, 1, 5, 10)]


@dataclass
class Submits:
    """Stands for spark-submit, and trains."""

    commands: list[list[str]] = field(default_factory=list)
    stdout: tuple[str, ...] = ()

    def __call__(self, command: list[str], **_: object) -> Submits:
        self.commands.append(command)
        job = from_json(TrainJob, spec_text(command[-1]))
        path = Path(job.result_path.removeprefix("file://"))
        path.parent.mkdir(parents=True, exist_ok=True)
        path.write_text(to_json(JobAnswer(train=TrainResult(job.training, job.as_of, {}, (), job.model_path, 1.0))))
        return self

    def wait(self) -> int:
        return 0


@pytest.fixture
def submits(monkeypatch: pytest.MonkeyPatch) -> Submits:
    recorder = Submits()
    monkeypatch.setattr(spark_submit, "subprocess", SimpleNamespace(Popen=recorder, PIPE=-1, STDOUT=-2))
    spark = Connection(conn_id="spark_default", conn_type="spark", host="local[2]")
    monkeypatch.setattr(BaseHook, "get_connection", classmethod(lambda cls, conn_id: spark))
    return recorder


def train(store: Store, day: int, waited: timedelta | None = None, **training: Any) -> str:
    """Run the task; ``waited``: since it was rescheduled for the first time."""
    first = None if waited is None else datetime.now(UTC) - waited
    plan = SimpleNamespace(
        training=Training("late", "train_model.py", {"flights": TrainingInput("window", 3)}, **training),
        store=store,
        spark=Spark(),
        inputs=(WINDOW,),
        schedule=DAILY,
    )
    operator = TrainOperator(task_id="train", plan=plan)  # type: ignore[arg-type]  # what it needs of one
    ti = SimpleNamespace(
        dag_id="training_late", run_id="r", try_number=1, get_first_reschedule_date=lambda context: first
    )
    dag_run = SimpleNamespace(partition_key=f"2013-06-0{day}")
    return operator.execute({"ti": ti, "dag_run": dag_run})


@pytest.mark.parametrize(("size", "small"), [(1, True), (SMALL_BYTES, False)])
def test_only_a_small_training_is_compiled_for_a_short_life(
    tmp_path: Path, submits: Submits, size: int, small: bool
) -> None:
    train(publish(tmp_path, 1, 2, 3, size=size), 3)
    assert any("TieredStopAtLevel=1" in part for part in submits.commands[0]) == small


@pytest.mark.parametrize("waited", [None, timedelta(hours=5)])
def test_a_missing_interval_is_waited_for_without_spark(
    tmp_path: Path, submits: Submits, waited: timedelta | None
) -> None:
    before = datetime.now(UTC)
    with pytest.raises(AirflowRescheduleException) as caught:
        train(publish(tmp_path, 1, 3), 3, waited)
    assert caught.value.reschedule_date >= before + next_look(waited or timedelta(0))
    assert submits.commands == []
    train(publish(tmp_path, 1, 2, 3), 3, waited)
    assert len(submits.commands) == 1, "it came"


def test_after_the_wait_the_training_fails_for_good(tmp_path: Path, submits: Submits) -> None:
    store = publish(tmp_path, 1, 3)
    with pytest.raises(AirflowFailException, match=r"waited 5m in vain: table flights .* lacks 2013-06-02") as caught:
        train(store, 3, FIVE_MINUTES, wait_for_inputs=FIVE_MINUTES)
    assert "trainings run late 2013-06-03" in str(caught.value) and submits.commands == []


def test_without_a_wait_the_job_says_what_is_missing(tmp_path: Path, submits: Submits) -> None:
    train(publish(tmp_path, 1, 3), 3, wait_for_inputs=timedelta(0))
    assert len(submits.commands) == 1
    assert not any("TieredStopAtLevel=1" in part for part in submits.commands[0])
