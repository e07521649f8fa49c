"""Every fault at every point: the next try succeeds, nothing is lost, nothing partial is seen, no memory is leaked."""

from __future__ import annotations

import pytest

from tests.faults.kills import FAULTS, Fault
from tests.faults.matrix import POINTS, READING, Outcome, Point, World, run_cell
from tests.faults.outcomes import outcome_table

# Where nothing reads, losing a split and losing the holder are one and the same: the source is away.
CELLS = [
    pytest.param(fault, point, id=f"{fault}/{point}".replace(" ", "-"))
    for point in POINTS
    for fault in FAULTS
    if point in READING or fault.name != "connection of a split"
]


@pytest.mark.parametrize(("fault", "point"), CELLS)
def test_nothing_is_lost_and_nothing_partial(world: World, outcomes: list[Outcome], fault: Fault, point: Point) -> None:
    outcome = Outcome(fault.name, point)
    outcomes.append(outcome)
    try:
        run_cell(world, fault, point, outcome)
    except Exception as error:
        outcome.problems.append(f"{type(error).__name__}: {' '.join(str(error).split())[:300]}")
        raise
    finally:
        print(outcome_table([outcome]))
    assert outcome.problems == []
