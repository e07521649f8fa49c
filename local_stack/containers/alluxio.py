"""Alluxio's servers: ``alluxio master|job-master|proxy|worker``. A worker brings the job worker that copies its blocks.

Blocks, under-store and temporary files are on the container's tmpfs. The journal, which holds paths, sizes and times
and never a value of the data, is on a volume: a master that is started again knows its files.
"""

from __future__ import annotations

import os
import socket
import subprocess
import sys
from collections.abc import Sequence
from pathlib import Path

from local_stack.alluxio_servers import (
    COPYING,
    FORMAT,
    MAIN_CLASSES,
    PROPERTIES,
    PROXY_UPLOADS,
    SHELL,
    command,
    has_proxy_folder,
    own_options,
    write_configuration,
)
from local_stack.containers.memory_guard import ensure_memory_only
from local_stack.containers.together import become, run_together
from local_stack.errors import StackError

JARS = Path("/opt/alluxio/jars")
RUN = Path("/run/alluxio")
"""Configuration, logs of the servers and their working folder: a tmpfs."""
TIER = Path("/mnt/ramdisk")
UNDER_STORE = Path("/mnt/under_store")
JOURNAL = Path("/var/lib/alluxio/journal")
AUDIT_LOG = Path("/var/log/alluxio/audit.log")
"""Of the master, on a volume: paths, users, commands and outcomes."""
NATIVE = Path("/tmp")  # noqa: S108 - code, no data; the other tmpfs are noexec
MASTER = "alluxio-master"
MASTER_WEB = f"http://{MASTER}:19999"
JOB_MASTER = "alluxio-job-master"
REPLICATION = "WAREHOUSE_REPLICATION"
"""Environment variable of the proxy: how many workers are to hold each block of what it writes. Jobs say it too."""
HEAPS = {"master": "512m", "proxy": "512m", "worker": "512m", "job-master": "192m", "job-worker": "192m"}

_PROMETHEUS = """\
sink.prometheus.class=alluxio.metrics.sink.PrometheusMetricsServlet
"""
"""Shows the metrics at /metrics/prometheus/ of each server's web port."""


def properties(host: str, capacity: int | None = None) -> dict[str, object]:
    """The site's properties in a container.

    :param host: name by which others reach this server.
    :param capacity: bytes of the memory tier, of a worker.
    """
    own: dict[str, object] = {"alluxio.worker.ramdisk.size": capacity} if capacity is not None else {}
    if copies := os.environ.get(REPLICATION):
        own["alluxio.user.file.replication.min"] = copies
    return {
        **PROPERTIES,
        **COPYING,
        "alluxio.master.hostname": MASTER,
        "alluxio.job.master.hostname": JOB_MASTER,
        "alluxio.worker.hostname": host,
        "alluxio.job.worker.hostname": host,
        "alluxio.proxy.web.hostname": host,
        "alluxio.master.mount.table.root.ufs": UNDER_STORE,
        "alluxio.master.journal.type": "UFS",
        "alluxio.master.journal.folder": JOURNAL,
        "alluxio.worker.tieredstore.level0.dirs.path": TIER,
        "alluxio.tmp.dirs": RUN / "temporary",
        **own,
    }


def main(arguments: Sequence[str]) -> None:
    """Become the server that ``arguments`` names.

    :raises StackError: there is no such server, a row could reach a disk, or the journal cannot be formatted.
    """
    name = " ".join(arguments)
    if name not in MAIN_CLASSES or name == "job-worker":
        raise StackError(f"Alluxio has no server {name!r} here")
    # Not the address: Alluxio's clients look up what name an address has, and Docker's answer may be none for a URI.
    host = socket.gethostname()
    capacity = None
    if name == "worker":
        ensure_memory_only(tier=str(TIER), under_store=str(UNDER_STORE), temporary=str(RUN))
        capacity = tier_capacity(TIER)
        print(f"memory only: {capacity >> 20} MiB of {TIER} are this worker's tier", flush=True)
    for folder in ("conf", "temporary", "logs"):
        (RUN / folder).mkdir(exist_ok=True)
    write_configuration(RUN / "conf", properties(host, capacity), JARS.glob("*.jar"), AUDIT_LOG)
    (RUN / "conf" / "metrics.properties").write_text(_PROMETHEUS)
    if name in ("master", "job-master") and not (JOURNAL.is_dir() and any(JOURNAL.iterdir())):
        _run_cli("formatting the journal", FORMAT, "master")
    if name == "proxy" and not has_proxy_folder(MASTER_WEB):
        _run_cli("making the folder of the proxy", SHELL, "mkdir", PROXY_UPLOADS)
    names = ("worker", "job-worker") if name == "worker" else (name,)
    commands = {one: _server(one) for one in names}
    if len(commands) == 1:
        become(commands[name], cwd=RUN)
    else:
        # Under one address: a job worker copies blocks into the worker of its own host.
        sys.exit(run_together(commands, env=os.environ, cwd=RUN))


def tier_capacity(tier: Path) -> int:
    """Bytes of blocks that the tmpfs at ``tier`` takes; the rest is what whole pages cost beyond a block's length."""
    stat = os.statvfs(tier)
    return stat.f_blocks * stat.f_frsize * 97 // 100


def _server(name: str) -> list[str | Path]:
    return _command(MAIN_CLASSES[name], heap=HEAPS[name], options=own_options(name, RUN / "conf"))


def _command(main_class: str, *arguments: str, heap: str, options: Sequence[str] = ()) -> list[str | Path]:
    return command(
        main_class, *arguments, configuration=RUN / "conf", home=RUN, temporary=RUN / "temporary", logs=RUN / "logs",
        native=NATIVE, heap=heap, options=options,
    )  # fmt: skip


def _run_cli(what: str, main_class: str, *arguments: str) -> None:
    """Run a command of Alluxio as the account of the servers, who may do everything."""
    command_line = _command(main_class, *arguments, heap="128m")
    done = subprocess.run(command_line, cwd=RUN, capture_output=True, text=True, check=False)
    if done.returncode:
        raise StackError(f"{what} failed: {(done.stderr or done.stdout).strip()[-500:]}")
