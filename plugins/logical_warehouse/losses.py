"""What was published and is no longer held, what is late, and in which order lost dates are captured again. Pure."""

from __future__ import annotations

import hashlib
import json
from collections.abc import Collection, Iterable, Mapping
from contextlib import suppress
from dataclasses import dataclass, field
from types import MappingProxyType
from typing import Any, Protocol

from pendulum import DateTime
from warehouse.expire_spec import ENDED_BY_HAND, Ending
from warehouse.failures import PermanentError
from warehouse.metadata_files import MAIN
from warehouse.retention import Bounds, ended_by
from warehouse.spec_json import SpecError, from_json

from logical_warehouse.history import ensure_capturable, ensure_in_range
from logical_warehouse.intervals import Interval, NotAnAsOf
from logical_warehouse.plan import SnapshotPlan

ATTEMPTS = 3
"""Runs that try to bring one lost snapshot back, before somebody has to look."""


@dataclass(frozen=True)
class Publication:
    """What an asset event says of a snapshot. ``start``, ``end`` and ``published_at``: ISO 8601 in UTC."""

    table: str
    as_of: str
    start: str
    end: str
    published_at: str
    run_id: str


@dataclass(frozen=True)
class Published:
    """What the events of a table say: the newest publication of each date, and when each date was let go on purpose.

    ``expired``: as-of date → moment of the run whose publishing ended it. ``by_hand``: what the command `expire` ended.
    """

    newest: Mapping[str, Publication] = field(default_factory=dict)
    expired: Mapping[str, str] = field(default_factory=dict)
    by_hand: tuple[Ending, ...] = ()

    def is_ended(self, one: Publication) -> bool:
        """Whether an event says that the date was let go after it was published."""
        ended = (ending.at for ending in self.by_hand if ending.includes(one.as_of))
        return max(self.expired.get(one.as_of, ""), *ended, "") > one.published_at

    def after(self, earlier: Published) -> Published:
        """What these events say together with ``earlier`` ones."""
        return Published(
            {**earlier.newest, **self.newest}, {**earlier.expired, **self.expired}, (*self.by_hand, *earlier.by_hand)
        )

    def kept_from(self, retention: Bounds) -> str:
        """Start of the oldest of these dates that ``retention`` keeps; empty while it ends none of them."""
        ended = ended_by(retention, self.newest.values())
        if not ended:
            return ""
        return min((one.start for one in self.newest.values() if one.start > ended[-1].start), default="")


@dataclass(frozen=True)
class HeldPart:
    """What is lost of an Iceberg snapshot, as :class:`LostPart` says."""

    iceberg_snapshot_id: int
    as_of: str
    names: tuple[str, ...]
    lists: bool = False

    @property
    def keys(self) -> set[tuple[int | str, str]]:
        """By which another look knows it: ``main`` stands at another snapshot when a date was published meanwhile."""
        by_id: set[tuple[int | str, str]] = {(self.iceberg_snapshot_id, self.as_of)}
        return by_id | {(MAIN, self.as_of)} if MAIN in self.names else by_id


@dataclass(frozen=True)
class Held:
    """What the store has of a table. ``whole``: as-of date → start, of the snapshots whose every byte is in memory;
    ``broken``: likewise, of those that are listed and lack some. ``retained_from``: what starts earlier was ended.
    ``unreadable``: the table is listed and its own metadata are lost, so that no run can write to it. ``parts``: what
    its branches and tags have lost. ``unwritable``: what lists the files of ``main`` is lost in a table of intervals,
    so that no run can commit until it is let go."""

    whole: Mapping[str, str] = field(default_factory=dict)
    broken: Mapping[str, str] = field(default_factory=dict)
    retained_from: str = ""
    unreadable: bool = False
    parts: tuple[HeldPart, ...] = ()
    unwritable: bool = False


@dataclass(frozen=True)
class Repair:
    """Dates of a group to be captured again by one run. ``tables``: those that lost it; ``token``: names the loss."""

    dag_id: str
    as_of: str
    end: DateTime
    tables: tuple[str, ...]
    token: str

    def run_id(self, attempt: int) -> str:
        """Id of the run of the ``attempt``-th try, from 1: the same loss never starts two runs of one try."""
        return f"repair__{self.as_of}__{self.token}__{attempt}"


@dataclass(frozen=True)
class Hopeless:
    """A date of a group that no run may capture again, and why: one sentence."""

    as_of: str
    tables: tuple[str, ...]
    reason: str


@dataclass(frozen=True)
class _Start:
    as_of: str
    start: str


def publications(events: Iterable[tuple[str | None, Any]]) -> Published:
    """What the asset events of one table say.

    :param events: partition key and extra of each, the newest first. Those that are not of this package are passed by.
    """
    newest: dict[str, Publication] = {}
    expired: dict[str, str] = {}
    by_hand: list[Ending] = []
    for key, extra in events:
        if not isinstance(extra, dict):
            continue
        if (ending := ending_in(extra)) is not None:
            by_hand.append(ending)
        if key is None:
            continue
        # All dates that one run emits share one extra: its own record, and those that it published again.
        for record in (extra, *(extra.get("again") or ())):
            if record.get("as_of") == key and "published_at" in record:
                one = Publication(*(str(record[name]) for name in Publication.__dataclass_fields__))
                newest.setdefault(key, one)
                for ended in extra.get("expired") or ():
                    expired.setdefault(ended, one.published_at)
    return Published(newest, expired, tuple(by_hand))


def ending_in(extra: Mapping[str, Any]) -> Ending | None:
    """What an event's extra says of dates that were ended by hand, if it is of the command."""
    with suppress(SpecError):
        return from_json(Ending, json.dumps(extra.get(ENDED_BY_HAND)))
    return None


def sure(one: Held, other: Held) -> Held:
    """What two looks say together: lost is what both of them miss, since a listing in pages may miss what is there."""
    whole = {**one.whole, **other.whole}
    missed = {key for part in one.parts for key in part.keys}
    return Held(
        whole,
        {as_of: start for as_of, start in other.broken.items() if as_of not in whole},
        max(one.retained_from, other.retained_from),
        one.unreadable and other.unreadable,
        tuple(part for part in other.parts if part.keys & missed),
        one.unwritable and other.unwritable,
    )


def lost(published: Published, held: Held, retention: Bounds) -> tuple[Publication, ...]:
    """Publications that the store should hold and does not, the oldest date first.

    A date that retention has ended is none of them, by any of three witnesses: the retention itself, an event that
    says so, and the store's own mark of where its dates begin.
    """
    starts = {one.as_of: one.start for one in published.newest.values()} | dict(held.broken) | dict(held.whole)
    ended = {one.as_of for one in ended_by(retention, [_Start(*one) for one in starts.items()])}
    missing = (
        one
        for one in published.newest.values()
        if one.as_of not in held.whole
        and one.as_of not in ended
        and not published.is_ended(one)
        and (one.as_of in held.broken or one.start >= held.retained_from)
    )
    return tuple(sorted(missing, key=lambda one: one.start))


def repairs(
    plan: SnapshotPlan,
    losses: Mapping[str, tuple[Publication, ...]],
    now: DateTime,
    unreadable: Mapping[str, str] = MappingProxyType({}),
) -> tuple[list[Repair], list[Hopeless]]:
    """What to capture again of a group, and what no run brings back.

    :param losses: of the group's tables, by name.
    :param unreadable: tables whose metadata are lost, by name, with what somebody can do about it.
    """
    by_date: dict[str, list[Publication]] = {}
    for table in plan.tables:
        for one in losses.get(table.name, ()):
            by_date.setdefault(one.as_of, []).append(one)
    possible, hopeless = [], []
    for as_of, of_date in by_date.items():
        tables = tuple(one.table for one in of_date)
        try:
            interval = _capturable(plan, as_of, now)
            _ensure_writable(plan, unreadable)
        except PermanentError as error:
            hopeless.append(Hopeless(as_of, tables, str(error)))
            continue
        newest = max(of_date, key=lambda one: one.published_at)
        token = hashlib.sha256(f"{newest.run_id}/{newest.published_at}".encode()).hexdigest()[:8]
        possible.append(Repair(plan.dag_id, as_of, interval.end, tables, token))
    return possible, hopeless


def _capturable(plan: SnapshotPlan, as_of: str, now: DateTime) -> Interval:
    """The interval of a date that a run of the group may still honestly capture, all of its tables: they go together.

    :raises PermanentError: it may not.
    """
    try:
        interval = plan.schedule.interval_of_label(as_of)
    except NotAnAsOf as error:
        raise PermanentError(str(error)) from error
    ensure_in_range(plan.group, interval, plan.start, plan.end)
    for table in plan.tables:
        ensure_capturable(table.name, table.history, interval, now)
    return interval


def _ensure_writable(plan: SnapshotPlan, unreadable: Mapping[str, str]) -> None:
    """:raises PermanentError: a run of the group would fail at a table of which only names are left."""
    for table in plan.tables:
        if table.name in unreadable:
            raise PermanentError(
                f"the store lists table {table.name} and has lost its metadata, so no run can write to it: "
                f"{unreadable[table.name]}"
            )


def in_order(wanted: Iterable[Repair], training_inputs: Collection[str]) -> list[Repair]:
    """What trainings wait for first; of that the newest date first, so that today's work goes on soonest.

    All inputs of a date stand together, in the order given.
    """
    newest_first = sorted(wanted, key=lambda repair: repair.end, reverse=True)
    return sorted(newest_first, key=lambda repair: not set(repair.tables) & set(training_inputs))


def overdue(plan: SnapshotPlan, published: Mapping[str, Published], now: DateTime) -> list[tuple[str, Interval]]:
    """Tables whose newest date that had to be there by now was never published, with that date's interval."""
    late = []
    for table in plan.tables:
        if table.freshness is None:
            continue
        interval = plan.schedule.last_complete(now - table.freshness)
        if plan.end is not None and interval.start > plan.end:
            interval = plan.schedule.last_complete(plan.schedule.first_from(plan.end.add(seconds=1)).start)
        if interval.start >= plan.start and interval.as_of not in published[table.name].newest:
            late.append((table.name, interval))
    return late


class Runs(Protocol):
    """What the monitor asks Airflow about runs."""

    def exist(self, dag_id: str, run_ids: list[str], states: list[str] | None = None) -> bool:
        """Whether any of the runs does, in one of ``states`` where given."""

    def paused(self, dag_id: str) -> bool:
        """Whether a run of the DAG would wait until somebody unpauses it."""


@dataclass(frozen=True)
class Decision:
    """What is done about a lost date. ``run_id``: of the run to start, if any; ``remedy``: a clause of a sentence.

    ``under_way``: nobody has to do anything.
    """

    remedy: str
    run_id: str | None = None
    under_way: bool = False


def decide(repair: Repair, runs: Runs, *, enabled: bool, no_pool: str | None = None) -> Decision:
    """Whether a run shall be started for a repair now: none while one is under way, and at most :data:`ATTEMPTS`.

    :param no_pool: why the task that starts runs would wait for ever, if it would.
    """
    by_hand = f"run {repair.dag_id} with as_of {repair.as_of}"
    if not enabled:
        return Decision(f"repair is off in the manifest: {by_hand}")
    attempts = [repair.run_id(attempt) for attempt in range(1, ATTEMPTS + 1)]
    if runs.exist(repair.dag_id, attempts, ["queued", "running"]):
        return Decision(f"a run of {repair.dag_id} is capturing it again", under_way=True)
    if runs.paused(repair.dag_id):
        return Decision(f"{repair.dag_id} is paused: unpause it, and the monitor has it captured again")
    for run_id in attempts:
        if not runs.exist(repair.dag_id, [run_id]):
            remedy = (
                f"no run of {repair.dag_id} can be started: {no_pool}"
                if no_pool
                else (f"a run of {repair.dag_id} captures it again")
            )
            return Decision(remedy, run_id, under_way=not no_pool)
    return Decision(f"{ATTEMPTS} runs of {repair.dag_id} have not brought it back: see why, then {by_hand}")
