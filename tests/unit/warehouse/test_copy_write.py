"""How the readers of a table are ended when one of them fails."""

from __future__ import annotations

import threading

import pytest
from warehouse import copy_write
from warehouse.copy_write import _run_all


class Reader:
    """One that the server lets wait for a lock; the first request to cancel it comes between two statements."""

    def __init__(self) -> None:
        self.requests = 0
        self.reads = threading.Event()
        self.ended = threading.Event()

    def read(self) -> None:
        self.reads.set()
        assert self.ended.wait(30), "nobody cancelled it again"
        raise ConnectionError("cancelled")

    def cancel(self) -> None:
        self.requests += 1
        if self.requests > 1:
            self.ended.set()


def test_a_reader_whose_cancelling_was_passed_over_is_cancelled_again(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(copy_write, "POLL_SECONDS", 0.01)
    waiting, never_started = Reader(), Reader()

    def copy(index: int) -> None:
        if index == 1:
            waiting.read()
        assert index == 0
        assert waiting.reads.wait(30)
        raise ValueError("lost its connection")

    with pytest.raises(ValueError, match="lost its connection"):
        _run_all(copy, [Reader(), waiting, never_started], at_once=2, cancelled=threading.Event())  # type: ignore[list-item]
    assert waiting.requests == 2 and not never_started.reads.is_set()
