"""Which of the monitor's marks forbid a read, and what they say."""

from __future__ import annotations

from warehouse.lost_marks import BeingRepaired, LostForGood, LostMark, LostMarks, lost
from warehouse.snapshot_record import SnapshotRecord

from tests.unit.records import snapshot_record

DAYS = tuple(f"2013-06-0{day}" for day in range(1, 10))


def mark(number: int, *, under_way: bool = False, remedy: str = "gone", noticed_at: str = "noon") -> LostMark:
    return LostMark(
        DAYS[number], f"{DAYS[number]}T23:59:59Z", noticed_at, remedy, under_way, f"{DAYS[number]}T23:00:00Z"
    )


def record(number: int, published_at: str = "T23:59:59Z") -> SnapshotRecord:
    day = DAYS[number]
    return snapshot_record("t", day, f"{day}T00:00:00Z", f"{day}T23:00:00Z", published_at=f"{day}{published_at}")


MARKS = LostMarks("t", (mark(1), mark(3)))


def test_a_mark_is_of_one_publication() -> None:
    assert MARKS.still_lost([record(0), record(1)]) == (mark(1),)
    assert MARKS.still_lost([record(1, "T23:59:59.5Z")]) == ()
    assert MARKS.still_lost([record(2)]) == ()


def test_dates_that_are_no_longer_listed() -> None:
    assert MARKS.of(DAYS[:2]) == (mark(1),)
    # What was published after the state that is read, and is lost with its record.
    assert MARKS.newer([record(0), record(1)], than=record(1)) == (mark(3),)
    assert MARKS.newer([record(3)], than=record(3)) == ()
    assert MARKS.newer([record(0), record(3)], than=record(0)) == (mark(1),)


def test_it_is_for_good_where_one_of_them_is() -> None:
    assert isinstance(lost("t", (mark(0, under_way=True),)), BeingRepaired)
    both = lost("t", (mark(0, under_way=True, remedy="a run captures it again"), *map(mark, range(1, 8))))
    assert isinstance(both, LostForGood)
    assert str(both) == (
        "table t: the store has lost the snapshot as of 2013-06-02, 2013-06-03, 2013-06-04, 2013-06-05, 2013-06-06 and "
        "2 more (noticed noon): gone; and as of 2013-06-01 (noticed noon): a run captures it again"
    )
