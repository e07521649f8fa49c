"""Two pieces of work at once, the first failure of which ends both: pure, threads and nothing else."""

from __future__ import annotations

import threading
from collections.abc import Callable
from concurrent.futures import ThreadPoolExecutor
from typing import TypeVar

from warehouse.failures import RetryableError

Done = TypeVar("Done")
Beside = TypeVar("Beside")

CANCEL_SECONDS = 0.5


class Cancelled(RetryableError):
    """Ended on purpose, since what ran beside it has failed: never the failure that is told."""

    def __str__(self) -> str:
        return "it was cancelled, since what ran beside it had failed"


def side_by_side(
    work: Callable[[], Done],
    beside: Callable[[], Beside],
    *,
    cancel_work: Callable[[], None],
    cancel_beside: Callable[[], None],
) -> tuple[Done, Beside]:
    """Run ``beside`` in a thread of its own while ``work`` runs in this one; the results of both.

    Where one fails the other is cancelled. Both have ended when this returns or raises, and what is raised is the first
    failure, whatever the other one then ends with.

    :param cancel_work: ends it soon; called from the other's thread, and again until it has ended, since it may come
        before there is anything to cancel. Likewise ``cancel_beside``.
    """
    work_ended, beside_ended = threading.Event(), threading.Event()
    failures: list[BaseException] = []

    def watched() -> Beside:
        try:
            return beside()
        except BaseException as error:
            failures.append(error)
            raise
        finally:
            beside_ended.set()
            if failures:
                _end(work_ended, cancel_work)

    with ThreadPoolExecutor(max_workers=1, thread_name_prefix="beside") as thread:
        running = thread.submit(watched)
        try:
            done = work()
        except BaseException as error:
            failures.append(error)
            if failures[0] is error:
                raise
            raise failures[0] from None
        finally:
            work_ended.set()
            if failures:
                _end(beside_ended, cancel_beside)
        return done, running.result()


def _end(ended: threading.Event, cancel: Callable[[], None]) -> None:
    while not ended.is_set():
        cancel()
        ended.wait(CANCEL_SECONDS)
