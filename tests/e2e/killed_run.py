"""The short version of `make test-faults`: one run is killed twice, and a second run of its date goes beside it."""

from __future__ import annotations

from dataclasses import dataclass

from tests.e2e.runs import eventually, succeed
from tests.faults import processes
from tests.faults.ledger import DATE, TABLES, Sums
from tests.faults.matrix import World, driver_of, reading_problems, stopped
from tests.faults.readers import Reader


@dataclass(frozen=True)
class KilledRun:
    """``killed``: the run that Airflow tries once more when it misses its worker, after this. ``by_hand``: the one
    that published meanwhile. ``old``, ``new``, ``half``: what a reader got before, after, and at the second kill, by
    table. ``problems``: what somebody who read all the time should not have seen, a sentence each.
    """

    killed: str
    by_hand: str
    old: dict[str, Sums]
    new: dict[str, Sums]
    half: dict[str, Sums]
    problems: list[str]


def kill_twice(world: World) -> KilledRun:
    """Publish a date, and capture it again: the driver dies while it writes, in the next try worker and driver die
    while that publishes, and a run by hand publishes at once."""
    succeed(world.api, "snapshot_ledger", world.capture(DATE))
    old = _read(world)
    world.ledger.change()
    new = {table: world.ledger.sums(table, DATE) for table in TABLES}
    with Reader(world.session, world.store, TABLES, DATE) as readings:
        with stopped(world, "while writing") as has_come:
            killed = world.capture(DATE)
            driver = eventually("the driver while writing", lambda: driver_of(world, killed, has_come), 180)
            processes.kill(*driver.processes)
        # Airflow tries again, and that try comes as far as to publish one table of two.
        with stopped(world, "during publishing") as has_come:
            driver = eventually("the driver while publishing", lambda: driver_of(world, killed, has_come), 180)
            half = _read(world)
            processes.kill(driver.worker, driver.task, *driver.processes)
        # Airflow notices in a while; a run by hand need not wait for that.
        by_hand = world.capture(DATE)
        succeed(world.api, "snapshot_ledger", by_hand)
    return KilledRun(killed, by_hand, old, new, half, reading_problems(readings, old, new, may_fail=False))


def _read(world: World) -> dict[str, Sums]:
    return {table: world.sums(table, DATE) for table in TABLES}
