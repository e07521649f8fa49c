"""A table that the store has lost: the monitor finds it by the asset events alone, and has it captured again."""

from __future__ import annotations

from typing import Any

import pytest
from logical_warehouse.losses import Held
from logical_warehouse.store_contents import held_in
from logical_warehouse.store_files import AlluxioFiles

from local_stack.airflow_api import AirflowApi
from local_stack.stack import Stack
from tests.e2e.runs import succeed

pytestmark = pytest.mark.long
MONITOR = "warehouse_monitor"
DAG = "snapshot_notes"
AS_OF = "2013-06-01"
FOLDER = "/warehouse/snapshots"


def repairs_of(api: AirflowApi) -> list[dict[str, Any]]:
    return [run for run in api.runs(DAG) if run["dag_run_id"].startswith(f"repair__{AS_OF}__")]


def looked(api: AirflowApi) -> str:
    """What the monitor says of a look from now on; its repairs have ended."""
    run_id = api.trigger(MONITOR)["dag_run_id"]
    succeed(api, MONITOR, run_id)
    return api.task_log(MONITOR, run_id, "compare", 1)


def test_a_lost_table_is_captured_again(api: AirflowApi, stack: Stack) -> None:
    files = AlluxioFiles(stack.alluxio.web, stack.alluxio.s3)
    succeed(api, DAG, api.trigger(DAG, params={"as_of": AS_OF})["dag_run_id"], timeout=600)
    assert set(held_in(files, FOLDER, "notes").whole) == {AS_OF}
    api.set_paused(MONITOR, False)
    assert " 0 lost, 0 run(s) to bring them back" in looked(api)

    files.remove(f"{FOLDER}/notes")
    assert held_in(files, FOLDER, "notes") == Held()
    log = looked(api)
    assert f"table notes as of {AS_OF} is lost, the store no longer holds it in memory: a run of {DAG}" in log
    (repair,) = repairs_of(api)
    assert repair["state"] == "success"
    assert set(held_in(files, FOLDER, "notes").whole) == {AS_OF}
    assert " 0 lost, 0 run(s) to bring them back" in looked(api)
    assert len(repairs_of(api)) == 1
