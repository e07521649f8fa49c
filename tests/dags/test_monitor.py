"""The monitor's DAG, and `compare` on a store of files: what it starts, marks and tells, and that it does so once."""

from __future__ import annotations

import dataclasses
import itertools
import json
import re
import shutil
from collections.abc import Iterator
from contextlib import contextmanager
from datetime import datetime
from pathlib import Path
from types import SimpleNamespace
from typing import Any

import pendulum
import pytest
from airflow.sdk import Variable
from logical_warehouse.dag_builder import build_dags
from logical_warehouse.losses import Held, HeldPart
from logical_warehouse.operators import asset_events, monitor
from logical_warehouse.operators.monitor import MOST_LOOKS, CompareOperator
from logical_warehouse.operators.telling import TOLD_VARIABLE
from logical_warehouse.pools import POOLS_VARIABLE
from logical_warehouse.store_files import LocalFiles
from logical_warehouse.store_health import StoreHealth
from warehouse.failures import RetryableError
from warehouse.lost_marks import LostMark, LostMarks, LostPart
from warehouse.snapshot_record import SnapshotRecord
from warehouse.spec_json import from_json, to_json
from warehouse.store_failures import FileIncomplete

from tests.dags.recording_notifier import RecordingNotifier, SecondNotifier
from tests.unit.records import snapshot_record

MANIFEST = """\
version: 1
sources: {{bank: {{connection: bank}}}}
store: {{uri: 'file://{store}'}}
defaults: {{source: bank, schedule: "@daily", start: 2013-06-01, end: 2013-06-30}}
tables:
  accounts: {{table: public.accounts, history: {{interval: {{column: opened}}}}}}
  cards: {{table: public.cards, history: {{interval: {{column: at}}}}}}
  rates: {{table: public.rates, history: current}}
trainings:
  churn: {{application: train_model.py, inputs: {{cards: {{window: 1}}}}}}
monitor: {{at_once: 3}}
notify: [{{notifier: tests.dags.recording_notifier.RecordingNotifier}}]
"""
DAYS = ("2013-06-01", "2013-06-02", "2013-06-03")


def record(table: str, day: str) -> SnapshotRecord:
    mode = "current" if table == "rates" else "interval"
    return snapshot_record(table, day, f"{day}T00:00:00Z", f"{day}T23:59:59Z", history=mode)


class Events(list[Any]):
    """Of one asset, the newest first; what ``inlet_events`` gives."""

    def ascending(self, ascending: bool) -> Events:
        assert not ascending
        return self

    def limit(self, limit: int) -> Events:
        return Events(self[:limit])

    def before(self, before: str) -> Events:
        return Events(one for one in self if one.timestamp <= datetime.fromisoformat(before))


class Instance:
    """The task instance as a task may ask it."""

    dag_id, task_id, run_id = "warehouse_monitor", "compare", "manual__1"

    def __init__(self) -> None:
        self.runs: dict[str, str] = {}
        self.looks = 1

    def get_dr_count(self, *, dag_id: str, run_ids: list[str] | None = None, states: list[str] | None = None) -> int:
        if run_ids is None:
            assert (dag_id, states) == (self.dag_id, ["running"])
            return self.looks
        return sum(1 for one in run_ids if one in self.runs and (states is None or self.runs[one] in states))

    def get_dag(self, dag_id: str) -> Any:
        return SimpleNamespace(is_paused=False)


class World:
    """A store of files and what Airflow's events say of it."""

    def __init__(self, folder: Path, variables: dict[str, str]) -> None:
        self.store = folder / "store"
        self.variables = variables
        self.instance = Instance()
        self.ids = itertools.count()
        self.events: dict[str, Events] = {name: Events() for name in ("accounts", "cards", "rates")}
        self.plan(folder, MANIFEST)

    def plan(self, folder: Path, manifest: str) -> None:
        path = folder / "warehouse.yaml"
        path.write_text(manifest.format(store=self.store))
        self.dag = build_dags(path)["warehouse_monitor"]

    def publish(self, table: str, *days: str) -> None:
        """As a run does: an event for each day, and the record in the table's metadata."""
        for day in days:
            extra = dataclasses.asdict(record(table, day))
            told = SimpleNamespace(
                id=next(self.ids), timestamp=datetime.fromisoformat(f"{day}T23:59:59Z"), partition_key=day, extra=extra
            )
            self.events[table].insert(0, told)
        self.hold(table, *days)

    def hold(self, table: str, *days: str) -> None:
        metadata = self.store / "snapshots" / table / "metadata"
        metadata.mkdir(parents=True, exist_ok=True)
        properties = {one.property_name: to_json(one) for one in (record(table, day) for day in days)}
        version = len(list(metadata.iterdir())) + 1
        (metadata / f"v{version}.metadata.json").write_text(json.dumps({"properties": properties}))

    def lose_metadata_of(self, table: str, monkeypatch: pytest.MonkeyPatch) -> None:
        """What only Alluxio says of a file."""
        found = LocalFiles().in_memory

        def in_memory(files: LocalFiles, path: str) -> dict[str, bool]:
            return {file: not file.endswith(f"{table}/metadata/v1.metadata.json") for file in found(path)}

        monkeypatch.setattr(LocalFiles, "in_memory", in_memory)

    def compare(self) -> list[dict[str, Any]]:
        compare = self.dag.get_task("compare")
        assert isinstance(compare, CompareOperator)
        inlet_events = {asset: self.events[asset.name] for asset in compare.inlets}
        context: Any = {"ti": self.instance, "inlet_events": inlet_events}
        return compare.execute(context)

    def told(self) -> set[str]:
        """Keys of the problems of which anybody was told."""
        return {key for keys in json.loads(self.variables[TOLD_VARIABLE]).values() for key in keys}

    def marks(self, table: str) -> dict[str, str]:
        return {one.as_of: one.remedy for one in self._marks(table)}

    def parts(self, table: str) -> list[LostPart]:
        path = self.store / "_lost" / "snapshots" / f"{table}.json"
        return list(from_json(LostMarks, path.read_text()).parts) if path.exists() else []

    def under_way(self, table: str) -> bool:
        return all(one.under_way for one in self._marks(table))

    def _marks(self, table: str) -> tuple[LostMark, ...]:
        path = self.store / "_lost" / "snapshots" / f"{table}.json"
        return from_json(LostMarks, path.read_text()).marks if path.exists() else ()


@contextmanager
def at(moment: pendulum.DateTime) -> Iterator[None]:
    """A look at this moment."""
    with pytest.MonkeyPatch.context() as patch:
        patch.setattr(pendulum, "now", lambda zone: moment)
        yield


@pytest.fixture
def world(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> World:
    variables = {POOLS_VARIABLE: '{"warehouse-repair": 3}'}

    def get_variable(key: str, default: str | None) -> str | None:
        return variables.get(key, default)

    # Variables are the one thing that a task reaches without its context.
    monkeypatch.setattr(Variable, "get", get_variable)
    monkeypatch.setattr(Variable, "set", variables.__setitem__)
    RecordingNotifier.told.clear()
    return World(tmp_path, variables)


def test_the_dag(world: World) -> None:
    assert {task.task_id: sorted(task.downstream_task_ids) for task in world.dag.tasks} == {
        "compare": ["repair"],
        "repair": [],
    }
    assert sorted(asset.name for asset in world.dag.get_task("compare").inlets) == ["accounts", "cards", "rates"]
    repair = world.dag.get_task("repair")
    assert (repair.pool, repair.retries) == ("warehouse-repair", 0)
    assert not world.dag.catchup
    assert world.dag.is_paused_upon_creation
    page = world.dag.doc_md
    assert page is not None and "at most 3 at once" in page


def test_a_whole_store_leaves_nothing_to_do(world: World) -> None:
    for table in world.events:
        world.publish(table, *DAYS)
    assert world.compare() == []
    assert (world.marks("accounts"), RecordingNotifier.told) == ({}, [])


def test_a_lost_store_is_captured_again_as_far_as_history_allows(world: World) -> None:
    world.publish("accounts", *DAYS[:2])
    world.publish("cards", *DAYS[1:])
    world.publish("rates", DAYS[0])
    for table in world.events:
        world.hold(table)

    runs = world.compare()
    assert [(run["trigger_dag_id"], run["conf"]) for run in runs] == [
        ("snapshot_cards", {"as_of": DAYS[2]}),
        ("snapshot_cards", {"as_of": DAYS[1]}),
        ("snapshot_accounts", {"as_of": DAYS[1]}),
        ("snapshot_accounts", {"as_of": DAYS[0]}),
    ]
    assert world.marks("cards") == dict.fromkeys(DAYS[1:], "a run of snapshot_cards captures it again")
    assert "the source knows it only as it is now" in world.marks("rates")[DAYS[0]]
    assert world.under_way("cards") and not world.under_way("rates")
    (told,) = (told for told in RecordingNotifier.told if "table rates" in told)
    assert told.startswith("table rates as of 2013-06-01 is lost, the store no longer holds it in memory: rates cannot")
    assert len(RecordingNotifier.told) == 5


def test_of_many_losses_of_a_table_one_message_tells(world: World) -> None:
    days = [f"2013-06-{number:02}" for number in range(1, 8)]
    world.publish("cards", *days)
    world.publish("rates", days[0])
    for table in ("cards", "rates"):
        world.hold(table)
    world.compare()
    cards, rates = sorted(RecordingNotifier.told)
    assert cards.startswith("table cards as of 2013-06-0") and cards.endswith(
        "; and so are 6 more of its snapshots, each of which the log of this task names"
    )
    assert rates.startswith("table rates as of 2013-06-01 is lost")
    world.compare()
    assert len(RecordingNotifier.told) == 2, "of each once"


def test_a_store_that_was_emptied_is_captured_again_and_its_folder_left_to_the_runs(world: World) -> None:
    world.publish("cards", *DAYS)
    shutil.rmtree(world.store)
    assert [run["conf"]["as_of"] for run in world.compare()] == list(reversed(DAYS))
    assert not world.store.exists()
    world.hold("cards", DAYS[2])
    world.compare()
    assert set(world.marks("cards")) == set(DAYS[:2])


def test_nothing_is_started_or_told_twice_and_marks_go_when_the_loss_is_mended(world: World) -> None:
    world.publish("cards", *DAYS)
    world.hold("cards", DAYS[0])
    first = world.compare()
    assert len(first) == len(RecordingNotifier.told) == 2
    world.instance.runs = {run["trigger_run_id"]: "running" for run in first}
    assert world.compare() == []
    assert len(RecordingNotifier.told) == 2
    assert world.marks("cards") == dict.fromkeys(DAYS[1:], "a run of snapshot_cards is capturing it again")

    world.hold("cards", *DAYS)
    assert world.compare() == []
    assert (world.marks("cards"), world.told()) == ({}, set())


def test_a_table_of_which_only_names_are_left_is_removed_and_captured_again(
    world: World, monkeypatch: pytest.MonkeyPatch
) -> None:
    for table in ("cards", "accounts"):
        world.publish(table, *DAYS)
    world.lose_metadata_of("cards", monkeypatch)
    up = {"seconds": 7200.0, "lost workers": 1}
    monkeypatch.setattr(
        CompareOperator, "_ask_store", lambda compare: StoreHealth(1, 1, 1, int(up["lost workers"]), up["seconds"])
    )
    noticed = pendulum.datetime(2013, 7, 1, tz="UTC")

    def kept(minutes: int, *words: str) -> None:
        """A look some minutes after the first one leaves the table as it is, and says why."""
        with at(noticed.add(minutes=minutes)):
            assert world.compare() == []
        remedies = world.marks("cards").values()
        assert remedies and all(word in remedy for remedy in remedies for word in words)
        assert (world.store / "snapshots" / "cards" / "metadata").exists() and not world.under_way("cards")

    kept(0, "1 worker(s) of Alluxio are away and may bring them back; if not, `python -m logical_warehouse tables drop")
    (told,) = {told.partition(" is lost, ")[2] for told in RecordingNotifier.told}
    assert "1 worker(s) of Alluxio are away" in told
    # Alluxio has forgotten the worker.
    up["lost workers"] = 0
    kept(40, "a worker of Alluxio may come back and bring them; if none has by 2013-07-01T01:00:00Z", "is 1h), ")
    # Its master was started again, and does not know who is missing.
    up["seconds"] = 60.0
    kept(61, "if none has by 2013-07-01T02:00:00Z")
    up["seconds"] = 3600.0
    with at(noticed.add(minutes=120)):
        assert [run["conf"]["as_of"] for run in world.compare()] == list(reversed(DAYS))
    assert world.under_way("cards")
    assert [path.name for path in (world.store / "snapshots").iterdir()] == ["accounts"]


def test_a_table_whose_metadata_come_back_is_not_removed_at_their_next_loss(
    world: World, monkeypatch: pytest.MonkeyPatch
) -> None:
    world.publish("cards", *DAYS)
    monkeypatch.setattr(CompareOperator, "_ask_store", lambda compare: StoreHealth(1, 1, 1, 0, 1e6))
    noticed = pendulum.datetime(2013, 7, 1, tz="UTC")
    for minutes, is_lost in ((0, True), (50, False), (90, True), (140, True)):
        with pytest.MonkeyPatch.context() as patch, at(noticed.add(minutes=minutes)):
            if is_lost:
                world.lose_metadata_of("cards", patch)
            assert world.compare() == []
    assert "if none has by 2013-07-01T02:30:00Z" in world.marks("cards")[DAYS[0]]
    assert (world.store / "snapshots" / "cards" / "metadata").exists()


def test_a_table_with_damaged_metadata_is_told_of_and_the_others_are_looked_at(world: World) -> None:
    for table in ("cards", "accounts"):
        world.publish(table, *DAYS)
    (world.store / "snapshots" / "accounts" / "metadata" / "v2.metadata.json").write_text("{")
    world.hold("cards", *DAYS[:2])
    for _ in range(2):
        assert [run["conf"]["as_of"] for run in world.compare()] == [DAYS[2]]
    damaged, lost = RecordingNotifier.told
    assert damaged.startswith("table accounts: its metadata in the store cannot be read, so that nobody knows what")
    assert lost.startswith(f"table cards as of {DAYS[2]} is lost")
    assert (world.marks("accounts"), list(world.marks("cards"))) == ({}, [DAYS[2]])


def test_a_late_snapshot_is_told_of_once_and_again_when_the_next_is_late(world: World, tmp_path: Path) -> None:
    world.plan(tmp_path, MANIFEST.replace("column: opened}}}}", "column: opened}}}}, freshness: 2h"))
    late = "table accounts as of 2013-06-03 is late: it was to be published by 2013-06-04T02:00:00Z (freshness 2h in"
    world.publish("accounts", *DAYS[:2])
    with at(pendulum.datetime(2013, 6, 4, 1, 59, tz="UTC")):
        world.compare()
    assert RecordingNotifier.told == []
    for minute in (1, 16):
        with at(pendulum.datetime(2013, 6, 4, 2, minute, tz="UTC")):
            world.compare()
    assert [told.startswith(late) for told in RecordingNotifier.told] == [True]
    assert "see the runs of snapshot_accounts" in RecordingNotifier.told[0]
    world.publish("accounts", DAYS[2])
    world.hold("accounts", *DAYS)
    with at(pendulum.datetime(2013, 6, 4, 3, tz="UTC")):
        world.compare()
    assert world.told() == set()
    with at(pendulum.datetime(2013, 6, 5, 3, tz="UTC")):
        world.compare()
    assert "as of 2013-06-04 is late" in RecordingNotifier.told[1] and len(RecordingNotifier.told) == 2


def test_a_run_that_failed_is_followed_by_another(world: World) -> None:
    world.publish("cards", DAYS[0])
    world.hold("cards")
    tries = []
    for _ in range(4):
        started = world.compare()
        tries.append(len(started))
        world.instance.runs |= {run["trigger_run_id"]: "failed" for run in started}
    assert tries == [1, 1, 1, 0]
    assert "3 runs of snapshot_cards have not brought it back" in world.marks("cards")[DAYS[0]]


def test_without_its_pool_the_repairs_would_wait_for_ever(world: World) -> None:
    world.publish("cards", DAYS[0])
    world.hold("cards")
    world.variables[POOLS_VARIABLE] = "{}"
    no_pool = "The Airflow pool 'warehouse-repair' does not exist; create it with `python -m logical_warehouse pools`"
    for _ in range(2):
        with pytest.raises(Exception, match=re.escape(no_pool)):
            world.compare()
    # Readers are not told to wait for what does not come.
    assert world.marks("cards") == {DAYS[0]: f"no run of snapshot_cards can be started: {no_pool}"}
    assert not world.under_way("cards")
    failed, lost = RecordingNotifier.told
    assert failed == f"warehouse_monitor.compare has failed in run manual__1: {no_pool}"
    assert lost.startswith("table cards as of 2013-06-01 is lost") and lost.endswith(no_pool)

    world.variables[POOLS_VARIABLE] = '{"warehouse-repair": 3}'
    (run,) = world.compare()
    assert world.under_way("cards")
    # A run that was started before the pool went goes on.
    world.instance.runs = {run["trigger_run_id"]: "running"}
    world.variables[POOLS_VARIABLE] = "{}"
    assert world.compare() == [] and world.under_way("cards")


def test_dates_of_any_age_are_looked_at(world: World, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(asset_events, "PAGE", 2)
    world.publish("cards", *DAYS)
    world.publish("cards", DAYS[2], DAYS[2], DAYS[2])
    world.hold("cards", *DAYS[1:])
    assert [run["conf"]["as_of"] for run in world.compare()] == [DAYS[0]]


def test_a_mark_that_is_not_whole_is_written_again(world: World, monkeypatch: pytest.MonkeyPatch) -> None:
    world.publish("cards", *DAYS)
    world.publish("accounts", *DAYS)
    world.hold("cards", *DAYS[:2])
    assert len(world.compare()) == 1
    path = world.store / "_lost" / "snapshots" / "cards.json"
    path.unlink()
    path.touch()
    read = LocalFiles().read

    def read_complete(files: LocalFiles, of: str) -> bytes:
        if of == str(path) and not path.stat().st_size:
            raise FileIncomplete(of)
        return read(of)

    monkeypatch.setattr(LocalFiles, "read", read_complete)
    assert len(world.compare()) == 1
    assert list(world.marks("cards")) == [DAYS[2]]


def test_a_store_that_is_away_is_told_of_once_while_it_is(world: World, monkeypatch: pytest.MonkeyPatch) -> None:
    world.publish("cards", *DAYS)
    world.hold("cards", *DAYS[1:])
    world.compare()
    assert len(RecordingNotifier.told) == 1
    for _ in range(2):
        with monkeypatch.context() as patch:
            for free in (1, 2):

                def away(self: object, free: int = free) -> None:
                    raise RetryableError(f"Alluxio is away, {free} MiB are free")

                patch.setattr(CompareOperator, "_ask_store", away)
                with pytest.raises(Exception, match=f"Alluxio is away, {free} MiB"):
                    world.compare()
        world.compare()
    assert [told.split(" ")[0] for told in RecordingNotifier.told] == ["table", *["warehouse_monitor.compare"] * 2]


def test_who_was_not_reached_is_told_at_the_next_look_and_the_others_are_not(world: World, tmp_path: Path) -> None:
    second = ", {{notifier: tests.dags.recording_notifier.SecondNotifier}}]"
    world.plan(tmp_path, MANIFEST.replace("RecordingNotifier}}]", "RecordingNotifier}}" + second))
    world.publish("cards", *DAYS)
    world.hold("cards", *DAYS[1:])
    SecondNotifier.works = False
    world.compare()
    SecondNotifier.works = True
    for _ in range(2):
        world.compare()
    assert len(RecordingNotifier.told) == len(SecondNotifier.told) == 1


def test_while_many_repairs_wait_the_next_look_asks_for_no_more(world: World) -> None:
    world.publish("cards", *DAYS)
    world.hold("cards", *DAYS[:2])
    world.instance.looks = MOST_LOOKS + 1
    assert world.compare() == [] and world.under_way("cards")
    world.instance.looks = MOST_LOOKS
    assert len(world.compare()) == 1


MORNING = pendulum.datetime(2013, 6, 5, 8, tz="UTC")
PARTS = (HeldPart(7, "2013-06-01", ("main",)), HeldPart(5, "2013-06-01", ("keep_churn_2013-06-01",)))


def test_what_is_lost_is_gone_when_no_worker_can_bring_it_back(world: World, monkeypatch: pytest.MonkeyPatch) -> None:
    world.publish("cards", *DAYS)
    found = Held({day: f"{day}T00:00:00Z" for day in DAYS[1:]}, {DAYS[0]: f"{DAYS[0]}T00:00:00Z"}, parts=PARTS)
    monkeypatch.setattr(monitor, "held_in", lambda files, folder, table: found if table == "cards" else Held())
    for minutes, gone in ((0, False), (59, False), (61, True)):
        with at(MORNING.add(minutes=minutes)):
            world.compare()
        assert world.parts("cards") == [
            LostPart(part.iceberg_snapshot_id, part.as_of, part.names, "2013-06-05T08:00:00Z", gone) for part in PARTS
        ]
    kept = "the rows as of 2013-06-01 of the input that a training keeps as keep_churn_2013-06-01 (Iceberg snapshot 5)"
    assert [told for told in RecordingNotifier.told if kept in told] == [RecordingNotifier.told[1]]

    health = StoreHealth(1 << 20, 1 << 20, workers=1, lost_workers=1, up_seconds=90_000)
    monkeypatch.setattr(CompareOperator, "_ask_store", lambda self: health)
    with at(MORNING.add(hours=3)):
        world.compare()
    assert not any(part.gone for part in world.parts("cards")), "a worker is away, which may have it"


def test_what_main_has_lost_is_waited_for_once_whatever_is_published_beside_it(
    world: World, monkeypatch: pytest.MonkeyPatch
) -> None:
    world.publish("cards", *DAYS)
    starts = {day: f"{day}T00:00:00Z" for day in DAYS}
    head = iter(range(10, 100))

    def held(*_: object) -> Held:
        """Each time another date has been published since the look before."""
        whole = {day: start for day, start in starts.items() if day != DAYS[0]}
        return Held(whole, {DAYS[0]: starts[DAYS[0]]}, parts=(HeldPart(at_head[0], DAYS[0], ("main",)),))

    monkeypatch.setattr(monitor, "held_in", held)
    for hours, gone in ((0, False), (2, True)):
        at_head = [next(head)]
        with at(MORNING.add(hours=hours)):
            world.compare()
        (part,) = world.parts("cards")
        assert (part.iceberg_snapshot_id, part.gone) == (at_head[0], gone)
    world.publish("cards", DAYS[0])  # anew, and lost again
    at_head = [next(head)]
    events = world.events["cards"]
    events[0].extra["published_at"] = "2013-06-05T09:00:00Z"
    with at(MORNING.add(hours=3)):
        world.compare()
    assert not world.parts("cards")[0].gone


def test_a_loss_that_a_second_look_does_not_find_is_none(world: World, monkeypatch: pytest.MonkeyPatch) -> None:
    """A listing in pages misses what moves to another page meanwhile."""
    world.publish("cards", *DAYS)
    starts = {day: f"{day}T00:00:00Z" for day in DAYS}
    whole, broken = Held(starts), Held({}, starts, parts=PARTS)
    looks = iter((broken, whole, whole, broken))
    monkeypatch.setattr(monitor, "held_in", lambda files, folder, table: next(looks) if table == "cards" else Held())
    assert world.compare() == [] and world.marks("cards") == {}
    assert world.compare() == [] and world.parts("cards") == []


def test_a_table_of_intervals_whose_main_is_lost_is_not_captured_before_it_can_be(
    world: World, monkeypatch: pytest.MonkeyPatch
) -> None:
    """Three runs would fail, and the monitor give up."""
    world.publish("cards", *DAYS)
    starts = {day: f"{day}T00:00:00Z" for day in DAYS}
    lost = Held({}, starts, parts=(HeldPart(7, "", ("main",), lists=True),), unwritable=True)
    monkeypatch.setattr(monitor, "held_in", lambda files, folder, table: lost if table == "cards" else Held())
    with at(MORNING):
        assert world.compare() == []
    remedy = world.marks("cards")[DAYS[0]]
    assert "no run can write to it: a worker of Alluxio may come back and bring them; if none has by" in remedy
    assert remedy.endswith(", the next run lets it go")
    # A run that needs nothing of the lost manifest may publish, and takes it over.
    lost = dataclasses.replace(lost, parts=(HeldPart(8, "", ("main",), lists=True),))
    with at(MORNING.add(hours=2)):
        assert len(world.compare()) == 3
    assert [(part.iceberg_snapshot_id, part.gone) for part in world.parts("cards")] == [(8, True)]
