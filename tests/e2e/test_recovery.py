"""What Airflow made of the run that was killed twice, by itself and beside everything since."""

from __future__ import annotations

import pytest
from pyspark.sql import SparkSession
from warehouse.records import read_records
from warehouse.spec_json import from_json
from warehouse.store_spec import StoreSpec
from warehouse.validate_spec import ValidateResult

from local_stack.airflow_api import AirflowApi
from local_stack.stack import Stack
from tests.e2e.killed_run import KilledRun
from tests.e2e.runs import all_ended, succeed
from tests.faults.ledger import DATE, TABLES
from tests.faults.matrix import DAG, content_problems
from tests.faults.store_contents import contents, files


def test_the_next_try_leaves_the_later_state(
    api: AirflowApi, killed_run: KilledRun, spark: SparkSession, store: StoreSpec
) -> None:
    killed, by_hand = killed_run.killed, killed_run.by_hand
    succeed(api, DAG, killed)
    tries = {task["task_id"]: task["try_number"] for task in api.task_instances(DAG, killed)}
    assert tries == {"check": 1, "snapshot": 2, "validate": 2}
    published = from_json(ValidateResult, api.xcom(DAG, killed, "validate")).published
    assert [(one.record.run_id, one.superseded) for one in published] == [(by_hand, True)] * len(TABLES)
    for table in TABLES:
        assert read_records(spark, store, table)[DATE].run_id == by_hand


@pytest.mark.usefixtures("killed_run")
def test_nothing_is_left_of_what_was_killed(spark: SparkSession, store: StoreSpec) -> None:
    assert content_problems({table: contents(spark, store, table) for table in TABLES}) == []
    assert files(spark, f"{store.uri}/_promised/{DAG}") == {}


@pytest.mark.usefixtures("killed_run")
def test_what_all_runs_so_far_have_left_is_removed_by_a_command(
    stack: Stack, api: AirflowApi, spark: SparkSession, store: StoreSpec
) -> None:
    all_ended(api)  # else one could end between the two looks, and leave its answers to the second
    before = {table: read_records(spark, store, table) for table in TABLES}
    # Captures of failed runs go only if one says so: another try could publish them.
    print(stack.airflow.run_warehouse("clean-store", "--yes", "--captures"))
    assert "nothing is left in the store that nobody needs" in stack.airflow.run_warehouse("clean-store")
    assert {table: read_records(spark, store, table) for table in TABLES} == before
    for table in TABLES:
        assert contents(spark, store, table).missing == set()
