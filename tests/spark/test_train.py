"""The train job on the real flights of June 2013: from published snapshots to a model that can be loaded."""

from __future__ import annotations

import json
import math
from collections.abc import Callable, Iterator
from dataclasses import asdict, dataclass, replace
from pathlib import Path
from typing import Any, cast

import pytest
from pyspark.ml import PipelineModel
from pyspark.ml.classification import LogisticRegressionModel
from pyspark.sql import DataFrame, SparkSession
from pyspark.sql import functions as sf
from warehouse.coverage import MissingIntervals, NoSuchSnapshot
from warehouse.iceberg_api import load_existing_table, reference_names
from warehouse.late_departures import CannotTrain, train
from warehouse.model_folders import POINTER
from warehouse.run_spec import RunSpec
from warehouse.source_spec import PASSWORD_VARIABLE
from warehouse.store_spec import StoreSpec
from warehouse.train_spec import InputSpec, TrainJob, TrainResult
from warehouse.training import InputNotCaptured, current_folder, load_model, repeat_inputs, run_training

from local_stack import nycflights
from local_stack.alluxio import Alluxio
from local_stack.postgres import PostgresServer
from tests.spark.databases import PostgresDatabase
from tests.spark.runs import Runs

DAY, NEXT_DAY = "2013-06-01", "2013-06-02"
INPUTS = (InputSpec("flights", "window", 1), InputSpec("weather", "window", 1), InputSpec("planes", "latest"))


@pytest.fixture(scope="module")
def published(session: SparkSession, stores: dict[str, StoreSpec], server: PostgresServer) -> Iterator[Runs]:
    """Flights and weather of two days, and the planes."""
    nycflights.load(server)
    runs = Runs(session, replace(stores["tmpfs"], namespace="trainings"), PostgresDatabase(server, nycflights.DATABASE))
    dated = [runs.table(name, column="time_hour") for name in ("flights", "weather")]
    planes = runs.table("planes", mode="current", lateness_seconds=100 * 366 * 86_400)
    with pytest.MonkeyPatch.context() as patch:
        patch.setenv(PASSWORD_VARIABLE, server.password)
        for day in (DAY, NEXT_DAY):
            runs.validate(dated, day, runs.snapshot(dated, day))
        runs.publish(planes, DAY)
    yield runs


def job(runs: Runs, as_of: str = DAY, *, attempt: int = 1, **changes: Any) -> TrainJob:
    run = RunSpec("training_late_departures", f"asset {as_of}", attempt)
    model_path = f"{runs.store.uri}/_models/late_departures/{as_of}"
    asked = TrainJob(
        run, runs.store, "late_departures", as_of, INPUTS, {"late_minutes": 15}, model_path, f"{model_path}.json"
    )
    return replace(asked, **changes)


def learn(runs: Runs, asked: TrainJob) -> TrainResult:
    return run_training(runs.session, asked, train)


def frames(runs: Runs, days: int = 1) -> dict[str, DataFrame]:
    """Straight from the source's tables, read by Spark's own JDBC: the first ``days`` of June."""
    reader = runs.session.read.format("jdbc").options(
        url=runs.database.source().url, user=runs.database.user, password=runs.database.password
    )
    tables = {name: reader.option("dbtable", f"public.{name}").load() for name in ("flights", "weather", "planes")}
    span = f"time_hour >= '2013-06-01' AND time_hour < '2013-06-{1 + days:02}'"
    return tables | {name: tables[name].where(span) for name in ("flights", "weather")}


def test_learns_as_of_a_date_and_says_what_it_read(published: Runs) -> None:
    result = learn(published, job(published))

    [(departed, cancelled, late)] = published.database.run(
        "SELECT count(dep_delay), count(*) - count(dep_delay), count(*) FILTER (WHERE dep_delay > 15) FROM flights "
        "WHERE time_hour >= '2013-06-01 00:00+00' AND time_hour < '2013-06-02 00:00+00'"
    )
    metrics = result.metrics
    assert metrics["train_rows"] + metrics["test_rows"] == departed
    assert metrics["train_positives"] + metrics["test_positives"] == late
    assert metrics["cancelled_rows"] == cancelled
    assert 0.5 < metrics["auc"] < 1
    assert 0 < metrics["log_loss"] < math.inf

    flights, weather, planes = result.inputs
    assert (flights.as_of, flights.rows) == ((DAY,), departed + cancelled)
    assert weather.as_of == planes.as_of == (DAY,)
    head = load_existing_table(published.session, published.store, "flights").currentSnapshot().snapshotId()
    assert flights.iceberg_snapshot_id == head

    folder = Path(result.model_path.removeprefix("file://")).parent
    assert json.loads((folder / "metrics.json").read_text()) == metrics
    written = json.loads((folder / "inputs.json").read_text())
    assert (written["training"], written["as_of"]) == ("late_departures", DAY)
    assert written["inputs"] == json.loads(json.dumps([asdict(read) for read in result.inputs]))


def test_the_same_inputs_give_the_same_metrics_and_a_rerun_replaces_the_model(published: Runs) -> None:
    results = [learn(published, job(published, attempt=attempt)) for attempt in (1, 2, 3)]

    assert results[0].metrics == results[1].metrics == results[2].metrics
    root = Path(job(published).model_path.removeprefix("file://"))
    current = json.loads((root / "current.json").read_text())["folder"]
    assert results[2].model_path.endswith(f"{current}/model")
    folders = sorted(path.name for path in root.iterdir() if path.is_dir())
    assert [name.split("-")[1] for name in folders] == ["try2", "try3"], (
        "the one before stays for its readers, older ones go"
    )
    assert len(load_model(published.session, job(published).model_path).stages) == 5


def test_another_day_is_another_model(published: Runs) -> None:
    first, second = learn(published, job(published)), learn(published, job(published, NEXT_DAY))
    assert second.inputs[0].as_of == (NEXT_DAY,)
    assert first.metrics != second.metrics


def test_a_model_lives_on_alluxio_and_is_replaced_there(
    published: Runs, stores: dict[str, StoreSpec], alluxio: Alluxio
) -> None:
    model_path = f"{stores['alluxio'].uri}/_models/late_departures/{DAY}"
    for attempt in (1, 2):
        result = learn(published, job(published, attempt=attempt, model_path=model_path))
    stored = cast("LogisticRegressionModel", load_model(published.session, model_path).stages[-1])
    direct = cast("LogisticRegressionModel", PipelineModel.load(result.model_path).stages[-1])
    assert stored.coefficients == direct.coefficients
    folder = current_folder(published.session, model_path)
    assert folder is not None and "-try2-" in folder


@dataclass
class Interrupted:
    """A model whose first stages are written when ``meanwhile`` happens; stands for ``PipelineModel``."""

    model: PipelineModel | Interrupted
    meanwhile: Callable[[], object]

    def write(self) -> Interrupted:
        return self

    def save(self, path: str) -> None:
        self.model.save(path)
        self.meanwhile()


def test_trainings_of_one_date_at_once_each_leave_a_whole_model(published: Runs) -> None:
    asked = job(published, inputs=INPUTS[2:], model_path=f"{published.store.uri}/_models/at_once/{DAY}")

    def run(run_id: str, *during: Callable[[], object]) -> TrainResult:
        def learn_nothing(frames: Any, arguments: Any) -> Any:
            model: PipelineModel | Interrupted = PipelineModel([])
            for meanwhile in during:
                model = Interrupted(model, meanwhile)
            return model, {}

        return run_training(published.session, replace(asked, run=RunSpec("training", run_id, 1)), learn_nothing)

    run("before")
    slow = run("slow", lambda: [run("fast"), run("faster")])
    assert load_model(published.session, asked.model_path).stages == []
    assert slow.model_path.endswith(f"{current_folder(published.session, asked.model_path)}/model")
    run("after")
    assert PipelineModel.load(slow.model_path).stages == [], "the one before stays for its readers"

    # Not what its checksum says, as what a worker has lost or a killed driver has half written cannot be read either.
    Path(asked.model_path.removeprefix("file://"), POINTER).write_text('{"folder": "')
    anew = run("anew")
    assert anew.model_path.endswith(f"{current_folder(published.session, asked.model_path)}/model")


def test_kept_inputs_are_tagged(published: Runs) -> None:
    learn(published, job(published, keep_inputs=True))
    table = load_existing_table(published.session, published.store, "flights")
    assert f"keep_late_departures_{DAY}" in reference_names(table)


def test_what_a_training_read_is_read_again_row_for_row(published: Runs) -> None:
    asked = job(published, keep_inputs=True)
    learn(published, asked)
    again = repeat_inputs(published.session, published.store, asked.model_path)
    assert set(again) == {"flights", "weather", "planes"}
    _, metrics = train(again, {"late_minutes": 15})
    folder = current_folder(published.session, asked.model_path)
    written = Path(asked.model_path.removeprefix("file://")) / str(folder) / "metrics.json"
    assert metrics == json.loads(written.read_text())
    with pytest.raises(FileNotFoundError, match="no training wrote what it read below"):
        repeat_inputs(published.session, published.store, f"{asked.model_path}-of-nobody")


def test_a_missing_day_is_named_and_may_come(published: Runs) -> None:
    with pytest.raises(MissingIntervals, match="table flights as of 2013-06-04 lacks 2013-06-03, 2013-06-04"):
        learn(published, job(published, "2013-06-04", inputs=(InputSpec("flights", "window", 2), *INPUTS[1:])))


def test_a_reference_table_that_was_never_captured_may_come(published: Runs) -> None:
    with pytest.raises(InputNotCaptured, match=r"table airports, an input of the training \w+, was never captured"):
        learn(published, job(published, inputs=(*INPUTS, InputSpec("airports", "latest"))))


def test_a_training_without_a_date_is_refused(published: Runs) -> None:
    with pytest.raises(NoSuchSnapshot, match="is not an as-of date"):
        learn(published, job(published, "None"))


def test_what_happens_after_departure_does_not_matter(published: Runs) -> None:
    known = frames(published)
    _, metrics = train(known, {})
    later = ("dep_time", "arr_time", "arr_delay", "air_time")
    blinded = known["flights"].withColumns({name: sf.lit(None).cast("int") for name in later})
    _, again = train(known | {"flights": blinded}, {})
    assert metrics == again


def test_the_test_is_the_last_fifth_of_the_time(published: Runs) -> None:
    known = frames(published, days=2)
    _, metrics = train(known, {})
    [(test_rows,)] = published.database.run(
        "WITH departed AS (SELECT extract(epoch FROM time_hour) + minute * 60 AS t FROM flights WHERE dep_delay IS NOT "
        "NULL AND time_hour >= '2013-06-01 00:00+00' AND time_hour < '2013-06-03 00:00+00') "
        "SELECT count(*) FROM departed WHERE t > (SELECT min(t) + 0.8 * (max(t) - min(t)) FROM departed)"
    )
    assert metrics["test_rows"] == test_rows


def test_doubled_weather_does_not_multiply_flights(published: Runs) -> None:
    known = frames(published)
    _, metrics = train(known, {})
    _, again = train(known | {"weather": known["weather"].union(known["weather"])}, {})
    assert metrics == again


def test_a_day_without_gusts_can_be_learnt(published: Runs) -> None:
    known = frames(published)
    calm = known["weather"].withColumn("wind_gust", sf.lit(None).cast("double"))
    _, metrics = train(known | {"weather": calm}, {})
    assert metrics["train_rows"] > 0


@pytest.mark.parametrize(
    ("condition", "arguments", "sentence"),
    [
        ("dep_delay IS NULL", {}, "no departure in this window, 3 cancelled ones only"),
        ("false", {}, "no departure in this window, 0 cancelled"),
        ("dep_delay <= 15 OR dep_delay IS NULL", {}, "a model needs both kinds; use a longer window"),
        ("true", {"late_minutes": "15"}, "argument late_minutes is '15', not a number"),
        ("true", {"late_minuets": 15}, "argument 'late_minuets' is unknown"),
    ],
)
def test_what_cannot_be_learnt_is_said(
    published: Runs, condition: str, arguments: dict[str, object], sentence: str
) -> None:
    known = frames(published)
    with pytest.raises(CannotTrain, match=sentence):
        train(known | {"flights": known["flights"].where(condition)}, arguments)


def test_a_missing_input_or_column_is_named(published: Runs) -> None:
    known = frames(published)
    with pytest.raises(CannotTrain, match="needs the input 'planes'"):
        train({name: known[name] for name in ("flights", "weather")}, {})
    with pytest.raises(CannotTrain, match="table planes lacks the column 'seats'"):
        train(known | {"planes": known["planes"].drop("seats")}, {})
