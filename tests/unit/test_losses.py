"""What counts as lost, what may be captured again, in which order, and what is late."""

from __future__ import annotations

import dataclasses
from pathlib import Path
from typing import Any

import pendulum
import pytest
from logical_warehouse.losses import (
    ATTEMPTS,
    Held,
    HeldPart,
    Publication,
    Published,
    Repair,
    decide,
    in_order,
    lost,
    overdue,
    publications,
    repairs,
    sure,
)
from logical_warehouse.manifest import Retention, load_manifest
from logical_warehouse.plan import SnapshotPlan, make_plan
from warehouse.expire_spec import ENDED_BY_HAND, Ending

from tests.support.moments import moment_of
from tests.unit.records import snapshot_record

DAYS = tuple(f"2013-06-0{day}" for day in range(1, 8))
NOW = pendulum.datetime(2013, 6, 8, 1)


def published(*days: str, expired: dict[str, str] | None = None) -> Published:
    midnight = "{}T00:00:00Z".format
    return Published(
        {
            day: Publication("orders", day, midnight(day), midnight(f"{day}+1"), f"{day}T12:00:00Z", f"run {day}")
            for day in days
        },
        expired or {},
    )


def held(*days: str, broken: tuple[str, ...] = (), retained_from: str = "") -> Held:
    return Held({day: f"{day}T00:00:00Z" for day in days}, {day: f"{day}T00:00:00Z" for day in broken}, retained_from)


def as_of(losses: tuple[Publication, ...]) -> list[str]:
    return [one.as_of for one in losses]


def event(as_of: str, published_at: str, **more: Any) -> tuple[str, dict[str, Any]]:
    record = snapshot_record("orders", as_of, f"{as_of}T00:00:00Z", f"{as_of}T23:00:00Z", published_at=published_at)
    return as_of, dataclasses.asdict(record) | more


def test_what_the_events_say() -> None:
    newest_first = [
        event(DAYS[0], "2013-06-05T00:00:00Z", expired=[DAYS[1]]),
        (DAYS[3], event(DAYS[2], "2013-06-04T00:00:00Z", again=[event(DAYS[3], "2013-06-04T00:00:00Z")[1]])[1]),
        event(DAYS[0], "2013-06-02T00:00:00Z"),
        ("2013-07-01", {}),
        ("2013-07-01", None),
        (None, event(DAYS[4], "2013-06-04T00:00:00Z")[1]),
    ]
    said = publications(newest_first)
    assert {day: one.published_at for day, one in said.newest.items()} == {
        DAYS[0]: "2013-06-05T00:00:00Z",
        DAYS[3]: "2013-06-04T00:00:00Z",
    }
    assert said.expired == {DAYS[1]: "2013-06-05T00:00:00Z"}


def test_what_is_missing_or_broken_is_lost() -> None:
    assert as_of(lost(published(*DAYS[:4]), held(DAYS[0], broken=(DAYS[2],)), Retention())) == list(DAYS[1:4])
    assert lost(published(*DAYS), held(*DAYS), Retention()) == ()
    assert as_of(lost(published(*DAYS[:2]), Held(), Retention())) == list(DAYS[:2])


def test_what_retention_ended_is_not_lost() -> None:
    assert as_of(lost(published(*DAYS), held(DAYS[6]), Retention(keep=3))) == list(DAYS[4:6])
    assert as_of(lost(published(*DAYS), held(DAYS[6]), Retention(days=1))) == [DAYS[5]]


def test_what_was_published_between_the_two_looks_ends_dates_too() -> None:
    """The store knows a newer date than the events that were read before it."""
    assert lost(published(*DAYS[:3]), held(*DAYS[1:4]), Retention(keep=3)) == ()


def test_what_a_shorter_retention_ended_once_is_not_lost() -> None:
    assert as_of(lost(published(*DAYS), held(*DAYS[4:], retained_from=f"{DAYS[4]}T00:00:00Z"), Retention())) == []
    ended = dict.fromkeys(DAYS[:2], f"{DAYS[6]}T12:00:00Z")
    assert as_of(lost(published(*DAYS, expired=ended), held(*DAYS[3:]), Retention())) == [DAYS[2]]


def test_a_date_that_was_ended_and_captured_again_can_be_lost() -> None:
    ended = {DAYS[6]: f"{DAYS[6]}T11:00:00Z"}
    assert as_of(lost(published(*DAYS, expired=ended), held(*DAYS[:6]), Retention())) == [DAYS[6]]
    retained = held(*DAYS[1:], broken=(DAYS[0],), retained_from=f"{DAYS[1]}T00:00:00Z")
    assert as_of(lost(published(*DAYS), retained, Retention())) == [DAYS[0]]


def test_what_was_ended_by_hand_is_not_lost_though_the_store_has_forgotten_of_it() -> None:
    by_hand = Ending(f"{DAYS[4]}T18:00:00Z", "clerk", DAYS[0], DAYS[1])
    again = event(DAYS[1], f"{DAYS[5]}T00:00:00Z")
    said = publications(
        [
            again,
            (None, {ENDED_BY_HAND: dataclasses.asdict(by_hand)}),
            (None, {ENDED_BY_HAND: {"of": "another version"}}),
            *(event(day, f"{day}T12:00:00Z") for day in reversed(DAYS[:3])),
        ]
    )
    assert said.by_hand == (by_hand,)
    assert Published().after(said) == said.after(Published()) == said, "however the events are divided into pages"
    assert as_of(lost(said, Held(), Retention())) == [DAYS[1], DAYS[2]], "one was published anew since"


MANIFEST = """\
version: 1
sources: {shop: {connection: shop}}
store: {uri: 'file:///dev/shm/store'}
defaults: {source: shop, schedule: "@daily", start: 2013-06-01, end: 2013-06-30}
tables:
  orders: {table: public.orders, history: {interval: {column: at}}, freshness: 2h}
  prices: {table: public.prices, group: states, history: {valid_between: {from: a, to: b}}}
  travelled: {table: public.prices, group: states, history: {time_travel: {keeps: 3d}}, freshness: 26h}
  now: {table: public.now, history: {current: {lateness: 6h}}}
"""


@pytest.fixture
def groups(tmp_path: Path) -> dict[str, SnapshotPlan]:
    path = tmp_path / "m.yaml"
    path.write_text(MANIFEST, encoding="utf-8")
    loaded = load_manifest(path, {})
    assert loaded.manifest is not None and not loaded.problems
    return {plan.group: plan for plan in make_plan(loaded.manifest).snapshots}


def of(table: str, *days: str) -> tuple[Publication, ...]:
    return tuple(dataclasses.replace(one, table=table) for one in published(*days).newest.values())


def test_intervals_of_any_age_are_captured_again(groups: dict[str, SnapshotPlan]) -> None:
    possible, hopeless = repairs(groups["orders"], {"orders": of("orders", *DAYS[:2])}, NOW)
    assert [(one.dag_id, one.as_of, one.tables) for one in possible] == [
        ("snapshot_orders", DAYS[0], ("orders",)),
        ("snapshot_orders", DAYS[1], ("orders",)),
    ]
    assert hopeless == []


def test_a_group_is_captured_again_as_a_whole_as_far_as_each_of_its_tables_reaches_back(
    groups: dict[str, SnapshotPlan],
) -> None:
    losses = {"prices": of("prices", DAYS[0], DAYS[5]), "travelled": of("travelled", DAYS[5])}
    possible, (hopeless,) = repairs(groups["states"], losses, NOW)
    assert [(one.as_of, one.tables) for one in possible] == [(DAYS[5], ("prices", "travelled"))]
    assert (hopeless.as_of, hopeless.tables) == (DAYS[0], ("prices",))
    assert "travelled cannot be captured as of 2013-06-01: its history is 'time_travel'" in hopeless.reason


def test_no_run_is_started_for_a_group_with_a_table_of_which_only_names_are_left(
    groups: dict[str, SnapshotPlan],
) -> None:
    losses = {"prices": of("prices", DAYS[5])}
    possible, (hopeless,) = repairs(groups["states"], losses, NOW, {"travelled": "drop it"})
    assert possible == []
    assert hopeless.reason == (
        "the store lists table travelled and has lost its metadata, so no run can write to it: drop it"
    )
    assert repairs(groups["orders"], {"orders": of("orders", DAYS[5])}, NOW, {"travelled": ""})[1] == []


def test_todays_rows_never_take_the_place_of_a_past_state(groups: dict[str, SnapshotPlan]) -> None:
    possible, hopeless = repairs(groups["now"], {"now": of("now", *DAYS[5:])}, NOW)
    # 7 June ended an hour ago and may be six hours late: it is as honest now as it was.
    assert [one.as_of for one in possible] == [DAYS[6]]
    assert [one.as_of for one in hopeless] == [DAYS[5]]
    assert "the source knows it only as it is now" in hopeless[0].reason


def test_a_date_outside_of_the_manifest_is_hopeless(groups: dict[str, SnapshotPlan]) -> None:
    losses = {"orders": of("orders", "2013-05-31", "2013-06-01T0000Z")}
    _, hopeless = repairs(groups["orders"], losses, NOW)
    assert [one.as_of for one in hopeless] == ["2013-05-31", "2013-06-01T0000Z"]


def repair(dag_id: str, day: str, *tables: str) -> Repair:
    return Repair(dag_id, day, moment_of(f"{day}T00:00:00Z").add(days=1), tables, "0")


def test_what_trainings_read_comes_first_and_the_newest_date_of_it() -> None:
    wanted = [
        repair("logs", DAYS[6], "logs"),
        *(repair("flights", day, "flights") for day in DAYS[:2]),
        *(repair("weather", day, "weather") for day in DAYS[:2]),
    ]
    ordered = in_order(wanted, ("flights", "weather"))
    assert [(one.dag_id, one.as_of) for one in ordered] == [
        ("flights", DAYS[1]), ("weather", DAYS[1]), ("flights", DAYS[0]), ("weather", DAYS[0]), ("logs", DAYS[6]),
    ]  # fmt: skip


class Recorded:
    """Runs by id and state, of one DAG."""

    def __init__(self, *, is_paused: bool = False, **states: str) -> None:
        self.states = {f"repair__{DAYS[0]}__0__{name.removeprefix('try')}": state for name, state in states.items()}
        self.is_paused = is_paused

    def exist(self, dag_id: str, run_ids: list[str], states: list[str] | None = None) -> bool:
        return any(one in self.states and (states is None or self.states[one] in states) for one in run_ids)

    def paused(self, dag_id: str) -> bool:
        return self.is_paused


LOSS = repair("snapshot_orders", DAYS[0], "orders")


@pytest.mark.parametrize(
    ("runs", "started", "said"),
    [
        (Recorded(), f"repair__{DAYS[0]}__0__1", "a run of snapshot_orders captures it again"),
        (Recorded(try1="running"), None, "is capturing it again"),
        (Recorded(try1="failed", try2="queued"), None, "is capturing it again"),
        (Recorded(try1="failed"), f"repair__{DAYS[0]}__0__2", "captures it again"),
        (Recorded(is_paused=True), None, "snapshot_orders is paused"),
    ],
)
def test_one_run_at_a_time(runs: Recorded, started: str | None, said: str) -> None:
    decision = decide(LOSS, runs, enabled=True)
    assert decision.run_id == started
    assert said in decision.remedy
    assert decision.under_way == ("paused" not in said)


def test_it_is_not_tried_for_ever() -> None:
    runs = Recorded(is_paused=False, **{f"try{attempt}": "failed" for attempt in range(1, ATTEMPTS + 1)})
    decision = decide(LOSS, runs, enabled=True)
    assert (decision.run_id, decision.under_way) == (None, False)
    assert decision.remedy == (
        "3 runs of snapshot_orders have not brought it back: see why, then run snapshot_orders with as_of 2013-06-01"
    )


def test_where_repair_is_off_people_are_told_what_to_run() -> None:
    decision = decide(LOSS, Recorded(), enabled=False)
    assert (decision.run_id, decision.remedy) == (
        None,
        "repair is off in the manifest: run snapshot_orders with as_of 2013-06-01",
    )


def test_a_run_that_cannot_start_is_not_under_way() -> None:
    decision = decide(LOSS, Recorded(), enabled=True, no_pool="there is no pool")
    assert decision.run_id is not None and not decision.under_way
    assert decision.remedy == "no run of snapshot_orders can be started: there is no pool"
    assert decide(LOSS, Recorded(try1="queued"), enabled=True, no_pool="there is no pool").under_way


def test_the_same_loss_has_the_same_runs_and_the_next_one_others(groups: dict[str, SnapshotPlan]) -> None:
    first, again = (repairs(groups["orders"], {"orders": of("orders", DAYS[0])}, NOW)[0][0] for _ in range(2))
    assert first.run_id(1) == again.run_id(1) != first.run_id(2)
    later = tuple(dataclasses.replace(one, run_id=first.run_id(1)) for one in of("orders", DAYS[0]))
    assert repairs(groups["orders"], {"orders": later}, NOW)[0][0].run_id(1) != first.run_id(1)


@pytest.mark.parametrize(
    ("now", "days", "late"),
    [
        ("2013-06-08T01:59:59Z", DAYS[:6], []),
        ("2013-06-08T02:00:00Z", DAYS[:6], [("orders", DAYS[6])]),
        ("2013-06-08T02:00:00Z", DAYS, []),
        ("2013-06-01T12:00:00Z", (), []),
        ("2014-06-08T02:00:00Z", ("2013-06-29",), [("orders", "2013-06-30")]),
        ("2014-06-08T02:00:00Z", ("2013-06-30",), []),
    ],
)
def test_the_newest_date_has_to_be_there_in_time(
    groups: dict[str, SnapshotPlan], now: str, days: tuple[str, ...], late: list[tuple[str, str]]
) -> None:
    found = overdue(groups["orders"], {"orders": published(*days)}, moment_of(now))
    assert [(table, interval.as_of) for table, interval in found] == late


def test_lost_is_what_two_looks_miss() -> None:
    part, other = HeldPart(7, "", ("main",)), HeldPart(5, "", ("keep_churn_1",))
    first = Held({DAYS[0]: "a"}, {DAYS[1]: "b", DAYS[2]: "c"}, "2013", parts=(part, other))
    second = Held({DAYS[1]: "b"}, {DAYS[0]: "a", DAYS[2]: "c"}, "2014", parts=(part,))
    for found in (sure(first, second), sure(second, first)):
        assert (set(found.whole), set(found.broken), found.parts) == ({DAYS[0], DAYS[1]}, {DAYS[2]}, (part,))
        assert (found.retained_from, found.unreadable) == ("2014", False)
    assert sure(Held(unreadable=True), Held(unreadable=True)).unreadable
    assert not sure(Held(unreadable=True), first).unreadable
