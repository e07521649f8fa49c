"""What a capture will take, what does not fit, and that no memory is promised twice."""

from __future__ import annotations

import json
from collections.abc import Callable
from dataclasses import dataclass, field, replace
from pathlib import Path

import pendulum
import pytest
from logical_warehouse.capacity import MIB, Estimate, Expirable, Held, Room, ensure_fits, estimate, expirable
from logical_warehouse.manifest import Store
from logical_warehouse.plan import store_spec
from logical_warehouse.promises import Promises
from logical_warehouse.reserving import Reserving
from logical_warehouse.store_files import LocalFiles
from logical_warehouse.store_health import StoreHealth
from logical_warehouse.unneeded_states import Grace
from warehouse.failures import PermanentError, RetryableError
from warehouse.job_answer import JobAnswer
from warehouse.lost_marks import LostMarks, LostPart
from warehouse.promises import Promise
from warehouse.snapshot_record import RECORD_PREFIX, SnapshotRecord
from warehouse.snapshot_spec import SnapshotResult, TableCapture
from warehouse.spec_json import to_json

from tests.unit.records import snapshot_record


def snapshot(table: str, day: int, size: int, rows: int = 100) -> SnapshotRecord:
    as_of, end = f"2013-06-{day:02d}", f"2013-06-{day + 1:02d}T00:00:00Z"
    return snapshot_record(table, as_of, f"{as_of}T00:00:00Z", end, bytes=size, rows=rows)


def test_a_size_is_the_sources_until_a_snapshot_says_what_its_rows_take() -> None:
    assert estimate(1_000, 80_000, []) == Estimate(1_000, 80_000, "the source's statistics")
    records = [snapshot("flights", 1, 5_000), snapshot("flights", 2, 2_001), snapshot("flights", 3, 0, rows=0)]
    assert estimate(1_000, 80_000, records) == Estimate(1_000, 20_010, "the snapshot 2013-06-02")
    assert estimate(1, 80, records).rows == 100, "no statistics of a new interval"


def could_end(table: str, days: tuple[int, ...], size: int) -> list[Expirable]:
    return [Expirable(table, f"2013-06-{day:02d}", f"2013-06-{day:02d}T00:00:00Z", size) for day in days]


FLIGHTS = could_end("flights", (1, 2), 10 * MIB)
PLANES = could_end("planes", (1,), 50 * MIB)


def test_what_could_be_expired_is_the_oldest_first_and_ones_own_before_that_of_others() -> None:
    assert expirable(1, [*PLANES, *FLIGHTS], ["flights"]) == FLIGHTS[:1]
    assert expirable(30 * MIB, [*PLANES, *FLIGHTS], ["flights"]) == [*FLIGHTS, *PLANES]
    assert expirable(1000 * MIB, [*PLANES, *FLIGHTS], ["planes"]) == [*PLANES, *FLIGHTS]


ROOM = Room(needed=40 * MIB, free=20 * MIB, capacity=100 * MIB, largest="flights")


def test_a_refusal_says_what_is_missing_and_what_could_go() -> None:
    chosen = expirable(ROOM.missing, FLIGHTS, ["flights"])
    with pytest.raises(PermanentError) as refused:
        ensure_fits("flights", replace(ROOM, left=3 * MIB), chosen)
    assert str(refused.value) == (
        "flights does not fit into the store: about 40.0 MiB are needed (most by flights), 20.0 of 100.0 MiB are free, "
        "so 20.0 MiB are missing; flights 2013-06-01 to 2013-06-02 (2 snapshots) with 20.0 MiB would make room: "
        "shorten the retention, or `expire` them; `python -m logical_warehouse clean-store` lists up to 3.0 MiB that "
        "nobody needs any more, and can free them; or give Alluxio's workers more memory."
    )
    with pytest.raises(
        PermanentError, match=r"2013-06-01 with 10\.0 MiB are all that could be expired, and not enough"
    ):
        ensure_fits("flights", ROOM, chosen[:1])
    with pytest.raises(PermanentError, match="no snapshot can be expired: each is the newest"):
        ensure_fits("flights", ROOM, [])
    with pytest.raises(
        PermanentError,
        match=r"20\.0 of 100\.0 MiB are free, 35\.0 MiB once this run has removed what nobody needs any more, so 5",
    ):
        ensure_fits("flights", replace(ROOM, removed_first=15 * MIB), [])
    ensure_fits("flights", replace(ROOM, removed_first=20 * MIB), [])


def test_what_readers_are_left_is_a_reason_to_wait_until_their_grace_is_over() -> None:
    ends = pendulum.datetime(2013, 6, 5, 9, 30, tz="UTC")
    with pytest.raises(RetryableError) as refused:
        ensure_fits("flights", replace(ROOM, grace=Grace(25 * MIB, ends)), FLIGHTS)
    assert str(refused.value).endswith(
        "so 20.0 MiB are missing; 25.0 MiB of replaced or ended snapshots are kept for readers in flight "
        "(store.reader_grace) until 2013-06-05T09:30:00Z, and make room then: it is tried again, and a run that has "
        "failed by then can be cleared."
    )
    with pytest.raises(PermanentError, match="would make room: shorten the retention"):
        ensure_fits("flights", replace(ROOM, grace=Grace(15 * MIB, ends)), FLIGHTS)


def test_what_is_promised_to_others_is_a_reason_to_wait() -> None:
    others = tuple(Held(promise(f"run{number}", 5 * MIB), 5 * MIB) for number in range(5))
    with pytest.raises(RetryableError) as refused:
        ensure_fits("flights", replace(ROOM, free=60 * MIB, others=others), [])
    assert str(refused.value) == (
        "flights does not fit into the store: about 40.0 MiB are needed (most by flights), 60.0 of 100.0 MiB are free, "
        "of which 25.0 MiB are promised to other runs (snapshot_flights run0, snapshot_flights run1, snapshot_flights "
        "run2 and 2 more), so 5.0 MiB are missing; it is tried again when those runs may have ended."
    )
    ensure_fits("flights", replace(ROOM, free=65 * MIB, others=others), [])


def promise(run: str, size: int, made_at: str = "2013-06-09T00:00:00Z") -> Promise:
    return Promise("snapshot_flights", run, "2013-06-01", "2013-06-01T00:00:00Z", ("flights",), size, made_at)


@dataclass
class Checks:
    """Checks of runs on one store with a plain folder; ``ended``: runs that Airflow has no more."""

    store: Store
    free: int = 100 * MIB
    ended: set[str] = field(default_factory=set)
    pauses: list[Callable[[], None]] = field(default_factory=list)

    @property
    def promises(self) -> Promises:
        return Promises(LocalFiles(), store_spec(self.store))

    def reserve(self, own: Promise) -> Room:
        def paused(_: float) -> None:
            assert self.pauses, "nothing to wait for"
            self.pauses.pop(0)()

        return Reserving(
            self.store,
            LocalFiles(),
            self.promises,
            is_live=lambda one: one.run_id not in self.ended,
            ask_health=lambda: StoreHealth(100 * MIB, self.free, 1, 0, 60),
            pause=paused,
        ).reserve("flights", own, "flights")


@pytest.fixture
def checks(tmp_path: Path) -> Checks:
    (tmp_path / "store").mkdir()
    return Checks(Store(uri=f"file://{tmp_path}/store"))


def test_memory_is_promised_once_and_again_when_a_run_has_ended(checks: Checks) -> None:
    first, second = promise("first", 60 * MIB), promise("second", 60 * MIB, "2013-06-09T00:00:01Z")
    checks.reserve(first)
    with pytest.raises(RetryableError, match=r"60\.0 MiB are promised to other runs"):
        checks.reserve(second)
    assert checks.promises.all() == [first]
    assert checks.reserve(replace(first, made_at="2013-06-09T00:00:02Z")).promised == 0, "its own does not count"
    checks.ended.add("first")
    checks.reserve(second)


def write(store: Path, run: Promise, size: int, *, published: bool = False, captured_at: str = "") -> None:
    """What a try of a run has written; ``captured_at``: when the capture was, where it came to its end."""
    table, branch = store / "snapshots/flights", f"{run.run.branch_prefix}1"
    (folder := table / f"data/{branch}/_as_of={run.as_of}").mkdir(parents=True)
    (folder / "1.parquet").write_bytes(bytes(size))
    (table / "metadata").mkdir(exist_ok=True)
    metadata = table / "metadata/v1.metadata.json"
    stored = json.loads(metadata.read_text()) if metadata.exists() else {"refs": {}}
    if published:
        record = replace(snapshot("flights", 1, size), branch=branch, published_at="2013-06-08T12:00:00.000Z")
        stored["properties"] = {record.property_name: to_json(record)}
    else:
        stored["refs"][branch] = {"snapshot-id": 1, "type": "branch"}
    metadata.write_text(json.dumps(stored))
    (table / "metadata/version-hint.text").write_text("1")
    if captured_at:
        capture = TableCapture("flights", branch, 1, 1, 1, size, captured_at, "", "snapshot", 1, 1.0)
        answers = store / f"_runs/{run.dag_id}/{run.run.key}"
        answers.mkdir(parents=True)
        (answers / "snapshot-try1.json").write_text(to_json(JobAnswer(snapshot=SnapshotResult((capture,), 1.0))))


@pytest.mark.parametrize("copies", [1, 2])
def test_what_a_run_has_written_of_its_promise_is_not_counted_twice(
    checks: Checks, tmp_path: Path, copies: int
) -> None:
    checks.store = checks.store.model_copy(update={"replication": copies})
    checks.reserve(other := promise("other", 60 * copies))
    write(tmp_path / "store", other, 45)
    checks.free = 55 * copies
    assert checks.reserve(promise("mine", 1)).promised == 15 * copies


def test_what_a_cleared_run_had_published_is_not_of_its_new_promise(checks: Checks, tmp_path: Path) -> None:
    cleared = promise("cleared", 60)
    write(tmp_path / "store", cleared, 60, published=True)
    checks.reserve(cleared)
    assert checks.reserve(promise("mine", 40)).promised == 60
    checks.promises.make(replace(cleared, made_at="2013-06-08T11:00:00Z"))
    assert checks.reserve(promise("mine", 40)).promised == 0, (
        "it has published its promise, and others of its tables not"
    )


def test_what_killed_tries_left_counts_as_room_where_the_run_removes_it_first(checks: Checks, tmp_path: Path) -> None:
    store, checks.free = tmp_path / "store", 30 * MIB
    mine, orphan = promise("mine", 85 * MIB), promise("orphan", 40 * MIB)
    for left, size in ((mine, 20), (orphan, 40)):
        checks.promises.make(left)
        write(store, left, size * MIB)
    with pytest.raises(PermanentError, match=r"50\.0 MiB once .*, so 35\.0 MiB are missing"):
        checks.reserve(mine)
    assert replace(mine, bytes=0) in checks.promises.all(), "so that the next run finds what this one has left"
    checks.ended.add("orphan")
    with pytest.raises(PermanentError, match=r"30\.0 of 100\.0 MiB are free, 90\.0 MiB once .*, so 5\.0 MiB"):
        checks.reserve(replace(mine, bytes=95 * MIB))
    room = checks.reserve(mine)
    assert (room.removed_first, room.left) == (60 * MIB, 0)


def test_of_a_table_of_which_nothing_can_be_freed_nothing_counts_as_room(checks: Checks, tmp_path: Path) -> None:
    """The store has lost what says which of its files are needed, and a worker may bring it back."""
    orphan = promise("orphan", 40 * MIB)
    checks.promises.make(orphan)
    checks.ended.add("orphan")
    write(tmp_path / "store", orphan, 40 * MIB)
    marks = tmp_path / "store/_lost/snapshots/flights.json"
    marks.parent.mkdir(parents=True)
    for gone, removed_first in ((False, 0), (True, 40 * MIB)):
        part = LostPart(7, "", ("2013-06-01",), "2013-06-05T00:00:00Z", gone, lists=True)
        marks.write_text(to_json(LostMarks("flights", (), parts=(part,))))
        room = checks.reserve(promise("mine", 1))
        assert (room.removed_first, room.left) == (removed_first, 0)
    # Dead branches go whatever they have lost, and then nothing stands in the way.
    dead = LostPart(7, "", (f"{orphan.run.branch_prefix}1",), "2013-06-05T00:00:00Z", lists=True)
    marks.write_text(to_json(LostMarks("flights", (), parts=(dead,))))
    assert checks.reserve(promise("mine", 1)).removed_first == 40 * MIB


def test_what_the_run_does_not_remove_is_not_room(checks: Checks, tmp_path: Path) -> None:
    store = tmp_path / "store"
    of_another_dag = replace(promise("a", 0), dag_id="snapshot_planes")
    captured, published = promise("captured", 0), promise("published", 0)
    for left, more in (
        (of_another_dag, {}),
        (captured, {"captured_at": "2013-06-03"}),
        (published, {"published": True}),
    ):
        checks.promises.make(left)
        checks.ended.add(left.run_id)
        write(store, left, 10 * MIB, **more)
    room = checks.reserve(promise("mine", 10 * MIB))
    assert (room.removed_first, room.left) == (0, 20 * MIB)
    answer = store / f"_runs/{captured.dag_id}/{captured.run.key}/snapshot-try1.json"
    answer.write_text(answer.read_text().replace("2013-06-03", "2013-06-01"))
    room = checks.reserve(promise("other", 10 * MIB))
    assert (room.removed_first, room.left) == (10 * MIB, 10 * MIB), "its date is published from a later state"


def test_snapshots_that_make_no_room_and_tables_that_cannot_be_read_are_not_offered(
    checks: Checks, tmp_path: Path
) -> None:
    store = tmp_path / "store/snapshots"
    checks.store = checks.store.model_copy(update={"replication": 2})
    records = [replace(snapshot("flights", day, 10 * MIB), iceberg_snapshot_id=day) for day in (1, 2, 3, 4)]
    records = [replace(record, history="current") for record in records]
    kept = {"keep_model_2013-06-01": {"snapshot-id": 1, "type": "tag"}}
    for name, text in (
        ("flights", json.dumps(metadata_of(records, kept))),
        ("damaged", "{"),
        ("newer", json.dumps({"properties": {f"{RECORD_PREFIX}2013-06-01": '{"version": 99}'}})),
    ):
        (store / name / "metadata").mkdir(parents=True)
        (store / name / "metadata/v1.metadata.json").write_text(text)
        (store / name / "metadata/version-hint.text").write_text("1")
    (store / "planes/metadata").mkdir(parents=True)
    (store / "planes/metadata/version-hint.text").write_text("")
    checks.free = 20 * MIB
    with pytest.raises(PermanentError, match=r"flights 2013-06-02 with 20\.0 MiB would make room"):
        checks.reserve(promise("mine", 40 * MIB))
    with pytest.raises(PermanentError, match=r"flights 2013-06-02 to 2013-06-03 \(2 .*\) with 40\.0 MiB are all"):
        checks.reserve(promise("mine", 80 * MIB))


def metadata_of(records: list[SnapshotRecord], references: dict[str, dict[str, object]]) -> dict[str, object]:
    """A table's metadata as Iceberg writes them."""
    return {
        "properties": {record.property_name: to_json(record) for record in records},
        "refs": references,
        "snapshots": [{"snapshot-id": number, "timestamp-ms": 1_370_000_000_000} for number in (1, 2, 3, 4)],
    }


def test_of_two_at_once_the_first_gets_it(checks: Checks) -> None:
    """Both have made their promise before either looks."""
    first, second = promise("first", 60 * MIB), promise("second", 60 * MIB, "2013-06-09T00:00:01Z")
    checks.promises.make(second)

    def second_looks() -> None:
        with pytest.raises(RetryableError):
            checks.reserve(second)

    checks.pauses.append(second_looks)
    checks.reserve(first)
    assert checks.promises.all() == [first, replace(second, bytes=0)] and not checks.pauses


def test_one_that_came_first_and_is_too_late_gives_up(checks: Checks) -> None:
    """The other one had looked before this one's promise was there."""
    first, second = promise("first", 60 * MIB), promise("second", 60 * MIB, "2013-06-09T00:00:01Z")
    checks.reserve(second)
    checks.pauses = [lambda: None] * 20
    with pytest.raises(RetryableError):
        checks.reserve(first)
    assert checks.promises.all() == [second] and not checks.pauses
