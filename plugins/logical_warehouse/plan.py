"""The plan: what the manifest means for Airflow, as frozen values. Pure; ``dag_builder`` only turns it into DAGs."""

from __future__ import annotations

from dataclasses import dataclass
from datetime import date, timedelta
from functools import cache
from typing import assert_never

import pendulum
from pendulum import DateTime
from warehouse.store_spec import StoreSpec
from warehouse.table_spec import HistorySpec
from warehouse.train_spec import InputSpec

from logical_warehouse.intervals import Schedule, utc_text
from logical_warehouse.manifest import (
    Group,
    History,
    Manifest,
    Monitor,
    Notifier,
    Source,
    Spark,
    Store,
    Table,
    Training,
)
from logical_warehouse.manifest.source import HOLDER_CONNECTIONS

POOL_PREFIX = "warehouse_"
REPAIR_POOL = "warehouse-repair"
"""Keeps the runs that bring lost snapshots back to so many at once. No source's pool can have this name."""
MONITOR_DAG = "warehouse_monitor"


@dataclass(frozen=True)
class PoolPlan:
    """An Airflow pool: of a source, to keep all runs together within its connection budget, or of repairs.

    ``include_deferred``: a task that waits for a run takes a slot, too.
    """

    name: str
    slots: int
    description: str
    include_deferred: bool = False


@dataclass(frozen=True)
class SnapshotPlan:
    """One DAG ``check → snapshot → validate`` for a group of tables."""

    dag_id: str
    group: str
    source: Source
    store: Store
    spark: Spark
    tables: tuple[Table, ...]
    schedule: Schedule
    start: DateTime
    end: DateTime | None
    pool: str
    pool_slots: int
    owner: str
    tags: tuple[str, ...]
    description: str
    doc: str
    retries: int
    retry_delay: timedelta
    known_tables: tuple[tuple[str, str], ...]
    """Name and table in the source of every table of the manifest."""
    notify: tuple[Notifier, ...] = ()
    edges: tuple[tuple[str, str], ...] = (("check", "snapshot"), ("snapshot", "validate"))


@dataclass(frozen=True)
class TrainingPlan:
    """One DAG ``train``, run by Airflow for each as-of date that all dated inputs have."""

    dag_id: str
    training: Training
    store: Store
    spark: Spark
    dated_inputs: tuple[str, ...]
    inputs: tuple[InputSpec, ...]
    schedule: Schedule
    owner: str
    tags: tuple[str, ...]
    description: str
    doc: str
    retries: int
    retry_delay: timedelta
    notify: tuple[Notifier, ...] = ()


@dataclass(frozen=True)
class MonitorPlan:
    """One DAG ``compare → repair`` for all tables. ``training_inputs``: tables for which trainings wait."""

    dag_id: str
    store: Store
    groups: tuple[SnapshotPlan, ...]
    training_inputs: tuple[str, ...]
    schedule: Schedule
    repair: bool
    wait_for_workers: timedelta
    pool: str
    at_once: int
    notify: tuple[Notifier, ...]
    doc: str


@dataclass(frozen=True)
class Plan:
    """Everything that Airflow shall have, in the manifest's order."""

    snapshots: tuple[SnapshotPlan, ...]
    trainings: tuple[TrainingPlan, ...]
    pools: tuple[PoolPlan, ...]
    monitor: MonitorPlan | None = None
    """None where the manifest's section has a problem, or the store is of a kind that can be asked by Spark only."""


def pool_name(source: str) -> str:
    """Name of the pool of a source."""
    return f"{POOL_PREFIX}{source}"


def snapshot_dag_id(group: str) -> str:
    """Id of the DAG that captures a group."""
    return f"snapshot_{group}"


def training_dag_id(training: str) -> str:
    """Id of the DAG of a training."""
    return f"training_{training}"


def asset_uri(store: Store, table: str) -> str:
    """URI of a table's asset. It names no host, so that a store that moves keeps its assets."""
    return f"warehouse://{store.namespace}/{table}"


def store_spec(store: Store) -> StoreSpec:
    """The store as the Spark jobs know it."""
    return StoreSpec(
        uri=store.uri,
        catalog=store.catalog,
        namespace=store.namespace,
        memory_only=store.memory_only,
        replication=store.replication,
    )


def history_spec(history: History) -> HistorySpec:
    """A table's history as the Spark jobs know it."""
    return HistorySpec(
        mode=history.mode,
        column=history.column,
        lateness_seconds=None if history.lateness is None else int(history.lateness.total_seconds()),
        lookback=history.lookback,
        valid_from=history.valid_from,
        valid_to=history.valid_to,
        to_inclusive=history.to_inclusive,
    )


def make_plan(manifest: Manifest) -> Plan:
    """Turn a healthy manifest into the plan. The same manifest always gives an equal plan."""
    known = tuple((table.name, table.table) for table in manifest.tables.values())
    snapshots = tuple(_plan_group(manifest, group, known) for group in manifest.groups())
    trainings = tuple(_plan_training(manifest, training) for training in manifest.trainings.values())
    pools = tuple(
        PoolPlan(
            name=pool_name(source.name),
            slots=source.budget,
            description=f"Connections to the source {source.name}, from the table manifest",
        )
        for source in manifest.sources.values()
    )
    if manifest.monitor is None or not (manifest.store.is_alluxio or manifest.store.uri.startswith("file://")):
        return Plan(snapshots, trainings, pools)
    monitor = _plan_monitor(manifest, manifest.monitor, snapshots, trainings)
    repairs = PoolPlan(
        monitor.pool, monitor.at_once, "Runs at once that bring lost snapshots back", include_deferred=True
    )
    return Plan(snapshots, trainings, (*pools, repairs), monitor)


def _plan_monitor(
    manifest: Manifest, monitor: Monitor, snapshots: tuple[SnapshotPlan, ...], trainings: tuple[TrainingPlan, ...]
) -> MonitorPlan:
    return MonitorPlan(
        dag_id=MONITOR_DAG,
        store=manifest.store,
        groups=snapshots,
        training_inputs=tuple(dict.fromkeys(spec.table for training in trainings for spec in training.inputs)),
        schedule=Schedule(monitor.schedule, "UTC"),
        repair=monitor.repair,
        wait_for_workers=monitor.wait_for_workers,
        pool=REPAIR_POOL,
        at_once=monitor.at_once,
        notify=manifest.notify,
        doc=(
            "Compares what the asset events say was published with what the store holds in memory.\n\n"
            "`compare` marks lost snapshots in the store, tells the notifiers of the manifest of lost and late "
            "ones, each once, and returns the runs that bring lost ones back; `repair` starts these, at most "
            f"{monitor.at_once} at once, what trainings wait for first, and of that the newest date first. What the "
            "source no longer knows stays lost, and its log says so."
        ),
    )


def _plan_group(manifest: Manifest, group: Group, known: tuple[tuple[str, str], ...]) -> SnapshotPlan:
    first = group.tables[0]
    source = manifest.sources[first.source]
    schedule = manifest.schedule_of(first)
    return SnapshotPlan(
        dag_id=snapshot_dag_id(group.name),
        group=group.name,
        source=source,
        store=manifest.store,
        spark=manifest.spark,
        tables=group.tables,
        schedule=schedule,
        start=_midnight(first.start, source),
        end=None if first.end is None else _midnight(first.end, source).add(days=1).subtract(seconds=1),
        pool=pool_name(source.name),
        # Tables of a group are read one after another, so the widest one decides.
        pool_slots=max(table.split.parts for table in group.tables) + HOLDER_CONNECTIONS,
        owner=", ".join(dict.fromkeys(table.owner for table in group.tables)),
        tags=tuple(
            dict.fromkeys(["snapshot", f"source:{source.name}", *(tag for table in group.tables for tag in table.tags)])
        ),
        description=_one_line(first.description)
        if len(group.tables) == 1
        else f"Snapshots of {', '.join(table.name for table in group.tables)}",
        doc=_group_doc(group, source, schedule),
        retries=max(table.retries for table in group.tables),
        retry_delay=max(table.retry_delay for table in group.tables),
        known_tables=known,
        notify=manifest.notify,
    )


def _midnight(day: date, source: Source) -> DateTime:
    return pendulum.datetime(day.year, day.month, day.day, tz=source.time_zone)


def _plan_training(manifest: Manifest, training: Training) -> TrainingPlan:
    inputs = tuple(
        InputSpec(table=table, mode=read.mode, window=read.window) for table, read in training.inputs.items()
    )
    return TrainingPlan(
        dag_id=training_dag_id(training.name),
        training=training,
        store=manifest.store,
        spark=manifest.spark,
        dated_inputs=training.dated_inputs,
        inputs=inputs,
        schedule=manifest.schedule_of(manifest.tables[training.dated_inputs[0]]),
        owner=training.owner,
        tags=tuple(dict.fromkeys(["training", *training.tags])),
        description=_one_line(training.description),
        doc=_training_doc(training, inputs),
        retries=training.retries,
        retry_delay=training.retry_delay,
        notify=manifest.notify,
    )


def _group_doc(group: Group, source: Source, schedule: Schedule) -> str:
    rows = "\n".join(
        f"| `{table.name}` | `{table.table}` | {_history(table)} | {_one_line(table.description)} |"
        for table in group.tables
    )
    return (
        f"Snapshots of {_names(group)} from the source `{source.name}`, for each interval of `{schedule.cron}` "
        f"in {source.time_zone}.\n\n"
        f"| table | in the source | history | description |\n|---|---|---|---|\n{rows}\n\n{_masked_doc(group)}"
        "**By hand:** give the param `as_of` (the start of the interval: `2013-06-12` captures 12 June). Without it, a "
        "logical date means the interval that had just ended at that moment, as everywhere in Airflow, and none at all "
        "the last complete interval.\n\n"
        f"**Many dates:** `python -m logical_warehouse backfill {group.name} <first> <last>`. Airflow's own backfill "
        f"captures the intervals that start between two moments in UTC{_example_of_a_start(schedule)}."
    )


@cache  # most groups of a manifest share a few schedules
def _example_of_a_start(schedule: Schedule) -> str:
    interval = schedule.first_from(pendulum.datetime(2013, 6, 11, 12))
    return f": that of `{interval.as_of}` starts at `{utc_text(interval.start)}`"


def _masked_doc(group: Group) -> str:
    """A line for each table with masked columns."""
    lines = ""
    for table in group.tables:
        masks = (table.columns.mask or {}) if table.columns is not None else {}
        if masks:
            listed = ", ".join(f"`{column}` ({mask})" for column, mask in masks.items())
            lines += f"**Masked in the source**, of `{table.name}`: {listed}.\n\n"
    return lines


def _training_doc(training: Training, inputs: tuple[InputSpec, ...]) -> str:
    wording = {
        "all": "all intervals up to the as-of date",
        "latest": "the newest snapshot",
        "at_or_before": "the newest snapshot that had ended with the as-of date",
    }
    rows = "\n".join(
        f"| `{spec.table}` | {wording.get(spec.mode) or f'the last {spec.window} interval(s) up to the as-of date'} |"
        for spec in inputs
    )
    return (
        f"{training.description.strip()}\n\n"
        f"| input | what is read |\n|---|---|\n{rows}\n\n"
        "Runs once for each as-of date that all dated inputs have; the date is the run's *partition key*. "
        f"For given dates by hand: `python -m logical_warehouse trainings run {training.name} 2013-06-01`."
    )


def _history(table: Table) -> str:
    history = table.history
    match history.mode:
        case "interval":
            again = f", and the {history.lookback} interval(s) before it again" if history.lookback else ""
            return f"rows of the interval by `{history.column}`{again}"
        case "valid_between":
            return f"rows valid at the end of the interval by `{history.valid_from}` and `{history.valid_to}`"
        case "time_travel":
            return "the source's own history at the end of the interval"
        case "current":
            return "as it is now"
        case _:
            assert_never(history.mode)


def _names(group: Group) -> str:
    return ", ".join(f"`{table.name}`" for table in group.tables)


def _one_line(text: str) -> str:
    return " ".join(text.split())
