"""A real Alluxio on this machine: master, workers and proxy from Maven's jars, with everything in memory.

Blocks, the (empty) under-store, the journal and temporary files lie under one folder of ``/dev/shm``; only logs, which
hold paths and names of users and never data, are on disk.
"""

from __future__ import annotations

import hashlib
import os
import shutil
import signal
import subprocess
import urllib.request
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

from local_stack.alluxio_servers import (
    ANY_KEY,
    COPYING,
    FORMAT,
    MAIN_CLASSES,
    PROPERTIES,
    PROXY_UPLOADS,
    SHELL,
    command,
    has_proxy_folder,
    master_answer,
    own_options,
    rest_answer,
    write_configuration,
)
from local_stack.errors import StackError
from local_stack.jars import ensure_jars
from local_stack.ports import LOOPBACK, JobPorts, Ports, is_listening
from local_stack.processes import Service, wait_for

# The other half of the project: spark_jobs/ is on the path in the Makefile and in pytest's settings.
from warehouse.host_memory import stop_core_dumps  # isort: skip

SHARED_MEMORY = Path("/dev/shm")  # noqa: S108 - memory is what it is for
WAREHOUSE = "/warehouse"
_ADDRESSES = ("hostname", "bind.host", "web.hostname", "web.bind.host")
AUDIT_LOG = "alluxio-audit.log"


@dataclass(frozen=True)
class Alluxio:
    """The servers; ``memory`` bytes of ``/dev/shm`` at most hold the blocks of a worker. ``settings``: over those of
    this module, for tests of what must be refused. ``programs``: a folder with programs that the servers find before
    the machine's; Alluxio asks ``id`` for the groups of a user.

    ``workers``: several stand each on a loopback address of its own, 127.0.0.1, 127.0.0.2 and so on, since Alluxio
    keeps the copies of a block on different hosts; and with the job service, which copies what a lost worker held.
    ``masters``: several stand on these addresses in the same way, with a journal that they replicate among each other,
    each by a port of its own since it listens for that on all addresses; three is the least of which one may be lost.
    """

    state: Path
    ports: Ports
    memory: int = 2 << 30
    settings: Mapping[str, str] = field(default_factory=dict)
    workers: int = 1
    masters: int = 1
    journal_ports: tuple[int, ...] = (19200, 19201, 19202)
    job_ports: JobPorts = field(default_factory=JobPorts)
    programs: Path | None = None

    @property
    def folder(self) -> Path:
        """Everything of this stack in ``/dev/shm``."""
        digest = hashlib.sha256(str(self.state.resolve()).encode()).hexdigest()[:10]
        return SHARED_MEMORY / f"logical-warehouse-{digest}"

    @property
    def uri(self) -> str:
        """Where snapshots live."""
        return f"alluxio://{self._master_addresses}{WAREHOUSE}"

    @property
    def web(self) -> str:
        """The master's web address, with its REST interface under ``/api/v1/master``; of several all, with commas."""
        return ",".join(f"http://{address}:{self.ports.alluxio_master_web}" for address in _addresses(self.masters))

    @property
    def s3(self) -> str:
        """The proxy's S3 endpoint; the first folder of a path is the bucket, any key is accepted."""
        return f"http://{LOOPBACK}:{self.ports.alluxio_proxy_web}/api/v1/s3"

    @property
    def audit_log(self) -> Path:
        """Where the master writes who asked for what; older parts beside it, with numbers."""
        return self.state / "run" / AUDIT_LOG

    @property
    def services(self) -> dict[str, Service]:
        """By name: ``master``, ``proxy``, ``worker``, ``worker-2`` and so on; of several workers also ``job-master``,
        ``job-worker``, ``job-worker-2``; of several masters ``master-2`` and so on."""
        names = [*_numbered("master", self.masters), *_numbered("worker", self.workers), "proxy"]
        if self.workers > 1:
            names += ["job-master", *_numbered("job-worker", self.workers)]
        return {name: Service(f"alluxio-{name}", self.state / "run") for name in names}

    def blocks(self, worker: str = "worker") -> Path:
        """The folder in which a worker keeps its blocks."""
        return self.folder / worker.replace("worker", "blocks")

    def start(self) -> None:
        """Start what does not run and wait until all three are healthy. What the memory holds is kept.

        :raises StackError: a server ended or did not become healthy.
        """
        self.launch()
        self.wait_healthy()

    def launch(self) -> None:
        """Start what does not run, without waiting."""
        self._write_configuration()
        services = self.services
        # The others wait for the masters, which are formatted meanwhile.
        for name in sorted(services, key=lambda name: _kind_and_number(name)[0] == "master"):
            if not services[name].is_running():
                if _kind_and_number(name)[0] == "master" and not self._journal(name).exists():
                    self._format(name)
                services[name].start(self._command_of(name), env=self._environment(), cwd=self.folder)
                if (pid := services[name].pid) is not None:
                    stop_core_dumps(pid)  # a server's core would hold blocks

    def wait_healthy(self, timeout: float = 90) -> None:
        """Wait for live workers, the memory announced, and the proxy's S3."""
        services = self.services
        wait_for(self._answers, "Alluxio's master", timeout=timeout, services=[services["master"]])
        self._make_proxy_folder()
        wait_for(self.is_healthy, "Alluxio's workers and proxy", timeout=timeout, services=services.values())

    def is_healthy(self) -> bool:
        """Whether the master knows exactly the live workers configured, with their memory, and S3 answers."""
        try:
            info = self.master_info()
        except OSError:
            return False
        if len(info["workers"]) != self.workers or info["lostWorkers"]:
            return False
        if info["capacity"]["total"] < self.memory * self.workers or not all(map(_has_heard_of, info["workers"])):
            return False
        if self.workers > 1 and not self._job_service_is_healthy():
            return False
        request = urllib.request.Request(f"{self.s3}/", headers={"Authorization": ANY_KEY})  # noqa: S310 - http
        try:
            urllib.request.urlopen(request, timeout=5).close()  # noqa: S310
        except OSError:
            return False
        return True

    def _job_service_is_healthy(self) -> bool:
        """Whether its master answers and its workers listen, which they do once they have registered.

        It says nowhere but in its own protocol who has, and the workers' own information is an error 500 (2.9.4).
        """
        workers = range(1, self.workers + 1)
        try:
            rest_answer(f"http://{LOOPBACK}:{self.job_ports.master_web}/api/v1/job_master/info")
        except OSError:
            return False
        return all(is_listening(self.job_ports.worker, f"127.0.0.{number}") for number in workers)

    def master_info(self) -> dict[str, Any]:
        """What the master says of itself: version, capacity and workers.

        :raises OSError: nobody answers.
        """
        info: dict[str, Any] = master_answer(self.web, "info")
        return info

    def stop(self) -> None:
        """End the servers and free their memory. Idempotent."""
        for service in self.services.values():
            service.stop(stop_signal=signal.SIGKILL)  # nothing to save: their memory goes with them
        shutil.rmtree(self.folder, ignore_errors=True)

    def is_running(self) -> bool:
        """Whether all processes are alive."""
        return all(service.is_running() for service in self.services.values())

    @property
    def _master_addresses(self) -> str:
        return ",".join(f"{address}:{self.ports.alluxio_master}" for address in _addresses(self.masters))

    def _journal(self, master: str = "master") -> Path:
        return self.folder / master.replace("master", "journal")

    @property
    def _configuration(self) -> Path:
        return self.state / "alluxio"

    def _write_configuration(self) -> None:
        self._configuration.mkdir(parents=True, exist_ok=True)
        self.folder.mkdir(mode=0o700, exist_ok=True)
        blocks = (self.blocks(name).name for name in _numbered("worker", self.workers))
        for folder in ("under_store", "temporary", *blocks):
            (self.folder / folder).mkdir(exist_ok=True)
        write_configuration(
            self._configuration, self._properties(), ensure_jars("alluxio").glob("*.jar"), self.audit_log
        )

    def _properties(self) -> dict[str, object]:
        ports, folder = self.ports, self.folder
        bound: dict[str, object] = {
            f"alluxio.{server}.{kind}": LOOPBACK
            for server in ("master", "worker", "proxy")
            for kind in _ADDRESSES
            if not (server == "proxy" and not kind.startswith("web"))
        }
        if self.workers > 1:
            bound |= self._job_properties()
        if self.masters > 1:
            bound |= self._masters_properties()
        return {
            **PROPERTIES,
            **bound,
            "alluxio.master.rpc.port": ports.alluxio_master,
            "alluxio.master.web.port": ports.alluxio_master_web,
            "alluxio.worker.rpc.port": ports.alluxio_worker,
            "alluxio.worker.web.port": ports.alluxio_worker_web,
            "alluxio.proxy.web.port": ports.alluxio_proxy_web,
            "alluxio.master.mount.table.root.ufs": folder / "under_store",
            "alluxio.master.journal.type": "UFS" if self.masters == 1 else "EMBEDDED",
            "alluxio.master.journal.folder": self._journal(),
            "alluxio.worker.ramdisk.size": self.memory,
            "alluxio.worker.tieredstore.level0.dirs.path": self.blocks(),
            "alluxio.tmp.dirs": folder / "temporary",
            # A worker that is there at once needs no safe mode of five seconds.
            "alluxio.master.worker.connect.wait.time": "500ms",
            # Nobody else writes the journal, so a starting master needs no quiet period of five seconds either.
            "alluxio.master.journal.tailer.shutdown.quiet.wait.time": "100ms",
            "alluxio.master.journal.tailer.sleep.time": "100ms",
            "alluxio.master.journal.backup.when.corrupted": "false",
            **self.settings,
        }

    def _job_properties(self) -> dict[str, object]:
        ports = self.job_ports
        bound = {f"alluxio.job.{server}.{kind}": LOOPBACK for server in ("master", "worker") for kind in _ADDRESSES}
        return bound | {
            "alluxio.job.master.rpc.port": ports.master,
            "alluxio.job.master.web.port": ports.master_web,
            "alluxio.job.worker.rpc.port": ports.worker,
            "alluxio.job.worker.data.port": ports.worker_data,
            "alluxio.job.worker.web.port": ports.worker_web,
            **COPYING,
        }

    def _masters_properties(self) -> dict[str, object]:
        places = zip(_addresses(self.masters), self.journal_ports, strict=False)
        journals = ",".join(f"{address}:{port}" for address, port in places)
        return {
            "alluxio.master.rpc.addresses": self._master_addresses,
            "alluxio.master.embedded.journal.addresses": journals,
            "alluxio.master.embedded.journal.port": self.journal_ports[0],
            # A lost leader is followed in seconds instead of ten to twenty.
            "alluxio.master.embedded.journal.election.timeout.min": "2sec",
            "alluxio.master.embedded.journal.election.timeout.max": "4sec",
        }

    def _command_of(self, name: str) -> list[str | Path]:
        """Of a server."""
        server, _ = _kind_and_number(name)
        options = [*own_options(server, self._configuration), *self._own_place(name)]
        return self._command(MAIN_CLASSES[server], options=options)

    def _own_place(self, name: str) -> list[str]:
        """Address and folder of the second server of a kind and those after it, properties of their processes."""
        server, number = _kind_and_number(name)
        if number == 1:
            return []
        kinds = ["master"] if server == "master" else ["worker", "job.worker"]
        own = {f"alluxio.{kind}.{what}": f"127.0.0.{number}" for kind in kinds for what in _ADDRESSES}
        if server == "master":
            own["alluxio.master.journal.folder"] = str(self._journal(name))
            own["alluxio.master.embedded.journal.port"] = str(self.journal_ports[number - 1])
        else:
            own["alluxio.worker.tieredstore.level0.dirs.path"] = str(self.blocks(f"worker-{number}"))
        return [f"-D{key}={value}" for key, value in own.items()]

    def _answers(self) -> bool:
        try:
            self.master_info()
        except OSError:
            return False
        return True

    def _make_proxy_folder(self) -> None:
        """The proxy makes it with its first answer, and may not."""
        if not has_proxy_folder(self.web):
            self._run_cli(SHELL, "mkdir", PROXY_UPLOADS)

    def _command(self, main_class: str, *arguments: str, options: Sequence[str] = ()) -> list[str | Path]:
        return command(
            main_class, *arguments, configuration=self._configuration, home=self.folder,
            temporary=self.folder / "temporary", logs=self.state / "run",
            native=self._configuration,  # a hardened /dev/shm is noexec
            options=options,
        )  # fmt: skip

    def _format(self, master: str) -> None:
        try:
            self._run_cli(FORMAT, "master", options=self._own_place(master))
        except StackError:
            shutil.rmtree(self._journal(master), ignore_errors=True)
            raise

    def _run_cli(self, main_class: str, *arguments: str, options: Sequence[str] = ()) -> None:
        done = subprocess.run(
            self._command(main_class, *arguments, options=options), env=self._environment(), cwd=self.folder,
            capture_output=True, text=True, check=False, timeout=120,
        )  # fmt: skip
        if done.returncode:
            raise StackError(f"{main_class} failed: {(done.stderr or done.stdout).strip()[-500:]}")

    def _environment(self) -> dict[str, str]:
        folders = [str(self.programs)] if self.programs is not None else []
        path = os.pathsep.join([*folders, os.environ.get("PATH", os.defpath)])
        return {"PATH": path, "LANG": "C.UTF-8", "TZ": "UTC"}


def _addresses(servers: int) -> list[str]:
    return [f"127.0.0.{number}" for number in range(1, servers + 1)]


def _numbered(server: str, count: int) -> list[str]:
    return [server, *(f"{server}-{number}" for number in range(2, count + 1))]


def _kind_and_number(name: str) -> tuple[str, int]:
    server, _, number = name.rpartition("-")
    return (server, int(number)) if number.isdecimal() else (name, 1)


def _has_heard_of(worker: dict[str, Any]) -> bool:
    """Whether the master has heard of the worker that runs now, by what it says of it.

    For half a minute the master counts one that was killed, and of one that was started again it goes on saying when
    the first was. So the worker is asked itself, which only the one that runs answers, how long it is up.
    """
    address = worker["address"]
    try:
        up_seconds = (
            rest_answer(f"http://{address['host']}:{address['webPort']}/api/v1/worker/info")["uptimeMs"] // 1000
        )
    except OSError:
        return False
    return bool(worker["lastContactSec"] < up_seconds)
