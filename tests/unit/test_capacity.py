"""What a capture will take, what does not fit, and that no memory is promised twice."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass, field, replace
from pathlib import Path

import pytest
from logical_warehouse.capacity import MIB, Estimate, Expirable, Held, Room, ensure_fits, estimate, expirable
from logical_warehouse.manifest import Store
from logical_warehouse.plan import store_spec
from logical_warehouse.promises import Promises
from logical_warehouse.reserving import Reserving
from logical_warehouse.store_files import LocalFiles
from logical_warehouse.store_health import StoreHealth
from warehouse.failures import PermanentError, RetryableError
from warehouse.promises import Promise
from warehouse.snapshot_record import SnapshotRecord

from tests.unit.records import snapshot_record


def snapshot(table: str, day: int, size: int, rows: int = 100) -> SnapshotRecord:
    as_of, end = f"2013-06-{day:02d}", f"2013-06-{day + 1:02d}T00:00:00Z"
    return snapshot_record(table, as_of, f"{as_of}T00:00:00Z", end, bytes=size, rows=rows)


def test_a_size_is_the_sources_until_a_snapshot_says_what_its_rows_take() -> None:
    assert estimate(1_000, 80_000, []) == Estimate(1_000, 80_000, "the source's statistics")
    records = [snapshot("flights", 1, 5_000), snapshot("flights", 2, 2_001), snapshot("flights", 3, 0, rows=0)]
    assert estimate(1_000, 80_000, records) == Estimate(1_000, 20_010, "the snapshot 2013-06-02")
    assert estimate(1, 80, records).rows == 100, "no statistics of a new interval"


FLIGHTS = [snapshot("flights", day, 10 * MIB) for day in (1, 2, 3)]
PLANES = [snapshot("planes", day, 50 * MIB) for day in (1, 2)]


def test_what_could_be_expired_is_the_oldest_first_and_never_the_newest() -> None:
    records = {"planes": PLANES, "flights": FLIGHTS}
    assert expirable(1, records, ["flights"]) == [Expirable("flights", "2013-06-01", 10 * MIB)]
    assert [(one.table, one.as_of) for one in expirable(30 * MIB, records, ["flights"])] == [
        ("flights", "2013-06-01"), ("flights", "2013-06-02"), ("planes", "2013-06-01")
    ]  # fmt: skip
    assert len(expirable(1000 * MIB, records, ["flights"])) == 3


ROOM = Room(needed=40 * MIB, free=20 * MIB, capacity=100 * MIB, largest="flights")


def test_a_refusal_says_what_is_missing_and_what_could_go() -> None:
    chosen = expirable(ROOM.missing, {"flights": FLIGHTS}, ["flights"])
    with pytest.raises(PermanentError) as refused:
        ensure_fits("flights", replace(ROOM, left_by_ended=3 * MIB), chosen)
    assert str(refused.value) == (
        "flights does not fit into the store: about 40.0 MiB are needed (most by flights), 20.0 of 100.0 MiB are free, "
        "so 20.0 MiB are missing; flights 2013-06-01 to 2013-06-02 (2 snapshots) with 20.0 MiB would make room: "
        "shorten the retention, or `expire` them; `python -m logical_warehouse clean-store --yes` frees up to 3.0 MiB "
        "that ended runs left; or give Alluxio's workers more memory."
    )
    with pytest.raises(
        PermanentError, match=r"2013-06-01 with 10\.0 MiB are all that could be expired, and not enough"
    ):
        ensure_fits("flights", ROOM, chosen[:1])
    with pytest.raises(PermanentError, match="so none can be expired"):
        ensure_fits("flights", ROOM, [])


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


def test_what_a_run_has_written_of_its_promise_is_not_counted_twice(checks: Checks, tmp_path: Path) -> None:
    checks.reserve(other := promise("other", 60))
    folder = tmp_path / f"store/snapshots/flights/data/{other.run.branch_prefix}1/_as_of=2013-06-01"
    folder.mkdir(parents=True)
    (folder / "1.parquet").write_bytes(bytes(45))
    checks.free = 100 - 45
    assert checks.reserve(promise("mine", 40)).promised == 15


def test_of_two_at_once_the_first_gets_it(checks: Checks) -> None:
    """Both have made their promise before either looks."""
    first, second = promise("first", 60 * MIB), promise("second", 60 * MIB, "2013-06-09T00:00:01Z")
    checks.promises.make(second)

    def second_looks() -> None:
        with pytest.raises(RetryableError):
            checks.reserve(second)

    checks.pauses.append(second_looks)
    checks.reserve(first)
    assert checks.promises.all() == [first] and not checks.pauses


def test_one_that_came_first_and_is_too_late_gives_up(checks: Checks) -> None:
    """The other one had looked before this one's promise was there."""
    first, second = promise("first", 60 * MIB), promise("second", 60 * MIB, "2013-06-09T00:00:01Z")
    checks.reserve(second)
    checks.pauses = [lambda: None] * 20
    with pytest.raises(RetryableError):
        checks.reserve(first)
    assert checks.promises.all() == [second] and not checks.pauses
