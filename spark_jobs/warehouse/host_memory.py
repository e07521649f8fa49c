"""What a process of this host could leave on a disk, by what the kernel says of both below ``/proc``.

Standard library only: it runs in drivers, in the Python workers of executors and in ``check-host``.

Sources: core(5) and the kernel's ``fs/coredump.c`` (a core goes to a file where RLIMIT_CORE is at least a page; to a
pipe whatever the limit is, but for a limit of exactly 1, which stops both); HotSpot's options of JDK 17.
"""

from __future__ import annotations

import contextlib
import errno
import os
import re
import resource
import socket
import tempfile
from collections.abc import Callable, Iterable, Iterator, Sequence
from dataclasses import dataclass
from pathlib import Path
from urllib.parse import urlsplit

from warehouse.disk_failures import DiskFinding

MEMORY_FILE_SYSTEMS = ("tmpfs", "ramfs")
IN_MEMORY = "a folder on tmpfs or ramfs"
NO_CORE_BYTES = 1
"""Limit that stops core dumps to files and to pipes alike."""
EVENT_LOGS = "/tmp/spark-events"  # noqa: S108 - Spark's default, which is refused where it is on a disk
CLUSTER_SCRATCH = "spark.local.dir (or the cluster's own setting of it)"
"""Where executors keep shuffle and spill: the cluster's own setting goes before the application's."""
OPTION_VARIABLES = ("JAVA_TOOL_OPTIONS", "JDK_JAVA_OPTIONS")
"""Variables that a JVM reads before its command line; ``_JAVA_OPTIONS`` comes after it."""
MOST_LINKS = 40
"""In one path, as the kernel has it."""
HEAP_DUMPS = ("HeapDumpOnOutOfMemoryError", "HeapDumpBeforeFullGC", "HeapDumpAfterFullGC")


@dataclass(frozen=True)
class Kernel:
    """Where the kernel answers; tests give folders of their own. ``seen_by``: the process whose mounts count, since a
    container has its own."""

    proc: Path = Path("/proc")
    blocks: Path = Path("/sys/block")
    seen_by: int | str = "self"

    def file_system(self, path: str | Path) -> str:
        """Type of the file system on which ``path`` lies, or would lie: ``tmpfs``, ``ext4``."""
        real = self._without_links(path)
        best, kind = "", "unknown"
        for point, file_system in self._mounts():
            # A later mount of the same point covers the earlier one.
            inside = real == point or real.startswith(point.rstrip("/") + "/")
            if inside and len(point) >= len(best):
                best, kind = point, file_system
        return kind

    def is_folder(self, path: str | Path) -> bool:
        """Whether ``path`` is a folder."""
        return self._seen(path).is_dir()

    def text_of(self, path: str) -> str:
        """Contents of a text file, by its absolute path. :raises OSError: there is none, or it may not be read."""
        return self._seen(path).read_text(encoding="utf-8", errors="replace")

    def environment(self, pid: int) -> dict[str, str]:
        """Environment variables with which a process was started."""
        return dict(one.split("=", 1) for one in self._texts(pid, "environ") if "=" in one)

    def _seen(self, path: str | Path) -> Path:
        """Where this process finds what ``seen_by`` finds at ``path``."""
        if self.seen_by == "self" or not Path(path).is_absolute():
            return Path(path)
        return self._root / self._without_links(path).lstrip("/")

    @property
    def _root(self) -> Path:
        return self.proc / str(self.seen_by) / "root"

    def _without_links(self, path: str | Path) -> str:
        """The path that ``seen_by`` reaches by ``path``."""
        if self.seen_by == "self":
            return os.path.realpath(path)
        return _followed(self._root, str(path)) if Path(path).is_absolute() else os.path.normpath(path)

    def swap_devices(self) -> tuple[str, ...]:
        """Files and partitions that memory is swapped to; compressed memory (zram without a disk behind) is none."""
        with contextlib.suppress(FileNotFoundError):
            names = [line.split()[0] for line in (self.proc / "swaps").read_text().splitlines()[1:] if line.strip()]
            return tuple(name for name in names if not self._is_compressed_memory(name))
        return ()  # a kernel without swap

    def core_pattern(self) -> str:
        """Where core dumps go: a file's name, ``|program`` or ``@socket``."""
        return (self.proc / "sys/kernel/core_pattern").read_text().strip()

    def core_limit(self, pid: int | str = "self") -> int:
        """Soft limit of a process's core dumps in bytes; -1 for none."""
        for line in (self.proc / str(pid) / "limits").read_text().splitlines():
            if line.startswith("Max core file size"):
                soft = line.removeprefix("Max core file size").split()[0]
                return -1 if soft == "unlimited" else int(soft)
        raise ValueError(f"the kernel tells no core limit of process {pid}")

    def java_options(self, pid: int) -> tuple[str, ...]:
        """Options of a JVM in the order in which they take effect; the last of a name counts."""
        environment = self.environment(pid)
        before = [option for name in OPTION_VARIABLES for option in environment.get(name, "").split()]
        return (*before, *self._texts(pid, "cmdline"), *environment.get("_JAVA_OPTIONS", "").split())

    def command(self, pid: int) -> tuple[str, ...]:
        """Program and arguments of a process; empty for one that has ended."""
        try:
            return tuple(self._texts(pid, "cmdline"))
        except (FileNotFoundError, ProcessLookupError):
            return ()

    def working_folder(self, pid: int) -> str:
        """Current directory of a process."""
        return str((self.proc / str(pid) / "cwd").readlink())

    def _texts(self, pid: int, file: str) -> list[str]:
        data = (self.proc / str(pid) / file).read_bytes()
        return [text.decode(errors="replace") for text in data.split(b"\0") if text]

    def _mounts(self) -> Iterator[tuple[str, str]]:
        for line in (self.proc / str(self.seen_by) / "mounts").read_text().splitlines():
            _, point, file_system, *_ = line.split(" ")
            yield re.sub(r"\\([0-7]{3})", lambda octal: chr(int(octal[1], 8)), point), file_system

    def _is_compressed_memory(self, device: str) -> bool:
        name = Path(device).name
        if not re.fullmatch(r"zram\d+", name):
            return False
        with contextlib.suppress(FileNotFoundError):
            return (self.blocks / name / "backing_dev").read_text().strip() == "none"
        return True  # a kernel whose zram can have no disk behind


def _followed(root: Path, path: str) -> str:
    """``path`` below ``root`` with every link in it followed, as for a process with that root; where links have no end,
    as it was.

    Not by ``realpath``: to that a link to ``/data`` means the folder of this process's own root.
    """
    done: list[str] = []
    left, links = path.split("/")[::-1], 0
    while left and links <= MOST_LINKS:
        match left.pop():
            case "" | ".":
                pass
            case "..":
                del done[-1:]
            case name:
                target = _link(root.joinpath(*done, name))
                if target is None:
                    done.append(name)
                    continue
                links += 1
                if target.startswith("/"):
                    done = []
                left += target.split("/")[::-1]
    return path if left else "/" + "/".join(done)


def _link(path: Path) -> str | None:
    """Where a link leads; None of anything else, and of what is not there."""
    try:
        return str(path.readlink())
    except (FileNotFoundError, NotADirectoryError):
        return None
    except OSError as error:
        if error.errno != errno.EINVAL:
            raise
        return None


def folder_findings(kernel: Kernel, where: str, setting: str, folders: Sequence[str]) -> list[DiskFinding]:
    """Those of ``folders`` that are not in memory."""
    findings = []
    for folder in folders:
        if not folder:
            findings.append(DiskFinding(where, setting, "not set", IN_MEMORY))
        elif not kernel.is_folder(folder):
            findings.append(DiskFinding(where, setting, f"{folder}, which is no folder", IN_MEMORY))
        elif (kind := kernel.file_system(folder)) not in MEMORY_FILE_SYSTEMS:
            findings.append(DiskFinding(where, setting, f"{folder} on {kind}", IN_MEMORY))
    return findings


def swap_findings(kernel: Kernel, where: str) -> list[DiskFinding]:
    """Whether memory can be swapped to a disk; tmpfs is swapped like any other memory."""
    return [
        DiskFinding(where, "swap", f"on ({device})", f"off (swapoff {device}, and out of /etc/fstab)")
        for device in kernel.swap_devices()
    ]


def core_findings(kernel: Kernel, where: str, pid: int | str, what: str) -> list[DiskFinding]:
    """Whether a crash of a process would leave its memory in a core dump. ``what``: the process, for people."""
    pattern, limit = kernel.core_pattern(), kernel.core_limit(pid)
    shown = "unlimited" if limit < 0 else f"{limit} bytes"
    setting = f"core dumps of {what}"
    match pattern[:1]:
        case "|" if limit != NO_CORE_BYTES:
            value = f"sent to {pattern[1:].split(maxsplit=1)[0]} (kernel.core_pattern) whatever the limit, {shown}"
            needed = f"kernel.core_pattern=core, or a core limit of exactly {NO_CORE_BYTES} byte"
        case "@":
            value = f"sent to the socket {pattern[1:]} (kernel.core_pattern)"
            needed = "kernel.core_pattern=core"
        case "|":
            return []
        case _ if 0 <= limit < resource.getpagesize():
            return []
        case _:
            value, needed = f"a file (core limit {shown})", "a core limit of 0 (ulimit -c 0)"
    return [DiskFinding(where, setting, value, needed)]


def java_findings(kernel: Kernel, where: str, options: Sequence[str], working_folder: str) -> list[DiskFinding]:
    """What a JVM with these options would write when it crashes or runs out of memory.

    The error file of a crash (``hs_err_pid….log``) shows texts that registers point to and parts of the stack.
    """
    findings = java_flag_findings(where, options)
    named = _last(options, "-XX:ErrorFile=")
    folder = str(Path(working_folder, named).parent) if named else working_folder
    for finding in folder_findings(kernel, where, "-XX:ErrorFile", [folder]):
        value = finding.value if named else f"not set, which means {finding.value}"
        findings.append(DiskFinding(where, finding.setting, value, f"a file in {IN_MEMORY}"))
    return findings


def java_flag_findings(where: str, options: Sequence[str]) -> list[DiskFinding]:
    """Those of :func:`java_findings` that are the same on every host."""
    return [
        *(DiskFinding(where, f"-XX:{name}", "on", f"-XX:-{name}") for name in HEAP_DUMPS if _flag(options, name)),
        *(
            DiskFinding(where, f"-XX:{name}", "on, so that logs would have it", f"-XX:-{name}")
            for name in ("ErrorFileToStdout", "ErrorFileToStderr")
            if _flag(options, name)
        ),
    ]


def event_log_findings(kernel: Kernel, where: str, setting: Callable[[str, str], str]) -> list[DiskFinding]:
    """Whether Spark would write its event log to a disk: a plan in it names the values that a query asks for.

    :param setting: the value of a Spark property, or the default that is given.
    """
    if setting("spark.eventLog.enabled", "false").lower() != "true":
        return []
    address = urlsplit(setting("spark.eventLog.dir", EVENT_LOGS))
    if address.scheme == "alluxio":
        return []
    if address.scheme not in ("", "file"):
        return [DiskFinding(where, "spark.eventLog.dir", f"{address.scheme}://", IN_MEMORY)]
    if (kind := kernel.file_system(address.path)) in MEMORY_FILE_SYSTEMS:
        return []
    return [DiskFinding(where, "spark.eventLog.dir", f"{address.path} on {kind}", IN_MEMORY)]


def temporary_folder(options: Sequence[str]) -> str:
    """``java.io.tmpdir`` of a JVM with these options."""
    return system_property(options, "java.io.tmpdir") or "/tmp"  # noqa: S108 - Java's own default


def system_property(options: Sequence[str], name: str) -> str | None:
    """A system property of a JVM with these options."""
    return _last(options, f"-D{name}=")


def stop_core_dumps(pid: int = 0) -> None:
    """Lower a process's core limit for good, where this process may; 0 for itself. Children inherit it."""
    with contextlib.suppress(PermissionError, ProcessLookupError):
        _, hard = resource.prlimit(pid, resource.RLIMIT_CORE)
        limit = NO_CORE_BYTES if hard == resource.RLIM_INFINITY else min(NO_CORE_BYTES, hard)
        resource.prlimit(pid, resource.RLIMIT_CORE, (limit, limit))


def probe_executor(_: Iterable[int]) -> Iterator[tuple[str, list[DiskFinding]]]:
    """A task: id of the executor that runs it, and what that could leave on a disk; its core dumps are stopped.

    A Python worker is the child of a daemon, which is the child of the executor's JVM; the folders that the JVM really
    uses come in its environment (``SPARK_LOCAL_DIRS``).
    """
    kernel = Kernel()
    pid = _java_above(kernel, os.getpid())
    options, executor = kernel.java_options(pid), executor_id(kernel.command(pid))
    where = f"executor {executor} on {socket.gethostname()}"
    for one in (0, os.getppid(), pid):
        stop_core_dumps(one)
    # Named by the driver, and made by Spark only where it is the executor's own scratch, too.
    for folder in (temporary_folder(options), os.environ.get("TMPDIR", "")):
        if folder and kernel.file_system(folder) in MEMORY_FILE_SYSTEMS:
            with contextlib.suppress(OSError):  # what is still missing is found below
                Path(folder).mkdir(parents=True, exist_ok=True)
    yield (
        executor,
        [
            *folder_findings(kernel, where, CLUSTER_SCRATCH, os.environ.get("SPARK_LOCAL_DIRS", "").split(",")),
            *folder_findings(kernel, where, "java.io.tmpdir", [temporary_folder(options)]),
            *folder_findings(kernel, where, "spark.executorEnv.TMPDIR", [tempfile.gettempdir()]),
            *java_findings(kernel, where, options, kernel.working_folder(pid)),
            *core_findings(kernel, where, pid, "Java"),
            *core_findings(kernel, where, "self", "Python"),
            *swap_findings(kernel, where),
        ],
    )


def executor_id(command: Sequence[str]) -> str:
    """Spark's id of an executor, by the arguments with which its JVM was started."""
    arguments = list(command)
    return arguments[arguments.index("--executor-id") + 1] if "--executor-id" in arguments else "?"


def _java_above(kernel: Kernel, pid: int) -> int:
    """The nearest ancestor that is a JVM."""
    while pid > 1:
        status = (kernel.proc / str(pid) / "status").read_text()
        pid = int(re.search(r"^PPid:\s*(\d+)$", status, re.MULTILINE)[1])  # type: ignore[index]  # always there
        command = kernel.command(pid)
        if command and Path(command[0]).name == "java":
            return pid
    raise ValueError("this process was not started by a JVM")


def _flag(options: Sequence[str], name: str) -> bool:
    found = [option for option in options if option in (f"-XX:+{name}", f"-XX:-{name}")]
    return bool(found) and found[-1].startswith("-XX:+")


def _last(options: Sequence[str], prefix: str) -> str | None:
    found = [option.removeprefix(prefix) for option in options if option.startswith(prefix)]
    return found[-1] if found else None
