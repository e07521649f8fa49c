"""The DAGs of the demo's manifest and of a small one: ids, edges, schedules, pools, and what they must not load."""

from __future__ import annotations

import json
import os
import subprocess
import sys
from pathlib import Path
from typing import cast

import pendulum
import pytest
from airflow.sdk import DAG, Asset, AssetAll, PartitionedAssetTimetable
from airflow.sdk.definitions.timetables.interval import CronDataIntervalTimetable
from airflow.serialization.serialized_objects import DagSerialization
from logical_warehouse.dag_builder import BrokenManifest, build_dags, raise_problems

ROOT = Path(__file__).parents[2]
MANIFEST = ROOT / "dags" / "warehouse.yaml"

BROKEN = """
version: 1
sources: {bank: {connection: bank}}
store: {uri: file:///dev/shm/store}
defaults: {source: bank, schedule: "@daily", start: 2013-06-01}
tables:
  accounts: {table: public.accounts, history: {interval: {column: opened}}}
  cards: {table: public.cards, histroy: current}
trainings:
  churn: {application: train_model.py, inputs: {accounts: all}}
  fraud: {application: train_model.py, inputs: {accounts: {window: 1}, cards: {window: 1}}}
"""


@pytest.fixture(scope="module")
def dags() -> dict[str, DAG]:
    return build_dags(MANIFEST)


def test_there_is_one_dag_per_group_and_one_per_training(dags: dict[str, DAG]) -> None:
    assert list(dags) == [
        "snapshot_flights", "snapshot_weather", "snapshot_reference", "training_late_departures", "warehouse_monitor",
    ]  # fmt: skip


@pytest.mark.parametrize("dag_id", ["snapshot_flights", "snapshot_weather", "snapshot_reference"])
def test_a_snapshot_is_checked_taken_and_validated(dags: dict[str, DAG], dag_id: str) -> None:
    edges = {task.task_id: sorted(task.downstream_task_ids) for task in dags[dag_id].tasks}
    assert edges == {"check": ["snapshot"], "snapshot": ["validate"], "validate": []}


def test_a_training_is_one_task(dags: dict[str, DAG]) -> None:
    assert [task.task_id for task in dags["training_late_departures"].tasks] == ["train"]


def test_snapshots_have_data_intervals_in_the_sources_time_zone(dags: dict[str, DAG]) -> None:
    dag = dags["snapshot_flights"]
    assert dag.schedule == CronDataIntervalTimetable("@daily", timezone="UTC")
    assert (dag.start_date, dag.end_date) == (
        pendulum.datetime(2013, 6, 1),
        pendulum.datetime(2013, 12, 31, 23, 59, 59),
    )
    assert dags["snapshot_reference"].end_date is None
    assert not dag.catchup


def test_no_task_is_left_out_of_a_run_for_its_date(dags: dict[str, DAG]) -> None:
    """Airflow drops a task whose dates exclude the run's logical date; the run then succeeds without it."""
    assert {(task.start_date, task.end_date) for task in dags["snapshot_flights"].tasks} == {(None, None)}


def test_a_training_waits_for_its_dated_inputs_only(dags: dict[str, DAG]) -> None:
    schedule = dags["training_late_departures"].schedule
    assert isinstance(schedule, PartitionedAssetTimetable)
    condition = schedule.asset_condition
    assert isinstance(condition, AssetAll)
    assert sorted(cast("Asset", one).name for one in condition.objects) == ["flights", "weather"]


def test_validate_is_what_emits_each_tables_asset(dags: dict[str, DAG]) -> None:
    outlets = {task.task_id: [asset.name for asset in task.outlets] for task in dags["snapshot_reference"].tasks}
    assert outlets == {"check": [], "snapshot": [], "validate": ["planes", "airports", "airlines"]}
    assert dags["snapshot_flights"].get_task("validate").outlets[0].uri == "warehouse://snapshots/flights"


def test_only_snapshot_takes_connections_from_the_sources_pool(dags: dict[str, DAG]) -> None:
    pools = {task.task_id: (task.pool, task.pool_slots) for task in dags["snapshot_flights"].tasks}
    assert pools == {
        "check": ("default_pool", 1),
        "snapshot": ("warehouse_nycflights", 3),
        "validate": ("default_pool", 1),
    }
    assert dags["snapshot_weather"].get_task("snapshot").pool_slots == 2


def test_the_page_of_a_dag_says_what_it_is(dags: dict[str, DAG]) -> None:
    dag = dags["snapshot_flights"]
    assert {"snapshot", "source:nycflights", "aviation"} == set(dag.tags)
    assert dag.owner == "data-engineering"
    page = dag.doc_md
    assert page is not None and "Every departure from the three airports of New York City" in page
    assert dags["training_late_departures"].owner == "data-science"


def test_the_trigger_form_explains_which_date_is_captured(dags: dict[str, DAG]) -> None:
    param = dags["snapshot_flights"].params.get_param("as_of")
    assert param.value is None
    assert param.description is not None
    assert "2013-06-12 captures 12 June" in param.description
    assert "interval that had just ended at that moment" in param.description


def test_a_late_capture_is_never_the_default(dags: dict[str, DAG]) -> None:
    param = dags["snapshot_reference"].params.get_param("capture_late")
    assert param.value is False
    assert param.schema["type"] == "boolean"
    assert param.description is not None
    assert "marked late for ever" in param.description
    # Where every date can be captured at any time there is nothing to ask.
    assert set(dags["snapshot_flights"].params) == {"as_of"}


def test_building_twice_serialises_to_the_same_bytes() -> None:
    texts = [
        json.dumps(
            {dag_id: DagSerialization.to_dict(dag) for dag_id, dag in build_dags(MANIFEST).items()}, sort_keys=False
        )
        for _ in range(2)
    ]
    assert texts[0].encode() == texts[1].encode()


def test_building_the_dags_loads_no_spark() -> None:
    code = (
        "import runpy, sys; "
        f"found = runpy.run_path({str(ROOT / 'dags' / 'warehouse_dags.py')!r}); "
        "assert 'snapshot_flights' in found; "
        "print(*(name for name in ('pyspark', 'py4j', 'jaydebeapi', 'jpype', 's3fs') if name in sys.modules))"
    )
    done = subprocess.run([sys.executable, "-c", code], env=_environment(), capture_output=True, text=True, check=True)
    assert done.stdout.split() == []


def test_a_running_task_parses_only_its_own_dag(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("_AIRFLOW_PARSING_CONTEXT_DAG_ID", "snapshot_weather")
    assert list(build_dags(MANIFEST)) == ["snapshot_weather"]


def test_a_broken_table_leaves_the_other_dags_standing(tmp_path: Path) -> None:
    manifest = tmp_path / "warehouse.yaml"
    manifest.write_text(BROKEN)
    assert list(build_dags(manifest)) == ["snapshot_accounts", "training_churn", "warehouse_monitor"]
    with pytest.raises(BrokenManifest) as raised:
        raise_problems(manifest)
    lines = str(raised.value).splitlines()
    misspelt = f"{manifest}:8: tables.cards.histroy: unknown key; did you mean 'history'?"
    assert any(line.startswith(misspelt) for line in lines)
    assert any("trainings.fraud" in line for line in lines)


def test_a_healthy_manifest_raises_nothing() -> None:
    raise_problems(MANIFEST)


def _environment() -> dict[str, str]:
    return os.environ | {"PYTHONPATH": f"{ROOT / 'plugins'}:{ROOT / 'spark_jobs'}"}
