"""The short version of `make test-faults`: the driver killed while it writes, then the worker while it publishes, and a
second run of the date beside the first one. What became of the first is looked at by test_recovery.py, when it is due.
"""

from __future__ import annotations

import pytest
from pyspark.sql import SparkSession
from warehouse.store_spec import StoreSpec

from local_stack.airflow_api import AirflowApi
from local_stack.stack import Stack
from tests.e2e.runs import eventually, succeed
from tests.faults import processes
from tests.faults.ledger import DATE, TABLES, Ledger
from tests.faults.matrix import DAG, World, driver_of, reading_problems, rows_lost, stopped
from tests.faults.readers import Reader
from tests.faults.store_contents import contents
from tests.support.driver_switches import DriverSwitches


@pytest.fixture(scope="module")
def world(stack: Stack, api: AirflowApi, spark: SparkSession, store: StoreSpec, drivers: DriverSwitches) -> World:
    """With one date published."""
    made = World(stack, api, Ledger(stack.source), spark, store, drivers)
    succeed(api, DAG, made.capture(DATE))
    return made


def test_killed_while_writing_and_while_publishing(world: World) -> None:
    old = {table: world.sums(table, DATE) for table in TABLES}
    world.ledger.change()
    new = {table: world.ledger.sums(table, DATE) for table in TABLES}
    with Reader(world.session, world.store, TABLES, DATE) as readings:
        with stopped(world, "while writing") as has_come:
            run_id = world.capture(DATE)
            driver = eventually("the driver while writing", lambda: driver_of(world, run_id, has_come), 180)
            processes.kill(*driver.processes)
        # Airflow tries again, and that try comes as far as to publish one table of two.
        with stopped(world, "during publishing") as has_come:
            driver = eventually("the driver while publishing", lambda: driver_of(world, run_id, has_come), 180)
            assert {table: world.sums(table, DATE) for table in TABLES} == {
                "accounts": new["accounts"],
                "savings": old["savings"],
            }
            processes.kill(driver.worker, driver.task, *driver.processes)
        # Airflow notices in a while; a run by hand need not wait for that.
        succeed(world.api, DAG, world.capture(DATE))
    assert reading_problems(readings, old, new, may_fail=False) == []
    assert [rows_lost(world, table, DATE) for table in TABLES] == [0, 0]
    # Of the run that is still tried again stays what it has captured, and nothing that the killed driver had written.
    held = [contents(world.session, world.store, table) for table in TABLES]
    assert [path for found in held for path in found.leaked if path.startswith("data/")] == []
