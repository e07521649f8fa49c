"""``check-host``: whether this host, a worker of Alluxio or of Spark, could write rows to a disk.

Run where the servers run, as root or as their user. It asks the kernel only and needs nothing but Python's standard
library: ``python3 -m logical_warehouse.host_check`` is the same on a host that has nothing else.
"""

from __future__ import annotations

import argparse
import contextlib
import dataclasses
import re
import socket
import sys
from collections.abc import Callable, Iterator, Sequence
from dataclasses import dataclass

from warehouse.disk_failures import DiskFinding
from warehouse.fingerprint_report import aligned
from warehouse.host_memory import (
    Kernel,
    core_findings,
    folder_findings,
    java_findings,
    swap_findings,
    system_property,
    temporary_folder,
)

SERVERS = {
    "alluxio.worker.AlluxioWorker": "Alluxio worker",
    "alluxio.worker.AlluxioJobWorker": "Alluxio job worker",
    "alluxio.proxy.AlluxioProxy": "Alluxio proxy",
    "org.apache.spark.deploy.worker.Worker": "Spark worker",
    "org.apache.spark.executor.CoarseGrainedExecutorBackend": "Spark executor",
    "org.apache.spark.executor.YarnCoarseGrainedExecutorBackend": "Spark executor",
    "org.apache.spark.scheduler.cluster.k8s.KubernetesExecutorBackend": "Spark executor",
}
"""Main classes of the processes through which rows go."""
ALLUXIO_WORKER = SERVERS["alluxio.worker.AlluxioWorker"]
LEVELS = "alluxio.worker.tieredstore.levels"
"""How many there are; one unless it is set."""
TIER = "alluxio.worker.tieredstore.level{level}.dirs.path"
SITE_FILE = "alluxio-site.properties"


@dataclass(frozen=True)
class Line:
    """One line of the table; ``needed`` is empty where all is well."""

    what: str
    value: str
    needed: str = ""


def register(subparsers: argparse._SubParsersAction[argparse.ArgumentParser]) -> None:
    """Add ``check-host`` to the command line."""
    help_text = "check that this worker host keeps rows in memory; ends with 1 where it could not"
    _add_arguments(subparsers.add_parser("check-host", help=help_text))


def _add_arguments(parser: argparse.ArgumentParser) -> None:
    for option, what in (
        ("--tier", "Alluxio's memory tier (alluxio.worker.tieredstore.level0.dirs.path)"),
        ("--scratch", "Spark's scratch (SPARK_LOCAL_DIRS)"),
        ("--under-store", "Alluxio's under-store (alluxio.master.mount.table.root.ufs)"),
    ):
        text = f"folder of {what}; may be repeated"
        parser.add_argument(option, action="append", default=[], metavar="DIR", help=text)
    parser.set_defaults(execute=_check_host)


def _check_host(arguments: argparse.Namespace) -> int:
    named = {"tier": arguments.tier, "scratch": arguments.scratch, "under-store": arguments.under_store}
    lines = list(host_lines(Kernel(), named))
    rows = [("NO" if line.needed else "ok", line.what, line.value, line.needed) for line in lines]
    print(f"Are rows kept in memory on {socket.gethostname()}?")
    print(aligned([("", "", "found", "needed"), *rows], right=set()))
    return int(any(line.needed for line in lines))


def host_lines(kernel: Kernel, named: dict[str, list[str]]) -> Iterator[Line]:
    """What was looked at and found. ``named``: folders to look at, by what they are for."""
    for what, folders in named.items():
        for folder in folders:
            found = folder_findings(kernel, "", what, [folder])
            yield _line(f"{what} {folder}", found, kernel.file_system(folder))
    yield _line("swap", swap_findings(kernel, ""), "off")
    servers = list(_servers(kernel))
    for pid, name in servers:
        with contextlib.suppress(FileNotFoundError, ProcessLookupError):  # it has ended meanwhile
            yield from _server_lines(kernel, pid, f"{name} (process {pid})")
            if name == ALLUXIO_WORKER:
                yield from _tier_lines(kernel, pid, f"{name} (process {pid})", named=bool(named.get("tier")))
    if not servers:
        pattern = kernel.core_pattern()
        yield Line("core dumps", f"no server runs to look at; kernel.core_pattern is {pattern}")


def _server_lines(kernel: Kernel, pid: int, what: str) -> Iterator[Line]:
    yield _line(f"core dumps of the {what}", core_findings(kernel, "", pid, what), "off")
    kernel = dataclasses.replace(kernel, seen_by=pid)  # it may run in a container
    try:
        options, folder = kernel.java_options(pid), kernel.working_folder(pid)
    except PermissionError:
        yield Line(f"Java options of the {what}", "of another user", "run this as root or as that user")
        return
    yield _line(f"crash and heap dumps of the {what}", java_findings(kernel, "", options, folder), "off, or in memory")
    temporary = temporary_folder(options)
    found = folder_findings(kernel, "", "java.io.tmpdir", [temporary])
    yield _line(f"java.io.tmpdir of the {what}", found, f"{temporary} on {kernel.file_system(temporary)}")


def _tier_lines(kernel: Kernel, pid: int, what: str, *, named: bool) -> Iterator[Line]:
    """The folders of all levels of the tier that a worker of Alluxio really has, whatever was named."""
    kernel = dataclasses.replace(kernel, seen_by=pid)
    unknown = [TIER.format(level=0)]
    with contextlib.suppress(PermissionError):  # which another line says
        folders, unknown = _tiers_of(kernel, pid)
        for folder in folders:
            found = folder_findings(kernel, "", "tier", [folder])
            yield _line(f"tier of the {what}", found, f"{folder} on {kernel.file_system(folder)}")
    for setting in unknown if not named else ():
        yield Line(f"tier of the {what}", "not known", f"its folder by --tier ({setting})")


def _tiers_of(kernel: Kernel, pid: int) -> tuple[list[str], list[str]]:
    """Folders of a worker's tier, of all levels, and the settings of those that nothing says in plain text."""
    setting = _settings_of(kernel, pid)
    levels = setting(LEVELS) or "1"
    if not levels.isdecimal():
        return [], [LEVELS]
    folders, unknown = [], []
    for name in (TIER.format(level=level) for level in range(int(levels))):
        value = setting(name)
        if value and "${" not in value:
            folders += [folder for one in value.split(",") if (folder := one.strip())]
        else:
            unknown.append(name)
    return folders, unknown


def _settings_of(kernel: Kernel, pid: int) -> Callable[[str], str | None]:
    """A worker's settings by their names, as Alluxio finds them: in an option of its JVM, else in the first site file
    that is there."""
    options = kernel.java_options(pid)
    home = system_property(options, "alluxio.home")
    conf = system_property(options, "alluxio.conf.dir") or (f"{home}/conf" if home else "")
    defaults = f"{conf},{kernel.environment(pid).get('HOME', '')}/.alluxio,/etc/alluxio"
    site = ""
    for folder in (system_property(options, "alluxio.site.conf.dir") or defaults).split(","):
        with contextlib.suppress(FileNotFoundError, NotADirectoryError):
            site = kernel.text_of(f"{folder}/{SITE_FILE}")
            break

    def setting(name: str) -> str | None:
        value = system_property(options, name)
        return _property(site, name) if value is None else value

    return setting


def _property(text: str, name: str) -> str | None:
    """The last value of a name in a file of Java properties."""
    found = re.findall(rf"^[ \t]*{re.escape(name)}[ \t]*[=: \t][ \t]*(.*?)[ \t\r]*$", text, re.MULTILINE)
    return found[-1] if found else None


def _line(what: str, findings: Sequence[DiskFinding], otherwise: str) -> Line:
    if not findings:
        return Line(what, otherwise)
    several = len(findings) > 1
    values = [f"{one.setting} {one.value}" if several else one.value for one in findings]
    return Line(what, "; ".join(values), "; ".join(dict.fromkeys(one.needed for one in findings)))


def _servers(kernel: Kernel) -> Iterator[tuple[int, str]]:
    for entry in sorted(kernel.proc.iterdir(), key=lambda entry: entry.name):
        if entry.name.isdigit():
            # Not a text anywhere in it: a search for the name is no server.
            name = next((SERVERS[one] for one in kernel.command(int(entry.name)) if one in SERVERS), None)
            if name is not None:
                yield int(entry.name), name


if __name__ == "__main__":
    this_program = argparse.ArgumentParser(description=__doc__.partition("\n")[0])
    _add_arguments(this_program)
    sys.exit(_check_host(this_program.parse_args()))
