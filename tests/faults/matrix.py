"""One cell of the matrix: a date that is published is captured anew, and at a point of that something is killed."""

from __future__ import annotations

import time
from collections.abc import Callable, Iterator, Mapping
from contextlib import ExitStack, contextmanager
from dataclasses import dataclass, field
from typing import Literal, assert_never

from logical_warehouse.scratch import OWNER, PREFIX, remove_abandoned
from pyspark.sql import SparkSession
from warehouse.promises import promises_folder
from warehouse.reading import read_as_of
from warehouse.store_spec import StoreSpec

from local_stack.airflow_api import FINISHED, AirflowApi
from local_stack.alluxio import SHARED_MEMORY, WAREHOUSE
from local_stack.stack import Stack
from tests.e2e.runs import eventually, failure_of
from tests.faults import processes
from tests.faults.kills import Fault, Scene
from tests.faults.ledger import BYSTANDER, DATE, TABLES, Ledger, Sums
from tests.faults.processes import Driver
from tests.faults.readers import Reader, Readings, stored_sums
from tests.faults.store_contents import Contents, contents, files, table_folder, used_bytes
from tests.support.driver_switches import DriverSwitches

DAG = "snapshot_ledger"
Point = Literal["before reading", "while writing", "between write and validation", "during publishing"]
POINTS: tuple[Point, ...] = ("before reading", "while writing", "between write and validation", "during publishing")
READING = POINTS[:2]
SPLITS = 2
RUN_SECONDS = 240
NEAR_BYTES = 64 << 10
FREED_SECONDS = 120


@dataclass(frozen=True)
class World:
    """All that a cell uses."""

    stack: Stack
    api: AirflowApi
    ledger: Ledger
    session: SparkSession
    store: StoreSpec
    drivers: DriverSwitches

    def sums(self, table: str, as_of: str) -> Sums:
        """What a reader gets."""
        return stored_sums(self.session, self.store, table, as_of)

    def capture(self, as_of: str) -> str:
        """Start a run for a date; its id."""
        return str(self.api.trigger(DAG, params={"as_of": as_of})["dag_run_id"])

    def drivers_ended(self) -> bool:
        """Whether no Spark driver works on the store any more, not even one whose task was given up."""
        return not processes.drivers(self.stack.alluxio.uri)


@dataclass
class Outcome:
    """What became of a cell.

    ``how``: which try succeeded. ``rows_lost``: of both dates, rows of the source that a reader does not get.
    ``recovered``: seconds from the kill until the run had ended well. ``leaked``: bytes that nothing refers to.
    ``problems``: what must not be, a sentence each.
    """

    fault: str
    point: str
    how: str = "did not end"
    rows_lost: int | None = None
    recovered: float | None = None
    leaked: int | None = None
    problems: list[str] = field(default_factory=list)


def run_cell(world: World, fault: Fault, point: Point, outcome: Outcome) -> None:
    """Run one cell, from and to a healthy stack with both dates published; fills ``outcome`` as far as it comes."""
    ledger = world.ledger
    before = {table: contents(world.session, world.store, table) for table in TABLES}
    old = {table: world.sums(table, DATE) for table in TABLES}
    ledger.change()
    new = {table: ledger.sums(table, DATE) for table in TABLES}
    with ExitStack() as until_ended:
        readings = until_ended.enter_context(Reader(world.session, world.store, TABLES, DATE))
        until_ended.callback(ledger.admit, True)
        with stopped(world, point) as has_come:
            run_id = world.capture(DATE)
            driver = eventually(f"a driver {point}", lambda: driver_of(world, run_id, has_come), 180)
            scene = Scene(world.stack, ledger, driver, reading=point in READING)
            until_ended.callback(lambda: processes.kill(*scene.orphans))
            fault.strike(scene)
            struck = time.monotonic()
        fault.restore(scene)
        outcome.how = recover(world, run_id)
        outcome.recovered = time.monotonic() - struck
        eventually("the last driver to end", world.drivers_ended, 180)
    outcome.problems += reading_problems(readings, old, new, may_fail=fault.store_down)
    outcome.rows_lost = sum(rows_lost(world, table, as_of) for table in TABLES for as_of in (DATE, BYSTANDER))
    if outcome.rows_lost:
        outcome.problems.append(f"{outcome.rows_lost} rows of the source are not readable")
    held = {table: contents(world.session, world.store, table).since(before[table]) for table in TABLES}
    outcome.leaked = sum(sum(found.leaked.values()) for found in held.values())
    outcome.problems += content_problems(held)
    outcome.problems += memory_problems(world)


@contextmanager
def stopped(world: World, point: Point) -> Iterator[Callable[[], bool]]:
    """Drivers stop at the point until the block ends; the value tells whether one has come there."""
    match point:
        case "before reading":
            with world.ledger.closed("reading"):
                yield lambda: world.ledger.waiting() == SPLITS
        case "while writing":
            before = written_files(world)
            with world.ledger.closed("writing"):
                # One split's file lies complete in the store; of the other split all but the last rows were read.
                yield lambda: world.ledger.waiting() == 1 and bool(written_files(world) - before)
        case "between write and validation":
            with world.drivers.hold("validating"):
                yield lambda: bool(world.drivers.waiting("validating"))
        case "during publishing":
            # One table of the group is published; the metadata of the other one is written and not yet committed.
            with world.drivers.hold("publishing", after=1):
                yield lambda: bool(world.drivers.waiting("publishing"))
        case _:
            assert_never(point)


def written_files(world: World) -> set[str]:
    """Data files of the first table, on whatever branch or on none, that are complete."""
    found = files(world.session, f"{table_folder(world.store, TABLES[0])}/data")
    return {path for path, size in found.items() if size}


def driver_of(world: World, run_id: str, has_come: Callable[[], bool]) -> Driver | None:
    """The run's driver once it has come to where it is stopped."""
    state = world.api.run(DAG, run_id)["state"]
    assert state not in FINISHED, f"the run ended as {state} before it came there: {failure_of(world.api, DAG, run_id)}"
    if not has_come():
        return None
    (driver,) = processes.drivers(world.stack.alluxio.uri, run_id)
    return driver


def recover(world: World, run_id: str) -> str:
    """Wait until the run has ended well, by its own tries or else by one more run by hand; says which."""
    if world.api.wait_run(DAG, run_id, RUN_SECONDS)["state"] == "success":
        tries = {task["task_id"]: task["try_number"] for task in world.api.task_instances(DAG, run_id)}
        again = [f"{name}, try {number}" for name, number in tries.items() if number > 1]
        return "; ".join(again) or "went on"
    reason = failure_of(world.api, DAG, run_id)
    by_hand = world.capture(DATE)
    ended = world.api.wait_run(DAG, by_hand, RUN_SECONDS)["state"]
    assert ended == "success", f"{reason.message}; again by hand: {failure_of(world.api, DAG, by_hand).message}"
    return f"by hand ({reason.task_id} failed)"


def reading_problems(
    readings: Readings, old: Mapping[str, Sums], new: Mapping[str, Sums], *, may_fail: bool
) -> list[str]:
    """What a reader met that it must not: a part, an error without a cause, or nothing at all."""
    problems = [f"an unclear error: {text}" for text in readings.unclear]
    for table, seen in readings.seen.items():
        parts = seen.keys() - {old[table], new[table]}
        problems += [f"{table} was read as {part}, neither {old[table]} nor {new[table]}" for part in parts]
        if not seen:
            problems.append(f"{table} could not be read a single time")
    if not may_fail:
        problems += [f"a reader met: {sentence}" for sentence in readings.errors]
    return problems


def rows_lost(world: World, table: str, as_of: str) -> int:
    """Rows of the source that a reader does not get, and rows that a reader gets and the source has not."""
    if world.sums(table, as_of) == world.ledger.sums(table, as_of):
        return 0
    stored = {tuple(row) for row in read_as_of(world.session, world.store, table, as_of, window=1)
              .select("id", "amount").collect()}  # fmt: skip
    return len(world.ledger.rows(table, as_of) ^ stored)


def memory_problems(world: World) -> list[str]:
    """What takes memory and is none of a table's: promises, scratch that no task would remove, blocks of no file."""
    problems = [f"the promise {path} was left" for path in files(world.session, promises_folder(world.store.uri))]
    # Of a driver that outlived its task the next task of this host removes it; others are in use.
    remove_abandoned(SHARED_MEMORY)
    problems += [
        f"the scratch {folder} was left" for folder in SHARED_MEMORY.glob(f"{PREFIX}*") if not (folder / OWNER).exists()
    ]
    used, listed = 0, 0

    def is_near() -> bool:
        nonlocal used, listed
        listed = sum(files(world.session, world.store.uri.removesuffix(WAREHOUSE) + "/").values())
        used = used_bytes(world.stack.alluxio)
        return abs(used - listed) <= NEAR_BYTES

    try:
        # A worker keeps what a killed client has not finished for a minute.
        eventually("blocks of no file to go", is_near, FREED_SECONDS)
    except AssertionError:
        problems.append(f"Alluxio's blocks take {used:,} bytes, and its files have {listed:,}")
    return problems


def content_problems(held: Mapping[str, Contents]) -> list[str]:
    """Leaks, and worse."""
    problems = []
    for table, found in held.items():
        problems += [f"{table}: {path} is referred to and gone" for path in sorted(found.missing)]
        problems += [f"{table}: {path} ({size:,} bytes) is of no use" for path, size in sorted(found.leaked.items())]
        problems += [f"{table}: the run branch {branch} was left" for branch in found.run_branches]
    return problems
