"""A stack of its own for the faults, and the table that the matrix prints."""

from __future__ import annotations

from collections.abc import Iterator
from pathlib import Path

import pytest
from pyspark.sql import SparkSession
from warehouse.store_spec import StoreSpec

from local_stack.stack import Stack
from tests.e2e.runs import eventually, succeed
from tests.faults.ledger import BYSTANDER, DATE, Ledger
from tests.faults.matrix import DAG, Outcome, World
from tests.faults.outcomes import outcome_table
from tests.support.airflow_stack import airflow_stack, reader_session
from tests.support.driver_switches import DriverSwitches

OUTCOMES: list[Outcome] = []
# Airflow's defaults find a dead worker after five minutes, and a dead scheduler's tasks after as long.
SOON = {
    "AIRFLOW__SCHEDULER__TASK_INSTANCE_HEARTBEAT_TIMEOUT": "15",
    "AIRFLOW__SCHEDULER__TASK_INSTANCE_HEARTBEAT_TIMEOUT_DETECTION_INTERVAL": "2",
    "AIRFLOW__WORKERS__MIN_HEARTBEAT_INTERVAL": "2",
    "AIRFLOW__SCHEDULER__SCHEDULER_HEARTBEAT_SEC": "2",
    "AIRFLOW__SCHEDULER__SCHEDULER_HEALTH_CHECK_THRESHOLD": "10",
    "AIRFLOW__SCHEDULER__ORPHANED_TASKS_CHECK_INTERVAL": "5",
    # Eight runs are to publish at the same moment.
    "AIRFLOW__CORE__PARALLELISM": "9",
}


@pytest.fixture(scope="session")
def drivers(tmp_path_factory: pytest.TempPathFactory) -> DriverSwitches:
    """Stops Spark drivers at chosen points."""
    return DriverSwitches(tmp_path_factory.mktemp("drivers"))


@pytest.fixture(scope="session")
def stack(drivers: DriverSwitches) -> Iterator[Stack]:
    with airflow_stack("faults", Path(__file__).with_name("warehouse.yaml"), drivers.folder, SOON) as started:
        Ledger(started.source).create()
        api = started.airflow.api()
        eventually("all DAGs", lambda: {DAG, "snapshot_movements"} <= api.dag_ids())
        api.set_paused(DAG, False)  # the other one is unpaused by a test
        yield started


@pytest.fixture(scope="session")
def store(stack: Stack) -> StoreSpec:
    return StoreSpec(stack.alluxio.uri, memory_only=stack.memory_only)


@pytest.fixture(scope="session")
def spark(stack: Stack, store: StoreSpec) -> Iterator[SparkSession]:
    with reader_session(stack, store) as session:
        yield session


@pytest.fixture(scope="session")
def world(stack: Stack, spark: SparkSession, store: StoreSpec, drivers: DriverSwitches) -> World:
    """With both dates published by runs that nothing happens to."""
    made = World(stack, stack.airflow.api(), Ledger(stack.source), spark, store, drivers)
    for as_of in (BYSTANDER, DATE):
        succeed(made.api, DAG, made.capture(as_of))
    return made


@pytest.fixture
def outcomes() -> list[Outcome]:
    """Of all cells so far."""
    return OUTCOMES


def pytest_terminal_summary(terminalreporter: pytest.TerminalReporter) -> None:
    """The matrix, after the tests."""
    if OUTCOMES:
        terminalreporter.section("faults")
        terminalreporter.write_line(outcome_table(OUTCOMES))
