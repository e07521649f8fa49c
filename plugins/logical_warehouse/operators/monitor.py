"""``compare``: what was published against what the store holds; marks losses, tells of them, has them repaired."""

from __future__ import annotations

import json
from collections.abc import Collection, Iterable, Iterator, Mapping
from dataclasses import dataclass
from datetime import datetime, timedelta
from typing import TYPE_CHECKING, Any

import pendulum
from airflow.sdk import Asset, BaseOperator, Variable
from warehouse.failures import PermanentError
from warehouse.lost_marks import LostMark, LostMarks, marks_path
from warehouse.spec_json import to_json

from logical_warehouse.intervals import utc_text
from logical_warehouse.losses import (
    Decision,
    Publication,
    Published,
    Repair,
    decide,
    in_order,
    lost,
    overdue,
    repairs,
)
from logical_warehouse.manifest.section import duration_text
from logical_warehouse.notifying import tell
from logical_warehouse.operators.asset_events import read_published
from logical_warehouse.operators.failing import airflow_failures
from logical_warehouse.operators.runs import AirflowRuns
from logical_warehouse.plan import MonitorPlan, asset_uri
from logical_warehouse.pools import POOLS_VARIABLE, ensure_pool
from logical_warehouse.store_contents import held_in, read_marks, remove_unreadable
from logical_warehouse.store_files import StoreFiles, path_in, store_files, tables_path
from logical_warehouse.store_health import StoreHealth, ask_alluxio

if TYPE_CHECKING:
    from airflow.sdk import Context

MOST_REPAIRS = 200
"""Runs that one look asks for; the next one asks for the rest."""
TOLD_VARIABLE = "warehouse_told"
"""Airflow variable: JSON list of the problems of which the notifiers were told, so that each is told of once."""
MOST_MESSAGES = 5
"""About the losses of one table at once."""


@dataclass(frozen=True)
class Problem:
    """Something that people are told of once. ``key``: what makes it the same problem the next time. ``table``: that
    with many others of it a message tells of them together."""

    key: str
    sentence: str
    table: str = ""


@dataclass(frozen=True)
class Look:
    """What one look found of a table. ``before``: the marks of the look before; ``unreadable_since``: as in those."""

    before: LostMarks
    losses: tuple[Publication, ...]
    unreadable_since: str


class CompareOperator(BaseOperator):
    """Finds lost and late snapshots; returns the runs that bring lost ones back, for the task that starts them.

    Each is a mapping with the arguments of ``TriggerDagRunOperator``: ``trigger_dag_id``, ``trigger_run_id``, ``conf``.
    """

    def __init__(self, *, plan: MonitorPlan, **kwargs: Any) -> None:
        super().__init__(inlets=assets_of(plan), **kwargs)
        self.plan = plan

    @airflow_failures
    def execute(self, context: Context) -> list[dict[str, Any]]:
        now = pendulum.now("UTC")
        # The events first: what is published or ended between the two looks is then no loss.
        published = self._published(context)
        files = store_files(self.plan.store)
        health = self._ask_store()
        looks, damaged = self._look(files, published, now)
        unreadable = {table: why for table, look in looks.items() if (why := self._left(files, look, health, now))}
        losses = {table: look.losses for table, look in looks.items()}
        no_pool = self._no_pool()
        remedies, runs = self._remedies(losses, unreadable, AirflowRuns(context["ti"]), now, no_pool)
        self._mark(files, looks, unreadable, remedies, now)
        self._tell(context, [*damaged, *_lost_problems(losses, remedies), *self._late_problems(published, now)])
        if runs and no_pool is not None:
            raise PermanentError(no_pool)
        self.log.info(
            "%d snapshot(s) published, %d lost, %d run(s) to bring them back",
            sum(len(one.newest) for one in published.values()),
            sum(map(len, losses.values())),
            len(runs),
        )
        return runs

    def _ask_store(self) -> StoreHealth | None:
        """How Alluxio is; None for another store, which loses nothing by itself.

        :raises RetryableError: all workers are away: all would seem lost, and nothing could be captured again.
        """
        store = self.plan.store
        if store.web is None:
            return None
        return ask_alluxio(store.uri, store.web, memory_only=store.memory_only)

    def _no_pool(self) -> str | None:
        """Why the task that starts runs would wait for ever, if it would. Losses are marked and told all the same."""
        try:
            ensure_pool(Variable.get(POOLS_VARIABLE, default=None), self.plan.pool, 1)
        except PermanentError as error:
            return str(error).rstrip(".")
        return None

    def _published(self, context: Context) -> dict[str, Published]:
        found = {}
        retentions = {table.name: table.retention for group in self.plan.groups for table in group.tables}
        for asset in assets_of(self.plan):
            found[asset.name] = read_published(context["inlet_events"][asset], retentions[asset.name])
        return found

    def _look(
        self, files: StoreFiles, published: Mapping[str, Published], now: pendulum.DateTime
    ) -> tuple[dict[str, Look], list[Problem]]:
        """What each published table has lost; of those with damaged metadata nothing is known, and people are told."""
        store = self.plan.store
        looks, damaged = {}, []
        for table in (table for group in self.plan.groups for table in group.tables):
            if not published[table.name].newest:
                continue
            try:
                held = held_in(files, tables_path(store), table.name)
            except FileNotFoundError:
                # A run's commit removed what was listed; this look knows nothing of the table.
                self.log.info("%s changes while it is looked at: the next look tells more", table.name)
                continue
            except ValueError as error:  # NotAvro, or JSON that is none
                damaged.append(_damaged(table.name, error))
                continue
            before = read_marks(files, store, table.name)
            since = (before.unreadable_since or utc_text(now)) if held.unreadable else ""
            looks[table.name] = Look(before, lost(published[table.name], held, table.retention), since)
        return looks, damaged

    def _left(self, files: StoreFiles, look: Look, health: StoreHealth | None, now: pendulum.DateTime) -> str:
        """Remove what is left of a table whose metadata are lost; or why that is left where it is, until when.

        Neither the listing nor the lost workers that Alluxio knows prove that metadata are gone for good: it forgets
        workers that are away, and knows none that has not come back since its master was started.
        """
        if not look.unreadable_since:
            return ""
        table, wait = look.before.table, self.plan.wait_for_workers
        by_hand = (
            f"`python -m logical_warehouse tables drop {table}` removes what is left, and the monitor then has it "
            "captured again"
        )
        if not self.plan.repair:
            return by_hand
        if health is not None and health.lost_workers:
            return f"{health.lost_workers} worker(s) of Alluxio are away and may bring them back; if not, {by_hand}"
        removed_at = pendulum.instance(datetime.fromisoformat(look.unreadable_since)) + wait
        if health is not None:
            removed_at = max(removed_at, now - timedelta(seconds=health.up_seconds) + wait)
        if now < removed_at:
            return (
                f"a worker of Alluxio may come back and bring them; if none has by {utc_text(removed_at)} "
                f"(monitor.wait_for_workers in the manifest is {duration_text(wait)}), the monitor removes what is "
                f"left and has it captured again; until then, {by_hand} at once"
            )
        remove_unreadable(files, tables_path(self.plan.store), table)
        self.log.warning("table %s had lost its metadata; what was left of it was removed from the store", table)
        return ""

    def _remedies(
        self,
        losses: Mapping[str, tuple[Publication, ...]],
        unreadable: Mapping[str, str],
        runs: AirflowRuns,
        now: pendulum.DateTime,
        no_pool: str | None,
    ) -> tuple[dict[tuple[str, str], Decision], list[dict[str, Any]]]:
        """For each lost table and date what becomes of it, and the arguments of the runs to start, in order."""
        remedies: dict[tuple[str, str], Decision] = {}
        wanted: list[Repair] = []
        for group in self.plan.groups:
            possible, hopeless = repairs(group, losses, now, unreadable)
            wanted += possible
            remedies |= {(table, one.as_of): Decision(one.reason) for one in hopeless for table in one.tables}
        starts: list[dict[str, Any]] = []
        for repair in in_order(wanted, self.plan.training_inputs):
            decision = decide(repair, runs, enabled=self.plan.repair, no_pool=no_pool)
            remedies |= {(table, repair.as_of): decision for table in repair.tables}
            if decision.run_id is not None and len(starts) < MOST_REPAIRS:
                conf = {"as_of": repair.as_of}
                starts.append({"trigger_dag_id": repair.dag_id, "trigger_run_id": decision.run_id, "conf": conf})
        return remedies, starts

    def _mark(
        self,
        files: StoreFiles,
        looks: Mapping[str, Look],
        unreadable: Collection[str],
        remedies: Mapping[tuple[str, str], Decision],
        now: pendulum.DateTime,
    ) -> None:
        """Write the marks of each table where they changed.

        None into a store that was emptied: its folder is made, and pinned, by the first run that writes to it, and
        Alluxio's S3 takes no file before. Nobody reads anything there that a mark could explain.
        """
        store = self.plan.store
        if not files.folders(path_in(store.uri).rstrip("/")):
            return
        for table, look in looks.items():
            noticed = {(mark.as_of, mark.published_at): mark.noticed_at for mark in look.before.marks}
            marks = LostMarks(
                table,
                tuple(
                    LostMark(
                        one.as_of,
                        one.published_at,
                        noticed.get((one.as_of, one.published_at), utc_text(now)),
                        remedies[table, one.as_of].remedy,
                        remedies[table, one.as_of].under_way,
                        one.end,
                    )
                    for one in look.losses
                ),
                look.unreadable_since if table in unreadable else "",
            )
            if marks != look.before:
                files.write(path_in(marks_path(store.uri, store.namespace, table)), to_json(marks).encode())

    def _late_problems(self, published: Mapping[str, Published], now: pendulum.DateTime) -> list[Problem]:
        found = []
        for group in self.plan.groups:
            limits = {table.name: table.freshness for table in group.tables}
            for table, interval in overdue(group, published, now):
                limit = limits[table]
                assert limit is not None, "else it is not overdue"
                found.append(
                    Problem(
                        f"late {table} {interval.as_of}",
                        f"table {table} as of {interval.as_of} is late: it was to be published by "
                        f"{utc_text(interval.end + limit)} (freshness {duration_text(limit)} in the manifest); see the "
                        f"runs of {group.dag_id}",
                    )
                )
        return found

    def _tell(self, context: Context, problems: list[Problem]) -> None:
        told = set(json.loads(Variable.get(TOLD_VARIABLE, default="[]")))
        still = {problem.key for problem in problems} & told
        fresh = [problem for problem in problems if problem.key not in told]
        for problem in fresh:
            self.log.warning("%s", problem.sentence)
        for message, of_message in _messages(fresh):
            if tell(self.plan.notify, context, message):
                still |= {problem.key for problem in of_message}
        if still != told:
            Variable.set(TOLD_VARIABLE, json.dumps(sorted(still)))


def assets_of(plan: MonitorPlan) -> list[Asset]:
    """The assets of all tables, in the manifest's order."""
    tables = (table.name for group in plan.groups for table in group.tables)
    return [Asset(name=name, uri=asset_uri(plan.store, name)) for name in tables]


def _damaged(table: str, error: ValueError) -> Problem:
    return Problem(
        f"damaged {table}",
        f"table {table}: its metadata in the store cannot be read, so that nobody knows what it has lost: {error}; "
        f"remove the table (take it out of the manifest, `python -m logical_warehouse tables drop {table}`, put it "
        "back), and run its dates again",
    )


def _messages(problems: Iterable[Problem]) -> Iterator[tuple[str, list[Problem]]]:
    """One of each problem; but of a table that has lost many dates, as after a cold restart, one of all."""
    of_table: dict[str, list[Problem]] = {}
    for problem in problems:
        of_table.setdefault(problem.table or problem.key, []).append(problem)
    for found in of_table.values():
        if len(found) <= MOST_MESSAGES:
            yield from ((problem.sentence, [problem]) for problem in found)
        else:
            more = f"; and so are {len(found) - 1} more of its snapshots, each of which the log of this task names"
            yield f"{found[0].sentence}{more}", found


def _lost_problems(
    losses: Mapping[str, tuple[Publication, ...]], remedies: Mapping[tuple[str, str], Decision]
) -> list[Problem]:
    return [
        Problem(
            f"lost {one.table} {one.as_of} {one.published_at}",
            f"table {one.table} as of {one.as_of} is lost, the store no longer holds it in memory: "
            f"{remedies[one.table, one.as_of].remedy}",
            one.table,
        )
        for of_table in losses.values()
        for one in of_table
    ]
