"""Two pieces of work of which the first failure ends both, and is the one that is told."""

from __future__ import annotations

import threading
from collections.abc import Callable

import pytest
from warehouse.side_by_side import Cancelled, side_by_side

PATIENCE = 30
"""Seconds; a cancellation that never comes fails the test instead of hanging it."""


class Long:
    """Work that goes on until it is cancelled; its first ``deaf`` cancellations come to nothing."""

    def __init__(self, deaf: int = 0) -> None:
        self.cancellations = -deaf
        self.began, self._cancelled = threading.Event(), threading.Event()

    def __call__(self) -> None:
        self.began.set()
        assert self._cancelled.wait(PATIENCE), "it was never cancelled"
        raise Cancelled

    def cancel(self) -> None:
        self.cancellations += 1
        if self.cancellations > 0:
            self._cancelled.set()


def fails_after(other: Long, error: BaseException) -> Callable[[], None]:
    def fail() -> None:
        assert other.began.wait(PATIENCE)
        raise error

    return fail


def never() -> None:
    raise AssertionError("nothing has failed")


def test_both_results() -> None:
    here, there = threading.get_ident, threading.get_ident
    first, second = side_by_side(here, there, cancel_work=never, cancel_beside=never)
    assert first == threading.get_ident() != second


@pytest.mark.parametrize("deaf", [0, 1])
@pytest.mark.parametrize("failing", ["work", "beside"])
def test_the_first_failure_ends_the_other_and_is_told(failing: str, deaf: int, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr("warehouse.side_by_side.CANCEL_SECONDS", 0.001)
    long = Long(deaf)
    fail = fails_after(long, ValueError("the store is full"))
    with pytest.raises(ValueError, match="the store is full"):
        if failing == "work":
            side_by_side(fail, long, cancel_work=never, cancel_beside=long.cancel)
        else:
            side_by_side(long, fail, cancel_work=long.cancel, cancel_beside=never)
    assert long.cancellations >= 1
    assert not [thread for thread in threading.enumerate() if thread.name.startswith("beside")]


def test_a_failure_beside_work_that_ended_well() -> None:
    ended = threading.Event()

    def fail() -> None:
        assert ended.wait(PATIENCE)
        raise ValueError("refused")

    with pytest.raises(ValueError, match="refused"):
        side_by_side(ended.set, fail, cancel_work=lambda: None, cancel_beside=lambda: None)
