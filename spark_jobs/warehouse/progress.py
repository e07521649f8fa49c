"""Progress lines of a running write, from Spark's own status store (which works without its UI)."""

from __future__ import annotations

import threading
import time
from collections.abc import Callable, Iterator
from contextlib import contextmanager, suppress
from dataclasses import dataclass
from typing import TYPE_CHECKING

from py4j.protocol import Py4JError

if TYPE_CHECKING:
    from pyspark.sql import SparkSession

POLL_SECONDS = 0.25
LINE_SECONDS = 10.0
"""A line at least this often, also when no split has finished."""

MEGABYTE = 1_000_000


@dataclass(frozen=True)
class Work:
    """How far a write is: finished splits, rows read and written bytes so far."""

    done: int = 0
    total: int = 0
    rows: int = 0


@contextmanager
def progress_lines(session: SparkSession, group: str, table: str, row_bytes: float | None) -> Iterator[None]:
    """Print a line as each split of the block's Spark job finishes, and at least every 10 seconds.

    :param group: of :func:`new_job_group`, in which the block's jobs are.
    :param row_bytes: estimated bytes of a row in the source, for MB/s; None leaves the rate in rows.
    """
    session.sparkContext.setJobGroup(group, f"snapshot of {table}")
    try:
        with progress_of(table, lambda: work_of(session, group), row_bytes):
            yield
    finally:
        with suppress(Py4JError):
            session._jsc.clearJobGroup()


def new_job_group(table: str) -> str:
    """Name of a group that no other Spark job is in."""
    return f"warehouse-{table}-{time.monotonic_ns()}"


def cancel_jobs(session: SparkSession, group: str) -> None:
    """Make the jobs of a group fail, from any thread: those that run, and those that would begin later."""
    with suppress(Py4JError):
        session._jsc.sc().cancelJobGroupAndFutureJobs(group)


@contextmanager
def progress_of(table: str, measure: Callable[[], Work], row_bytes: float | None) -> Iterator[None]:
    """As :func:`progress_lines`, of work that ``measure`` knows."""
    ended = threading.Event()
    follower = threading.Thread(target=_follow, args=(measure, table, row_bytes, ended), daemon=True)
    follower.start()
    try:
        yield
    finally:
        ended.set()
        follower.join()


def _follow(measure: Callable[[], Work], table: str, row_bytes: float | None, ended: threading.Event) -> None:
    started = last_line = time.monotonic()
    reported = Work()
    finished = False
    while not finished:
        finished = ended.wait(POLL_SECONDS)
        try:
            work = measure()
        except Py4JError:  # The session is going away; the write itself tells why.
            return
        now = time.monotonic()
        if work.done > reported.done or now - last_line >= LINE_SECONDS:
            print(line_of(table, work, now - started, row_bytes), flush=True)
            reported, last_line = work, now


def work_of(session: SparkSession, group: str) -> Work:
    """Sum over the stages of a job group."""
    tracker, store = session.sparkContext.statusTracker(), session._jsc.sc().statusStore()
    done = total = rows = 0
    for job_id in tracker.getJobIdsForGroup(group):
        job = tracker.getJobInfo(job_id)
        for stage_id in job.stageIds if job else ():
            stage = store.lastStageAttempt(stage_id)
            done += stage.numCompleteTasks()
            total += stage.numTasks()
            rows += stage.inputRecords()
    return Work(done, total, rows)


def line_of(table: str, work: Work, seconds: float, row_bytes: float | None) -> str:
    """``flights: 1 of 2 splits, 168,388 rows, 4.1 s, 41,070 rows/s, 5.2 MB/s``."""
    seconds = max(seconds, 0.001)
    line = f"{table}: {work.done} of {work.total} splits, {work.rows:,} rows, {seconds:.1f} s"
    line += f", {work.rows / seconds:,.0f} rows/s"
    return line if row_bytes is None else f"{line}, {work.rows * row_bytes / seconds / MEGABYTE:.1f} MB/s"
