"""Which Iceberg snapshot now has what a training read, after rows were forgotten and dates were lost."""

from __future__ import annotations

import json

import pytest
from warehouse.forgotten import REPLACED
from warehouse.lost_inputs import LOST_INPUTS, MOST_LOST, InputLost, LostInput, LostInputs, lost_inputs, stands_for
from warehouse.spec_json import to_json

DAYS = ("2013-06-01", "2013-06-02")


def properties(*lost: LostInput, **replaced: int) -> dict[str, str]:
    return {
        LOST_INPUTS: to_json(LostInputs(lost)),
        REPLACED: json.dumps({old[1:]: new for old, new in replaced.items()}),
    }


@pytest.mark.parametrize(
    ("kept", "now", "forgotten"),
    [
        ({}, 1, False),
        (properties(_1=2), 2, True),
        (properties(LostInput(1, ("2013-06-03",), 2)), 2, False),
        (properties(LostInput(1, ("2013-06-03",), 2), _2=3), 3, True),
        (properties(LostInput(2, ("2013-06-03",), 3), _1=2, _3=4), 4, True),
        (properties(LostInput(1, ("2013-06-03",))), 1, False),
        (properties(LostInput(9)), 1, False),
    ],
    ids=["nothing", "forgotten", "lost another date", "and forgotten", "both ways", "not kept", "another's"],
)
def test_what_is_left_of_it_is_found(kept: dict[str, str], now: int, forgotten: bool) -> None:
    assert stands_for(kept, "events", 1, DAYS) == (now, forgotten)


@pytest.mark.parametrize(
    ("kept", "as_of"),
    [
        (properties(LostInput(1)), ()),
        (properties(LostInput(1, DAYS[1:], 2)), DAYS[1:]),
        (properties(LostInput(1, DAYS[1:])), DAYS[1:]),
        (properties(LostInput(2, (*DAYS, "2013-06-03"), 3), _1=2), DAYS),
        (properties(LostInput(1, ("2013-06-03",), 2), LostInput(2)), ()),
    ],
    ids=["all", "a date", "a date of what is not kept", "all dates, of what was forgotten", "the rest, later"],
)
def test_nobody_is_given_a_part(kept: dict[str, str], as_of: tuple[str, ...]) -> None:
    with pytest.raises(InputLost) as lost:
        stands_for(kept, "events", 1, DAYS)
    assert (lost.value.iceberg_snapshot_id, lost.value.as_of) == (1, as_of)


def test_the_newest_are_kept() -> None:
    many = LostInputs(()).and_then(tuple(LostInput(number) for number in range(MOST_LOST + 1)))
    assert (len(many.lost), many.lost[0]) == (MOST_LOST, LostInput(1))
    # But for those that lead to the rest of an input, which is still kept.
    leading = LostInput(1000, DAYS, 1001)
    assert leading in LostInputs((leading,)).and_then(many.lost).and_then((LostInput(9),)).lost
    assert lost_inputs({}) == LostInputs(())
