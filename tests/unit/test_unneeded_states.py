"""What a table gives back when its unneeded Iceberg snapshots go, by its metadata alone; never more than it does."""

from __future__ import annotations

from typing import Any

import pendulum
import pytest
from logical_warehouse.unneeded_states import Grace, grace_of, unneeded_bytes
from warehouse.table_origin import HISTORY

HOUR = 3_600_000
NOW = 100 * HOUR


def snapshot(number: int, parent: int | None = None, **summary: int) -> dict[str, Any]:
    """Of an hour each."""
    sums = {name.replace("_", "-"): str(value) for name, value in summary.items()}
    made = {"snapshot-id": number, "timestamp-ms": number * HOUR, "summary": sums}
    return made if parent is None else made | {"parent-snapshot-id": parent}


def tag(number: int, hours: int | None = None) -> dict[str, Any]:
    """:param hours: how old the snapshot may become for the tag to hold it."""
    return {"snapshot-id": number} | ({} if hours is None else {"max-ref-age-ms": hours * HOUR})


def metadata(history: str, snapshots: list[dict[str, Any]], **refs: dict[str, Any]) -> dict[str, Any]:
    return {"properties": {HISTORY: history}, "snapshots": snapshots, "refs": refs}


STATES = [snapshot(number, total_files_size=10 * number) for number in (1, 2, 3)]


@pytest.mark.parametrize(
    ("refs", "freed"),
    [
        ({"2013-06-01": tag(1), "2013-06-02": tag(2), "2013-06-03": tag(3)}, 0),
        ({"retired_1": tag(1, hours=50), "2013-06-02": tag(2), "2013-06-03": tag(3)}, 10),
        ({"retired_1": tag(1, hours=50), "retired_2": tag(2, hours=97), "2013-06-03": tag(3)}, 30),
        ({"retired_1": tag(1, hours=99), "2013-06-03": tag(3)}, 0),
        ({"retired_1": tag(1, hours=50), "keep_churn_1": tag(1), "2013-06-03": tag(3)}, 0),
        ({"retired_9": tag(9, hours=1), "2013-06-03": tag(3)}, 0),
    ],
    ids=["published", "over", "two over", "within the grace", "kept by a training", "gone already"],
)
def test_whole_states_give_back_their_files(refs: dict[str, Any], freed: int) -> None:
    assert unneeded_bytes(metadata("current", STATES, **refs), NOW) == freed


INTERVALS = [
    snapshot(1, total_files_size=10),
    snapshot(2, 1, total_files_size=25, removed_files_size=5),
    snapshot(3, 2, total_files_size=40, removed_files_size=7),
]
MAIN = {"main": tag(3)}


@pytest.mark.parametrize(
    ("refs", "freed"),
    [
        (MAIN, 12),
        (MAIN | {"retired_1": tag(1, hours=50), "retired_2": tag(2, hours=50)}, 12),
        (MAIN | {"retired_1": tag(1, hours=50), "retired_2": tag(2, hours=99)}, 5),
        (MAIN | {"retired_1": tag(1, hours=99), "retired_2": tag(2, hours=50)}, 0),
        (MAIN | {"run_x_try1": tag(3)}, 12),
        (MAIN | {"run_x_try1": tag(2)}, 5),
        (MAIN | {"keep_churn_1": tag(7)}, 0),
        ({}, 0),
    ],
    ids=[
        "no reader",
        "both over",
        "the newer within",
        "the older within",
        "branched now",
        "branched before",
        "?",
        "empty",
    ],
)
def test_intervals_give_back_what_main_has_removed(refs: dict[str, Any], freed: int) -> None:
    assert unneeded_bytes(metadata("interval", [*INTERVALS, snapshot(7)], **refs), NOW) == freed


def test_what_was_removed_before_the_snapshots_that_are_known_is_gone_already() -> None:
    assert unneeded_bytes(metadata("interval", INTERVALS[1:], **MAIN), NOW) == 7


def test_a_table_without_snapshots_gives_nothing() -> None:
    assert unneeded_bytes({}, NOW) == 0


@pytest.mark.parametrize(
    ("refs", "later"),
    [
        ({"2013-06-03": tag(3)}, (0, None)),
        ({"retired_1": tag(1, hours=50), "2013-06-03": tag(3)}, (0, None)),
        # Of two the later moment counts, for all of it; what is over by now is told as unneeded already.
        ({"retired_1": tag(1, hours=99), "retired_2": tag(2, hours=100), "2013-06-03": tag(3)}, (30, 102)),
        ({"retired_1": tag(1, hours=50), "retired_2": tag(2, hours=100), "2013-06-03": tag(3)}, (20, 102)),
        ({"retired_1": tag(1, hours=99), "keep_churn_1": tag(1), "2013-06-03": tag(3)}, (0, None)),
    ],
    ids=["published", "over", "two", "one of two", "kept by a training"],
)
def test_what_readers_are_left_comes_to_be_unneeded(refs: dict[str, Any], later: tuple[int, int | None]) -> None:
    size, hours = later
    ends = None if hours is None else pendulum.from_timestamp(hours * HOUR / 1000)
    assert grace_of(metadata("current", STATES, **refs), NOW) == Grace(size, ends)
