"""600 half-arrived dates hide a complete one from Airflow's scheduler; two commands get the user out."""

from __future__ import annotations

import pendulum
import pytest

from local_stack.airflow_api import AirflowApi
from local_stack.stack import Stack
from tests.e2e.runs import eventually, trainings_of

DAG = "training_both_sides"
HALF = [pendulum.datetime(2000, 1, 1).add(days=day).to_date_string() for day in range(600)]
COMPLETE = "2013-07-01"


def emit(api: AirflowApi, table: str, as_of: str) -> None:
    asset = next(asset for asset in api.call("GET", "/assets?limit=100")["assets"] if asset["name"] == table)
    api.call("POST", "/assets/events", {"asset_id": asset["id"], "partition_key": as_of, "extra": {}})


def command(stack: Stack, *arguments: str) -> str:
    """``python -m logical_warehouse trainings …`` as a user on the Airflow host runs it."""
    return stack.airflow.run_warehouse("trainings", *arguments)


@pytest.fixture(scope="module")
def half_arrived(api: AirflowApi) -> None:
    asset = next(asset for asset in api.call("GET", "/assets?limit=100")["assets"] if asset["name"] == "left")
    for as_of in HALF:
        api.call("POST", "/assets/events", {"asset_id": asset["id"], "partition_key": as_of, "extra": {}})
    emit(api, "left", COMPLETE)
    emit(api, "right", COMPLETE)


def test_a_complete_date_waits_behind_them(api: AirflowApi, stack: Stack, half_arrived: None) -> None:
    shown = command(stack, "pending", "both_sides")
    assert f"{DAG}: 601 pending" in shown
    assert "1 complete date(s) wait behind 500 older ones" in shown
    # The scheduler has gone round: it starts another run meanwhile.
    run = api.trigger("snapshot_missing_table", params={"as_of": "2013-06-01"})
    api.wait_run("snapshot_missing_table", run["dag_run_id"], 120)
    assert trainings_of(api, DAG) == []


def test_the_training_can_be_run_by_command(api: AirflowApi, stack: Stack, half_arrived: None) -> None:
    command(stack, "run", "both_sides", "2013-07-02")
    (run,) = trainings_of(api, DAG)
    assert run["partition_key"] == "2013-07-02"


def test_a_date_that_is_none_is_refused_by_the_command(api: AirflowApi, stack: Stack) -> None:
    before = len(trainings_of(api, DAG))
    with pytest.raises(Exception, match="'2013-02-30' is not an as-of date"):
        command(stack, "run", "both_sides", "2013-06-30", "2013-02-30")
    assert len(trainings_of(api, DAG)) == before  # not even the good one


def test_clearing_the_incomplete_ones_lets_the_complete_one_run(
    api: AirflowApi, stack: Stack, half_arrived: None
) -> None:
    assert f"{DAG}: 600 pending date(s) cleared" in command(stack, "clear", "both_sides", "--incomplete")
    run = eventually(
        "the complete date's run",
        lambda: [run for run in trainings_of(api, DAG) if run["partition_key"] == COMPLETE],
    )
    assert run[0]["run_type"] == "asset_triggered"
    assert f"{DAG}: 0 pending" in command(stack, "pending", "both_sides")
