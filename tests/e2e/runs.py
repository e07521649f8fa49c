"""Watching Airflow's runs from a test: why a run failed, and waiting for what must come."""

from __future__ import annotations

import re
import time
from collections.abc import Callable
from dataclasses import dataclass
from typing import Any, TypeVar

from local_stack.airflow_api import AirflowApi

T = TypeVar("T")
EXCEPTION = re.compile(r"^(Airflow\w*Exception): (.*)$", re.MULTILINE | re.DOTALL)


@dataclass(frozen=True)
class Failure:
    """The task that ended a run, how long it took (seconds), and the message of its exception."""

    task_id: str
    exception: str
    message: str
    seconds: float
    tries: int


def eventually(what: str, get: Callable[[], T | None], timeout: float = 120) -> T:
    """The first true value of ``get``, asked twice a second."""
    deadline = time.monotonic() + timeout
    while not (value := get()):
        assert time.monotonic() < deadline, f"{what}: not within {timeout:.0f} s"
        time.sleep(0.5)
    return value


def state_of(api: AirflowApi, dag_id: str, run_id: str, task_id: str) -> str | None:
    """State of one task of a run."""
    states = (ti["state"] for ti in api.task_instances(dag_id, run_id) if ti["task_id"] == task_id)
    state: str | None = next(states)
    return state


def succeed(api: AirflowApi, dag_id: str, run_id: str, timeout: float = 300) -> dict[str, Any]:
    """Wait for a run and expect it to succeed; its failure's message otherwise."""
    run = api.wait_run(dag_id, run_id, timeout)
    assert run["state"] == "success", failure_of(api, dag_id, run_id)
    return run


def all_ended(api: AirflowApi) -> None:
    """Wait until no run of any DAG goes on."""
    for dag_id in api.dag_ids():
        for run in api.runs(dag_id):
            api.wait_run(dag_id, run["dag_run_id"])


def fail(api: AirflowApi, dag_id: str, run_id: str, timeout: float = 180) -> Failure:
    """Wait for a run and expect it to fail."""
    run = api.wait_run(dag_id, run_id, timeout)
    assert run["state"] == "failed", f"{dag_id} {run_id} ended as {run['state']}"
    return failure_of(api, dag_id, run_id)


def failure_of(api: AirflowApi, dag_id: str, run_id: str) -> Failure:
    """Why a run failed: the exception of its failed task's last try."""
    failed = next(ti for ti in api.task_instances(dag_id, run_id) if ti["state"] == "failed")
    log = api.task_log(dag_id, run_id, failed["task_id"], failed["try_number"])
    found = [line for line in log.splitlines() if EXCEPTION.match(line)]
    assert found, f"no exception in the log of {dag_id}.{failed['task_id']}:\n{log[-3000:]}"
    match = EXCEPTION.match(found[-1])
    assert match is not None
    return Failure(failed["task_id"], match[1], match[2], failed["duration"] or 0.0, failed["try_number"])


def events_of(api: AirflowApi, table: str) -> list[dict[str, Any]]:
    """Asset events of a table, oldest first."""
    return [event for event in api.asset_events() if event["uri"].endswith(f"/{table}")]


def trainings_of(api: AirflowApi, dag_id: str = "training_late_departures") -> list[dict[str, Any]]:
    """Runs of a training."""
    return api.runs(dag_id)
