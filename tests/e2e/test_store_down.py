"""Alluxio without a worker, and without a master. Last: its memory is lost with it."""

from __future__ import annotations

from local_stack.airflow_api import AirflowApi
from local_stack.stack import Stack
from tests.e2e.runs import eventually, fail

DAG = "snapshot_store_down"
AS_OF = {"as_of": "2013-06-01"}


def test_without_a_worker(api: AirflowApi, stack: Stack) -> None:
    stack.alluxio.services["worker"].stop(grace=5)
    eventually("the master to miss its worker", lambda: not stack.alluxio.master_info()["workers"], 120)
    failure = fail(api, DAG, api.trigger(DAG, params=AS_OF)["dag_run_id"])
    assert (failure.task_id, failure.exception) == ("check", "AirflowException")
    assert failure.message == (
        f"Alluxio at {stack.alluxio.web} has no live worker, so there is no memory to write to; start one."
    )
    assert failure.seconds < 60


def test_without_a_master(api: AirflowApi, stack: Stack) -> None:
    stack.alluxio.services["master"].stop(grace=5)
    failure = fail(api, DAG, api.trigger(DAG, params=AS_OF)["dag_run_id"])
    assert (failure.task_id, failure.exception) == ("check", "AirflowException")
    assert failure.message == f"Alluxio does not answer at {stack.alluxio.web} (ConnectionError); start its master."
    assert failure.seconds < 60
