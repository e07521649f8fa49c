"""Turns the plan into Airflow DAGs and nothing else. Importing this module loads no Spark."""

from __future__ import annotations

import os
from pathlib import Path
from typing import Any

from airflow.providers.standard.operators.trigger_dagrun import TriggerDagRunOperator
from airflow.sdk import DAG, Asset, Param, PartitionedAssetTimetable
from airflow.sdk.definitions.asset import BaseAsset
from airflow.sdk.definitions.context import get_parsing_context
from airflow.sdk.definitions.timetables.interval import CronDataIntervalTimetable
from airflow.sdk.definitions.timetables.trigger import CronTriggerTimetable

from logical_warehouse.manifest import LoadedManifest, Problem, load_manifest
from logical_warehouse.notifying import on_failure, problems_of
from logical_warehouse.operators.check import CheckOperator
from logical_warehouse.operators.monitor import CompareOperator
from logical_warehouse.operators.spark import SnapshotOperator, TrainOperator, ValidateOperator
from logical_warehouse.plan import MonitorPlan, Plan, SnapshotPlan, TrainingPlan, asset_uri, make_plan

MANIFEST_VARIABLE = "WAREHOUSE_MANIFEST"
"""Environment variable that names another manifest than the one beside the DAG file."""

AS_OF_PATTERN = r"^\d{4}-\d{2}-\d{2}(T\d{4}Z)?$"


class BrokenManifest(Exception):
    """What Airflow shows as the import error of the manifest: every problem, each on a line of its own."""

    def __init__(self, problems: tuple[Problem, ...]) -> None:
        self.problems = problems
        super().__init__("\n".join(str(problem) for problem in problems))


def manifest_path(dag_file: str) -> Path:
    """The manifest of a DAG file: ``warehouse.yaml`` beside it, or what the environment names."""
    return Path(os.environ.get(MANIFEST_VARIABLE) or Path(dag_file).with_name("warehouse.yaml"))


def build_dags(path: Path) -> dict[str, DAG]:
    """The DAGs of all healthy tables and trainings of the manifest at ``path``, by id.

    A task that runs needs its own DAG only, and gets only that.
    """
    loaded = load_manifest(path)
    if loaded.manifest is None:
        return {}
    return dags_of(make_plan(loaded.manifest), only=get_parsing_context().dag_id)


def raise_problems(path: Path) -> None:
    """Raise what is wrong with the manifest at ``path``, if anything is, so that Airflow shows it as an import error.

    In a file of its own: Airflow keeps import errors per file, and the file that raises defines no DAGs.

    :raises BrokenManifest: with every problem.
    """
    loaded: LoadedManifest = load_manifest(path)
    unusable = problems_of(loaded.manifest.notify if loaded.manifest is not None else ())
    found = (*loaded.problems, *(Problem(str(path), 1, "notify", sentence) for sentence in unusable))
    if found:
        raise BrokenManifest(found)


def dags_of(plan: Plan, *, only: str | None = None) -> dict[str, DAG]:
    """The plan's DAGs by id; with ``only``, at most the one of that id."""
    dags = {}
    for snapshot in plan.snapshots:
        if only in (None, snapshot.dag_id):
            dags[snapshot.dag_id] = _snapshot_dag(snapshot)
    for training in plan.trainings:
        if only in (None, training.dag_id):
            dags[training.dag_id] = _training_dag(training)
    if plan.monitor is not None and only in (None, plan.monitor.dag_id):
        dags[plan.monitor.dag_id] = _monitor_dag(plan.monitor)
    return dags


def _snapshot_dag(plan: SnapshotPlan) -> DAG:
    with DAG(
        plan.dag_id,
        description=plan.description,
        doc_md=plan.doc,
        # Explicit: the string "@daily" means a trigger timetable, whose runs have an interval of no length.
        schedule=CronDataIntervalTimetable(plan.schedule.cron, timezone=plan.schedule.time_zone),
        start_date=plan.start,
        end_date=plan.end,
        catchup=False,
        tags=sorted(plan.tags),
        default_args=_default_args(plan),
        params=_params(plan),
    ) as dag:
        assets = [Asset(name=table.name, uri=asset_uri(plan.store, table.name)) for table in plan.tables]
        tasks: dict[str, Any] = {
            "check": CheckOperator(task_id="check", plan=plan),
            "snapshot": SnapshotOperator(task_id="snapshot", plan=plan, pool=plan.pool, pool_slots=plan.pool_slots),
            "validate": ValidateOperator(task_id="validate", plan=plan, outlets=assets),
        }
        for upstream, downstream in plan.edges:
            tasks[upstream] >> tasks[downstream]
    for task in dag.tasks:
        # The DAG's dates bound its schedule. On a task they would make Airflow leave it out of a run with a later
        # logical date, which then succeeds with nothing done: `check` refuses dates out of range, and says so.
        task.start_date = task.end_date = None
    return dag


def _params(plan: SnapshotPlan) -> dict[str, Param]:
    """What the trigger form asks for. Airflow checks each by its schema for every DAG: no more of them than needed."""
    params = {
        "as_of": Param(
            None,
            type=["null", "string"],
            pattern=AS_OF_PATTERN,
            title="As-of date",
            description="The start of the interval to capture: 2013-06-12 captures 12 June. Empty: a logical date "
            "means the interval that had just ended at that moment; none means the last complete interval.",
        )
    }
    if not all(table.history.can_be_backfilled for table in plan.tables):
        params["capture_late"] = Param(
            False,
            type="boolean",
            title="Capture late",
            description="Of tables that the source knows only as they are now (history: current): capture them for "
            "a date that is longer past than their lateness allows. The snapshot is marked late for ever, and "
            "every reader is warned: it may hold what was not known at its date.",
        )
    return params


def _training_dag(plan: TrainingPlan) -> DAG:
    condition: BaseAsset | None = None
    for name in plan.dated_inputs:
        asset = Asset(name=name, uri=asset_uri(plan.store, name))
        condition = asset if condition is None else condition & asset
    assert condition is not None
    with DAG(
        plan.dag_id,
        description=plan.description,
        doc_md=plan.doc,
        schedule=PartitionedAssetTimetable(assets=condition),
        catchup=False,
        tags=sorted(plan.tags),
        default_args=_default_args(plan),
    ) as dag:
        TrainOperator(task_id="train", plan=plan)
    return dag


def _monitor_dag(plan: MonitorPlan) -> DAG:
    with DAG(
        plan.dag_id,
        description="Compares what was published with what the store holds, and brings back what it has lost",
        doc_md=plan.doc,
        schedule=CronTriggerTimetable(plan.schedule.cron, timezone=plan.schedule.time_zone),
        catchup=False,
        # It starts runs of other DAGs: that is for people to switch on, whatever Airflow's default is.
        is_paused_upon_creation=True,
        tags=["monitor"],
        default_args={"retries": 0},
    ) as dag:
        # It tells of its own failures, once while they last: a store may be away at many looks.
        unforeseen = on_failure(plan.notify, of_own=False)
        compare = CompareOperator(task_id="compare", plan=plan, on_failure_callback=unforeseen)
        # Each waits for its run without a process of its own. A run that is there already is another's: skipped.
        TriggerDagRunOperator.partial(
            task_id="repair", logical_date=None, wait_for_completion=True, deferrable=True, poke_interval=5,
            skip_when_already_exists=True, pool=plan.pool,
        ).expand_kwargs(compare.output)  # fmt: skip
    return dag


def _default_args(plan: SnapshotPlan | TrainingPlan) -> dict[str, Any]:
    return {
        "owner": plan.owner,
        "retries": plan.retries,
        "retry_delay": plan.retry_delay,
        "retry_exponential_backoff": True,
        "on_failure_callback": on_failure(plan.notify),
    }
