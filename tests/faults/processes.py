"""The processes that a fault kills: found by what they are, and killed by their id alone."""

from __future__ import annotations

import os
import re
import signal
from contextlib import suppress
from dataclasses import dataclass
from pathlib import Path

from local_stack.processes import read_stat
from tests.e2e.runs import eventually

JOB = re.compile(rb"org\.apache\.spark\.deploy\.SparkSubmit\b.*/spark_jobs/\w+\.py\b", re.DOTALL)


@dataclass(frozen=True)
class Driver:
    """A Spark driver: the JVM that spark-submit became, and the Python below it."""

    jvm: int

    @property
    def processes(self) -> list[int]:
        """The JVM and all below it."""
        return [self.jvm, *descendants(self.jvm)]

    @property
    def task(self) -> int:
        """The process of the Airflow task that started it."""
        return _parent(self.jvm)

    @property
    def worker(self) -> int:
        """The Airflow worker that watches the task."""
        return _parent(self.task)


def drivers(store: str, run_id: str = "") -> list[Driver]:
    """Drivers of this project's jobs that work on a store, for a run."""
    wanted = (store.encode(), run_id.encode())
    return [
        Driver(pid)
        for pid, arguments in _arguments()
        if JOB.search(arguments) and all(text in arguments + _spec(arguments) for text in wanted)
    ]


def _spec(arguments: bytes) -> bytes:
    """The spec of a driver, whose last argument names its file; nothing where that is gone with its task."""
    path = arguments.rstrip(b"\0").rpartition(b"\0@")[2]
    with suppress(OSError, ValueError):
        return Path(os.fsdecode(path)).read_bytes()
    return b""


def descendants(pid: int) -> list[int]:
    """Living processes below one."""
    children: dict[int, list[int]] = {}
    for found, _ in _arguments():
        stat = read_stat(found)
        if stat is not None and stat.alive:
            children.setdefault(stat.parent, []).append(found)
    below, look = [], [pid]
    while look:
        found_below = children.get(look.pop(), [])
        below += found_below
        look += found_below
    return below


def kill(*pids: int) -> None:
    """SIGKILL, and wait until they are dead, which a busy machine takes its time for: what still seems to run is not
    started again. A process that ended meanwhile is none to kill."""
    for pid in pids:
        with suppress(ProcessLookupError):
            os.kill(pid, signal.SIGKILL)
    eventually("the killed processes to be dead", lambda: not any(map(is_alive, pids)), 60)


def is_alive(pid: int) -> bool:
    """Whether the process runs."""
    stat = read_stat(pid)
    return stat is not None and stat.alive


def is_airflow_worker(pid: int) -> bool:
    """Whether it is a worker of Airflow's LocalExecutor, by the title that it gives itself."""
    return any(found == pid and b"LocalExecutor" in arguments for found, arguments in _arguments())


def _parent(pid: int) -> int:
    stat = read_stat(pid)
    assert stat is not None, f"process {pid} has ended"
    return stat.parent


def _arguments() -> list[tuple[int, bytes]]:
    found = []
    for entry in Path("/proc").iterdir():
        if entry.name.isdigit():
            try:
                found.append((int(entry.name), (entry / "cmdline").read_bytes()))
            except OSError:
                continue  # it has ended
    return found
