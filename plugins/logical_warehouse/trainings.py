"""Commands for trainings: run one for given dates; show and clear dates that have only some of their inputs.

They work on Airflow's metadata database, as Airflow's own commands do, and so run where ``airflow`` runs. Airflow (3.3)
cannot backfill a DAG that is scheduled by partitioned assets, keeps a half-arrived date pending for ever, and looks at
the 500 oldest pending dates only: a newer, complete one waits behind them (``MAX_PARTITION_DAG_RUNS_PER_LOOP``).
"""

from __future__ import annotations

import argparse
import sys
from collections.abc import Iterable, Sequence
from dataclasses import dataclass
from typing import TYPE_CHECKING

from warehouse.failures import PermanentError

from logical_warehouse.intervals import NotAnAsOf
from logical_warehouse.manifest.commands import add_manifest_option
from logical_warehouse.named_plans import find_training
from logical_warehouse.plan import TrainingPlan
from logical_warehouse.terminal import print_table

if TYPE_CHECKING:
    from datetime import datetime

    from sqlalchemy.orm import Session

SCHEDULER_LOOK_AHEAD = 500
"""Pending dates, oldest first over all DAGs, among which Airflow's scheduler finds complete ones."""


@dataclass(frozen=True)
class PendingDate:
    """A date that waits for inputs. ``position``: its place in the scheduler's queue, from 1."""

    as_of: str
    arrived: tuple[str, ...]
    missing: tuple[str, ...]
    since: datetime
    position: int

    @property
    def complete(self) -> bool:
        """All inputs are there: the scheduler starts the run as soon as it looks at it."""
        return not self.missing


def pending_dates(plan: TrainingPlan, session: Session) -> tuple[PendingDate, ...]:
    """The dates of a training that have an input but no run yet, oldest first."""
    from airflow.models.asset import AssetModel, AssetPartitionDagRun, PartitionedAssetKeyLog
    from airflow.models.dag import DagModel
    from sqlalchemy import select

    queue = session.execute(
        select(
            AssetPartitionDagRun.id,
            AssetPartitionDagRun.target_dag_id,
            AssetPartitionDagRun.partition_key,
            AssetPartitionDagRun.created_at,
        )
        .join(DagModel, DagModel.dag_id == AssetPartitionDagRun.target_dag_id)
        .where(AssetPartitionDagRun.created_dag_run_id.is_(None), DagModel.is_stale.is_(False))
        .order_by(AssetPartitionDagRun.created_at, AssetPartitionDagRun.id)
    ).all()
    arrived: dict[int, set[str]] = {}
    for pending_id, asset in session.execute(
        select(PartitionedAssetKeyLog.asset_partition_dag_run_id, AssetModel.name)
        .join(AssetModel, AssetModel.id == PartitionedAssetKeyLog.asset_id)
        .where(PartitionedAssetKeyLog.target_dag_id == plan.dag_id)
    ):
        arrived.setdefault(pending_id, set()).add(asset)
    return tuple(
        PendingDate(
            as_of=row.partition_key,
            arrived=tuple(name for name in plan.dated_inputs if name in arrived.get(row.id, ())),
            missing=tuple(name for name in plan.dated_inputs if name not in arrived.get(row.id, ())),
            since=row.created_at,
            position=position,
        )
        for position, row in enumerate(queue, start=1)
        if row.target_dag_id == plan.dag_id
    )


def clear_pending(plan: TrainingPlan, dates: Iterable[str], session: Session) -> int:
    """Forget the given pending dates of a training; returns how many. Their snapshots stay published."""
    from airflow.models.asset import AssetPartitionDagRun, PartitionedAssetKeyLog
    from sqlalchemy import delete, select

    ids = list(
        session.scalars(
            select(AssetPartitionDagRun.id).where(
                AssetPartitionDagRun.target_dag_id == plan.dag_id,
                AssetPartitionDagRun.created_dag_run_id.is_(None),
                AssetPartitionDagRun.partition_key.in_(list(dates)),
            )
        )
    )
    session.execute(delete(PartitionedAssetKeyLog).where(PartitionedAssetKeyLog.asset_partition_dag_run_id.in_(ids)))
    session.execute(delete(AssetPartitionDagRun).where(AssetPartitionDagRun.id.in_(ids)))
    return len(ids)


def run_training(plan: TrainingPlan, dates: Sequence[str]) -> list[str]:
    """Start a run of the training for each date; returns their run ids.

    :raises PermanentError: a date is no as-of date of the training's inputs; nothing is started then.
    """
    from airflow.api.common.trigger_dag import trigger_dag
    from airflow.utils.types import DagRunTriggeredByType

    try:
        labels = [plan.schedule.interval_of_label(date).as_of for date in dates]
    except NotAnAsOf as error:
        raise PermanentError(f"The training {plan.training.name} cannot run: {error}") from error
    run_ids = []
    for label in labels:
        run = trigger_dag(dag_id=plan.dag_id, triggered_by=DagRunTriggeredByType.CLI, partition_key=label)
        assert run is not None
        run_ids.append(run.run_id)
    return run_ids


def register(subparsers: argparse._SubParsersAction[argparse.ArgumentParser]) -> None:
    """Add ``trainings run|pending|clear`` to the command line."""
    parser = subparsers.add_parser(
        "trainings", help="run a training for given dates; show and clear half-arrived dates"
    )
    actions = parser.add_subparsers(dest="action", required=True)
    run = actions.add_parser("run", help="start the training for as-of dates, whatever Airflow has pending")
    pending = actions.add_parser("pending", help="show dates that wait for some of their inputs")
    clear = actions.add_parser("clear", help="forget pending dates (their snapshots stay published)")
    for action in (run, pending, clear):
        action.add_argument("training", help="name of the training in the manifest")
        add_manifest_option(action)
    run.add_argument("dates", nargs="+", metavar="as-of date")
    clear.add_argument("dates", nargs="*", metavar="as-of date")
    clear.add_argument("--incomplete", action="store_true", help="all dates that still miss an input")
    run.set_defaults(execute=_run)
    pending.set_defaults(execute=_pending)
    clear.set_defaults(execute=_clear)


def _run(arguments: argparse.Namespace) -> int:
    plan = find_training(arguments.manifest, arguments.training)
    for date, run_id in zip(arguments.dates, run_training(plan, arguments.dates), strict=True):
        print(f"{plan.dag_id} as of {date}: {run_id}")
    return 0


def _pending(arguments: argparse.Namespace) -> int:
    from airflow.utils.session import create_session
    from rich.table import Table

    plan = find_training(arguments.manifest, arguments.training)
    with create_session() as session:
        dates = pending_dates(plan, session)
    table = Table("as of", "arrived", "missing", "since", "queue", title=f"{plan.dag_id}: {len(dates)} pending")
    for date in dates:
        table.add_row(
            date.as_of,
            ", ".join(date.arrived),
            ", ".join(date.missing),
            f"{date.since:%Y-%m-%d %H:%M}",
            str(date.position),
        )
    print_table(table)
    blocked = [date.as_of for date in dates if date.complete and date.position > SCHEDULER_LOOK_AHEAD]
    if blocked:
        print(
            f"{len(blocked)} complete date(s) wait behind {SCHEDULER_LOOK_AHEAD} older ones, which is as far as "
            f"Airflow looks: clear the incomplete ones (`trainings clear {plan.training.name} --incomplete`), or run "
            f"them by `trainings run {plan.training.name} {blocked[0]}`."
        )
    return 0


def _clear(arguments: argparse.Namespace) -> int:
    from airflow.utils.session import create_session

    plan = find_training(arguments.manifest, arguments.training)
    if bool(arguments.dates) == arguments.incomplete:
        raise PermanentError("Give either as-of dates or --incomplete.")
    with create_session() as session:
        dates = arguments.dates or [date.as_of for date in pending_dates(plan, session) if not date.complete]
        cleared = clear_pending(plan, dates, session)
    print(f"{plan.dag_id}: {cleared} pending date(s) cleared")
    if (others := len(set(dates)) - cleared) > 0:
        print(f"{others} of the dates asked for are not pending: see `trainings pending`", file=sys.stderr)
        return 1
    return 0
