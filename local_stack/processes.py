"""Child processes that outlive their starter, and that a later command finds and ends again.

Linux only: a process is identified by its id, its start time and the machine's boot, from ``/proc``, so that a stale
file never makes us signal a stranger.
"""

from __future__ import annotations

import contextlib
import json
import os
import signal
import subprocess
import time
from collections.abc import Callable, Iterable, Mapping, Sequence
from dataclasses import asdict, dataclass
from pathlib import Path

from local_stack.errors import StackError

_PROC = Path("/proc")
_BOOT_ID = _PROC / "sys/kernel/random/boot_id"
_LOG_LINES = 15


@dataclass(frozen=True)
class ProcessStat:
    """What ``/proc/<pid>/stat`` says; ``started`` in clock ticks since boot."""

    pid: int
    state: str
    parent: int
    group: int
    session: int
    started: int

    @property
    def alive(self) -> bool:
        """A zombie has ended, though its parent has not asked yet."""
        return self.state not in "ZX"


def read_stat(pid: int) -> ProcessStat | None:
    """The process's state, or None when there is no such process."""
    try:
        text = (_PROC / str(pid) / "stat").read_text()
    except (FileNotFoundError, ProcessLookupError):
        return None
    fields = text.rpartition(")")[2].split()  # the program's name may contain spaces and brackets
    return ProcessStat(pid, fields[0], int(fields[1]), int(fields[2]), int(fields[3]), int(fields[19]))


def _all_processes() -> list[ProcessStat]:
    found = (read_stat(int(entry.name)) for entry in _PROC.iterdir() if entry.name.isdigit())
    return [stat for stat in found if stat is not None and stat.alive]


@dataclass(frozen=True)
class Service:
    """A server started in a session of its own; known by its name in the folder ``runtime`` (pid file, log)."""

    name: str
    runtime: Path

    @property
    def log(self) -> Path:
        """Standard output and error."""
        return self.runtime / f"{self.name}.log"

    @property
    def _pid_file(self) -> Path:
        return self.runtime / f"{self.name}.pid"

    def start(
        self,
        command: Sequence[str | Path],
        *,
        env: Mapping[str, str],
        cwd: Path | None = None,
        user: int | None = None,
        group: int | None = None,
    ) -> None:
        """Start the command; the log begins anew, with the last one kept as ``.log.1``.

        :raises StackError: it runs already, or the program does not exist.
        """
        if self.is_running():
            raise StackError(f"{self.name} is running already; stop it first")
        self.runtime.mkdir(parents=True, exist_ok=True)
        if self.log.exists():
            self.log.replace(self.log.with_suffix(".log.1"))
        with self.log.open("wb") as log:
            try:
                child = subprocess.Popen(
                    [str(part) for part in command],
                    stdin=subprocess.DEVNULL,
                    stdout=log,
                    stderr=subprocess.STDOUT,
                    env=dict(env),
                    cwd=cwd,
                    start_new_session=True,
                    user=user,
                    group=group,
                    extra_groups=[] if user is not None else None,
                )
            except OSError as error:
                raise StackError(f"{self.name} cannot be started: {error}") from error
        stat = read_stat(child.pid)
        if stat is None:
            raise StackError(f"{self.name} ended at once; see {self.log}")
        record = _PidRecord(child.pid, stat.started, _BOOT_ID.read_text().strip())
        self._pid_file.write_text(json.dumps(asdict(record)))

    @property
    def pid(self) -> int | None:
        """Id of the running server, or None."""
        record = self._record()
        if record is None:
            return None
        with contextlib.suppress(ChildProcessError):
            os.waitpid(record.pid, os.WNOHANG)  # our own ended child would stay a zombie
        stat = read_stat(record.pid)
        return record.pid if stat is not None and stat.alive and stat.started == record.started else None

    def is_running(self) -> bool:
        """Whether the very process that was started is alive."""
        return self.pid is not None

    def stop(
        self, *, stop_signal: signal.Signals = signal.SIGTERM, grace: float = 10, whole_group: bool = True
    ) -> None:
        """End the server and all that it started: ``stop_signal`` first, after ``grace`` seconds SIGKILL. Idempotent.

        :param whole_group: send ``stop_signal`` to the children too, instead of leaving them to the server.
        """
        record = self._record()
        if record is None:
            return
        members = self._members(record)
        leaders = [member for member in members if member.pid == record.pid]
        _send(members if whole_group or not leaders else leaders, stop_signal)
        deadline = time.monotonic() + grace
        # Asked anew each time: a dying server may start or orphan others.
        while members := _merge(_living(members), self._members(record)):
            if time.monotonic() > deadline:
                _send(members, signal.SIGKILL)
                deadline = time.monotonic() + grace
            time.sleep(0.05)
        self._pid_file.unlink(missing_ok=True)

    def tail(self, lines: int = _LOG_LINES) -> str:
        """Last lines of the log."""
        if not self.log.exists():
            return ""
        return "\n".join(self.log.read_text(errors="replace").splitlines()[-lines:])

    def _record(self) -> _PidRecord | None:
        try:
            record = _PidRecord(**json.loads(self._pid_file.read_text()))
        except (FileNotFoundError, ValueError, TypeError):
            return None
        return record if record.boot == _BOOT_ID.read_text().strip() else None

    def _members(self, record: _PidRecord) -> list[ProcessStat]:
        """Living processes of the server's session and their descendants, also when the server itself has died."""
        with contextlib.suppress(ChildProcessError):
            os.waitpid(record.pid, os.WNOHANG)
        leader = read_stat(record.pid)
        if leader is not None and leader.started != record.started:
            return []  # the id was given to somebody else, so the session is gone
        processes = _all_processes()
        members = {p.pid: p for p in processes if p.session == record.pid and p.started >= record.started}
        found = True
        while found:
            found = False
            for process in processes:
                if process.parent in members and process.pid not in members:
                    members[process.pid] = process
                    found = True
        return list(members.values())


@dataclass(frozen=True)
class _PidRecord:
    pid: int
    started: int
    boot: str


def _living(processes: Iterable[ProcessStat]) -> list[ProcessStat]:
    current = ((process, read_stat(process.pid)) for process in processes)
    return [process for process, now in current if now and now.alive and now.started == process.started]


def _merge(first: Iterable[ProcessStat], second: Iterable[ProcessStat]) -> list[ProcessStat]:
    return list({process.pid: process for process in (*first, *second)}.values())


def _send(processes: Iterable[ProcessStat], number: signal.Signals) -> None:
    for process in _living(processes):
        with contextlib.suppress(ProcessLookupError):
            os.kill(process.pid, number)


def wait_for(
    condition: Callable[[], bool],
    what: str,
    *,
    timeout: float,
    services: Iterable[Service] = (),
    interval: float = 0.1,
) -> None:
    """Wait until the condition holds.

    :param what: what is waited for, as in "waited 60 s for …".
    :param timeout: seconds.
    :raises StackError: a service ended, with the last lines of its log; or the time is over.
    """
    deadline = time.monotonic() + timeout
    while not condition():
        for service in services:
            if not service.is_running():
                raise StackError(f"{service.name} ended while starting; its log {service.log} ends:\n{service.tail()}")
        if time.monotonic() > deadline:
            logs = ", ".join(str(service.log) for service in services)
            raise StackError(f"waited {timeout:.0f} s in vain for {what}" + (f"; see {logs}" if logs else ""))
        time.sleep(interval)
