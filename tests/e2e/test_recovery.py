"""What Airflow made of the run whose worker was killed in test_faults.py, by itself and beside everything since."""

from __future__ import annotations

from pyspark.sql import SparkSession
from warehouse.job_spec import StoreSpec, ValidateResult, from_json
from warehouse.records import read_records

from local_stack.airflow_api import AirflowApi
from tests.e2e.runs import succeed
from tests.faults.ledger import DATE, TABLES
from tests.faults.matrix import DAG


def test_the_next_try_leaves_the_later_state(api: AirflowApi, spark: SparkSession, store: StoreSpec) -> None:
    _, killed, by_hand = (run["dag_run_id"] for run in api.runs(DAG))
    succeed(api, DAG, killed)
    tries = {task["task_id"]: task["try_number"] for task in api.task_instances(DAG, killed)}
    assert tries == {"check": 1, "snapshot": 2, "validate": 2}
    published = from_json(ValidateResult, api.xcom(DAG, killed, "validate")).published
    assert [(one.record.run_id, one.superseded) for one in published] == [(by_hand, True)] * len(TABLES)
    for table in TABLES:
        assert read_records(spark, store, table)[DATE].run_id == by_hand
