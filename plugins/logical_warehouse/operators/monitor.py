"""``compare``: what was published against what the store holds; marks losses, tells of them, has them repaired."""

from __future__ import annotations

import re
from collections.abc import Collection, Iterator, Mapping, Sequence
from dataclasses import dataclass
from datetime import datetime, timedelta
from typing import TYPE_CHECKING, Any

import pendulum
from airflow.sdk import Asset, BaseOperator, Variable
from airflow.sdk.exceptions import AirflowException
from warehouse.failures import PermanentError, RetryableError
from warehouse.lost_marks import LostMark, LostMarks, LostPart, few, marks_path
from warehouse.metadata_files import MAIN
from warehouse.spec_json import to_json
from warehouse.train_spec import KEPT_PREFIX

from logical_warehouse.intervals import utc_text
from logical_warehouse.losses import (
    Decision,
    Held,
    HeldPart,
    Publication,
    Published,
    Repair,
    decide,
    in_order,
    lost,
    overdue,
    repairs,
    sure,
)
from logical_warehouse.manifest.section import duration_text
from logical_warehouse.notifying import failure_sentence
from logical_warehouse.operators.asset_events import read_published
from logical_warehouse.operators.failing import airflow_failures
from logical_warehouse.operators.runs import AirflowRuns
from logical_warehouse.operators.telling import Problem, tell_once
from logical_warehouse.plan import MonitorPlan, asset_uri
from logical_warehouse.pools import POOLS_VARIABLE, ensure_pool
from logical_warehouse.store_contents import held_in, read_marks, remove_unreadable
from logical_warehouse.store_files import StoreFiles, path_in, store_files, tables_path
from logical_warehouse.store_health import StoreHealth, ask_alluxio

if TYPE_CHECKING:
    from airflow.sdk import Context

MOST_REPAIRS = 200
"""Runs that one look asks for; the next one asks for the rest."""
MOST_LOOKS = 4
"""Looks whose repairs may be under way at once. Airflow lets 16 runs of a DAG be active: one that looks is to be among
them, however many repairs wait."""


@dataclass(frozen=True)
class Look:
    """What one look found of a table. ``before``: the marks of the look before; ``unreadable_since`` and ``parts``: as
    in those. ``is_unwritable``: as of what the store holds."""

    before: LostMarks
    losses: tuple[Publication, ...]
    unreadable_since: str
    parts: tuple[LostPart, ...] = ()
    is_unwritable: bool = False


@dataclass(frozen=True)
class _Waiting:
    """Whether what is lost may come back. ``limit``: how long a worker is waited for; ``now``: of this look.

    Neither the listing nor the lost workers that Alluxio knows prove that memory is gone for good: it forgets workers
    that are away, and knows none that has not come back since its master was started.
    """

    limit: timedelta
    health: StoreHealth | None
    now: pendulum.DateTime

    @property
    def away(self) -> int:
        """Workers of which Alluxio knows that they are."""
        return self.health.lost_workers if self.health is not None else 0

    def is_over(self, since: str) -> bool:
        """Whether what was lost at a look (ISO 8601 in UTC) and at all after it does not come back any more."""
        return not self.away and self.now >= self._until(since)

    def for_what_was_lost(self, since: str) -> str:
        """Why it may come back, up to "if not"."""
        if self.away:
            return f"{self.away} worker(s) of Alluxio are away and may bring them back; if not"
        return (
            f"a worker of Alluxio may come back and bring them; if none has by {utc_text(self._until(since))} "
            f"(monitor.wait_for_workers in the manifest is {duration_text(self.limit)})"
        )

    def parts(self, held: Held, before: LostMarks, losses: Sequence[Publication]) -> tuple[LostPart, ...]:
        """The marks of what is lost, first noticed now or before.

        What ``main`` has lost of a date is the same as before, unless the date itself was published anew; and so is, of
        intervals, a manifest that is lost: each commit takes it over.
        """
        lost_before = {(mark.as_of, mark.published_at) for mark in before.marks}
        as_before = {loss.as_of for loss in losses if (loss.as_of, loss.published_at) in lost_before}
        noticed = {key: part.noticed_at for part in before.parts for key in _held_part(part).keys}
        found = []
        for one in held.parts:
            is_as_before = one.as_of in as_before or (held.unwritable and one.lists)
            keys = one.keys if is_as_before else {(one.iceberg_snapshot_id, one.as_of)}
            since = min((noticed[key] for key in keys & noticed.keys()), default=utc_text(self.now))
            gone = self.is_over(since)
            found.append(LostPart(one.iceberg_snapshot_id, one.as_of, one.names, since, gone, one.lists))
        return tuple(found)

    def _until(self, since: str) -> pendulum.DateTime:
        until = pendulum.instance(datetime.fromisoformat(since)) + self.limit
        if self.health is not None:
            until = max(until, self.now - timedelta(seconds=self.health.up_seconds) + self.limit)
        return until


class CompareOperator(BaseOperator):
    """Finds lost and late snapshots; returns the runs that bring lost ones back, for the task that starts them.

    Each is a mapping with the arguments of ``TriggerDagRunOperator``: ``trigger_dag_id``, ``trigger_run_id``, ``conf``.
    """

    def __init__(self, *, plan: MonitorPlan, **kwargs: Any) -> None:
        super().__init__(inlets=assets_of(plan), **kwargs)
        self.plan = plan

    @airflow_failures
    def execute(self, context: Context) -> list[dict[str, Any]]:
        try:
            return self._compare(context)
        except (PermanentError, RetryableError) as error:
            # A store that is away, say, is away at many looks.
            tell_once(self.plan.notify, context, [_failure(context, error)], forget_others=False)
            raise

    def _compare(self, context: Context) -> list[dict[str, Any]]:
        now = pendulum.now("UTC")
        # The events first: what is published or ended between the two looks is then no loss.
        published = self._published(context)
        files = store_files(self.plan.store)
        health = self._ask_store()
        wait = _Waiting(self.plan.wait_for_workers, health, now)
        looks, damaged = self._look(files, published, wait)
        unreadable = {table: why for table, look in looks.items() if (why := self._left(files, look, wait))}
        losses = {table: look.losses for table, look in looks.items()}
        no_pool = self._no_pool()
        remedies, runs = self._remedies(losses, unreadable, AirflowRuns(context["ti"]), now, no_pool)
        self._mark(files, looks, unreadable, remedies, now)
        inputs = (problem for look in looks.values() for problem in _input_problems(look))
        lost_problems = _lost_problems(losses, remedies)
        late = self._late_problems(published, now)
        failure = PermanentError(no_pool) if runs and no_pool is not None else None
        failures = [_failure(context, failure)] if failure is not None else []
        tell_once(self.plan.notify, context, [*failures, *damaged, *lost_problems, *inputs, *late])
        if failure is not None:
            raise failure
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
        self, files: StoreFiles, published: Mapping[str, Published], wait: _Waiting
    ) -> tuple[dict[str, Look], list[Problem]]:
        """What each table has lost, also of what Airflow does not remember.

        Of those with damaged metadata nothing is known, and people are told.
        """
        store = self.plan.store
        looks, damaged = {}, []
        for table in (table for group in self.plan.groups for table in group.tables):
            try:
                held = held_in(files, tables_path(store), table.name)
                losses = lost(published[table.name], held, table.retention)
                if losses or held.parts or held.unreadable:
                    held = sure(held, held_in(files, tables_path(store), table.name))
                    losses = lost(published[table.name], held, table.retention)
            except FileNotFoundError:
                # A run's commit removed what was listed; this look knows nothing of the table.
                self.log.info("%s changes while it is looked at: the next look tells more", table.name)
                continue
            except ValueError as error:  # NotAvro, or JSON that is none
                damaged.append(_damaged(table.name, error))
                continue
            before = read_marks(files, store, table.name)
            since = (before.unreadable_since or utc_text(wait.now)) if held.unreadable else ""
            parts = wait.parts(held, before, losses)
            looks[table.name] = Look(before, losses, since, parts, held.unwritable)
        return looks, damaged

    def _left(self, files: StoreFiles, look: Look, wait: _Waiting) -> str:
        """Remove what is left of a table whose metadata are lost; or why no run can write to it, and until when.

        Of one whose kept inputs can still be read the run itself takes out what is lost, once it does not come back.
        """
        table = look.before.table
        if look.is_unwritable:
            main = next(part for part in look.parts if MAIN in part.names)
            return "" if main.gone else f"{wait.for_what_was_lost(main.noticed_at)}, the next run lets it go"
        if not look.unreadable_since:
            return ""
        by_hand = (
            f"`python -m logical_warehouse tables drop {table}` removes what is left, and the monitor then has it "
            "captured again"
        )
        if not self.plan.repair:
            return by_hand
        if wait.is_over(look.unreadable_since):
            remove_unreadable(files, tables_path(self.plan.store), table)
            self.log.warning("table %s had lost its metadata; what was left of it was removed from the store", table)
            return ""
        if wait.away:
            return f"{wait.for_what_was_lost(look.unreadable_since)}, {by_hand}"
        return (
            f"{wait.for_what_was_lost(look.unreadable_since)}, the monitor removes what is left and has it captured "
            f"again; until then, {by_hand} at once"
        )

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
        room = MOST_REPAIRS if runs.running(self.plan.dag_id) <= MOST_LOOKS else 0
        for repair in in_order(wanted, self.plan.training_inputs):
            decision = decide(repair, runs, enabled=self.plan.repair, no_pool=no_pool)
            remedies |= {(table, repair.as_of): decision for table in repair.tables}
            if decision.run_id is not None and len(starts) < room:
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
                look.parts,
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


def assets_of(plan: MonitorPlan) -> list[Asset]:
    """The assets of all tables, in the manifest's order."""
    tables = (table.name for group in plan.groups for table in group.tables)
    return [Asset(name=name, uri=asset_uri(plan.store, name)) for name in tables]


def _failure(context: Context, error: Exception) -> Problem:
    """That a look failed. It is the same whatever the numbers in its sentence are the next time."""
    sentence = failure_sentence({**context, "exception": AirflowException(str(error))})
    return Problem(f"look failed: {re.sub(r'[0-9]+([.,][0-9]+)*', '#', str(error))}", sentence)


def _held_part(part: LostPart) -> HeldPart:
    return HeldPart(part.iceberg_snapshot_id, part.as_of, part.names, part.lists)


def _damaged(table: str, error: ValueError) -> Problem:
    return Problem(
        f"damaged {table}",
        f"table {table}: its metadata in the store cannot be read, so that nobody knows what it has lost: {error}; "
        f"remove the table (take it out of the manifest, `python -m logical_warehouse tables drop {table}`, put it "
        "back), and run its dates again",
    )


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


def _input_problems(look: Look) -> Iterator[Problem]:
    """Inputs that trainings keep and that cannot be read again as they were."""
    table = look.before.table
    lost: dict[tuple[str, int], list[str]] = {}
    for part in look.parts:
        for name in (name for name in part.names if name.startswith(KEPT_PREFIX)):
            lost.setdefault((name, part.iceberg_snapshot_id), []).append(part.as_of)
    for (name, snapshot_id), labels in lost.items():
        what = f"the rows as of {few(labels)} of the input" if all(labels) else "the input"
        yield Problem(
            f"lost input {table} {name} {snapshot_id}",
            f"table {table}: {what} that a training keeps as {name} (Iceberg snapshot {snapshot_id}) is lost, the "
            "store no longer holds it in memory; no run brings it back, only the worker that had it",
            table,
        )
