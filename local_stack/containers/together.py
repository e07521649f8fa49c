"""Two servers in one container that live and die together."""

from __future__ import annotations

import contextlib
import os
import signal
import subprocess
import sys
import time
from collections.abc import Mapping, Sequence
from pathlib import Path

GRACE = 8.0
"""Seconds between asking the others to end and killing them."""


def run_together(
    commands: Mapping[str, Sequence[str | Path]], *, env: Mapping[str, str], cwd: Path, grace: float = GRACE
) -> int:
    """Run all commands until one ends or this process is told to; then end the others.

    :returns: 0 when told to end, else the exit code of the one that ended by itself, at least 1.
    """
    told: list[int] = []
    for number in (signal.SIGTERM, signal.SIGINT):
        signal.signal(number, lambda received, _: told.append(received))
    processes = {name: subprocess.Popen(command, env=dict(env), cwd=cwd) for name, command in commands.items()}
    ended: dict[str, int] = {}
    while not told and not ended:
        time.sleep(0.2)
        ended = {name: code for name, process in processes.items() if (code := process.poll()) is not None}
    for name, code in ended.items():
        print(f"{name} ended with {code}; the container ends with it", file=sys.stderr, flush=True)
    for process in processes.values():
        with contextlib.suppress(ProcessLookupError):
            process.terminate()
    deadline = time.monotonic() + grace
    for process in processes.values():
        try:
            process.wait(max(0.0, deadline - time.monotonic()))
        except subprocess.TimeoutExpired:
            process.kill()
            process.wait()
    return 0 if told else max(1, *ended.values())


def become(command: Sequence[str | Path], *, env: Mapping[str, str] | None = None, cwd: Path | None = None) -> None:
    """Replace this process by the command, which so gets the container's signals."""
    if cwd is not None:
        os.chdir(cwd)
    sys.stdout.flush()
    os.execvpe(str(command[0]), [str(part) for part in command], dict(env if env is not None else os.environ))  # noqa: S606
