"""What a machine must have before anything is started; runs before there is an environment, so plain Python only."""

from __future__ import annotations

import os
import shutil
import sys
from collections.abc import Iterable
from dataclasses import fields
from pathlib import Path

from warehouse.host_memory import Kernel

from local_stack import versions
from local_stack.alluxio import SHARED_MEMORY
from local_stack.errors import StackError
from local_stack.java import java_program, java_version
from local_stack.ports import Ports, in_use

MEMORY_BESIDE_STORE = 4 << 30
"""Bytes that the servers, Airflow and two Spark drivers of 1 GiB take."""
SCRATCH = 512 << 20
"""Bytes of ``/dev/shm`` for Spark's scratch, beside the store's."""


def check_python(version: tuple[int, int] = sys.version_info[:2]) -> None:
    """Refuse a Python that the pinned packages do not support.

    :raises StackError: it is another.
    """
    if version != versions.PYTHON:
        wanted, found = (".".join(map(str, v)) for v in (versions.PYTHON, version))
        raise StackError(f"Python {wanted} is needed, this is {found} ({sys.executable})")


def check_java() -> None:
    """Refuse a missing or too old Java.

    :raises StackError: there is none that is new enough.
    """
    program = java_program()
    if (version := java_version(program)) < versions.JAVA_MINIMUM:
        raise StackError(f"Java {versions.JAVA_MINIMUM} is needed, {program} is {version}; install it or set JAVA_HOME")


def check_memory(store: int, *, free_shared: int | None = None, available: int | None = None) -> None:
    """Refuse too small a ``/dev/shm`` or too little free memory; sizes in bytes.

    :raises StackError: the store and the services do not fit.
    """
    if free_shared is None:
        if not os.path.ismount(SHARED_MEMORY):
            raise StackError(f"{SHARED_MEMORY} is no memory file system; mount a tmpfs there")
        free_shared = shutil.disk_usage(SHARED_MEMORY).free
    if free_shared < store + SCRATCH:
        raise StackError(
            f"{SHARED_MEMORY} has {_gib(free_shared)} GiB free and the store needs {_gib(store + SCRATCH)}; "
            "free some of it, or mount it larger (Docker: --shm-size)"
        )
    if available is None:
        available = _available_memory()
    if available < store + MEMORY_BESIDE_STORE:
        raise StackError(
            f"{_gib(available)} GiB of memory are available and {_gib(store + MEMORY_BESIDE_STORE)} are needed; "
            "end other programs or use a larger machine"
        )


def swap_devices() -> tuple[str, ...]:
    """Disks that this machine's memory may be swapped to, its tmpfs too: a store in memory only refuses any."""
    return Kernel().swap_devices()


def check_ports(ports: Ports, skip: Iterable[str] = ()) -> None:
    """Refuse ports that somebody else listens on.

    :param skip: names of ports that our own running services hold.
    :raises StackError: naming all of them.
    """
    names = [field.name for field in fields(Ports) if field.name not in set(skip)]
    if taken := [f"{getattr(ports, name)} ({name})" for name in names if in_use(getattr(ports, name))]:
        raise StackError(f"ports in use by another program: {', '.join(taken)}; end it (`ss -ltnp` shows it)")


def _available_memory() -> int:
    for line in Path("/proc/meminfo").read_text().splitlines():
        if line.startswith("MemAvailable:"):
            return int(line.split()[1]) * 1024
    raise StackError("/proc/meminfo does not tell the available memory")


def _gib(size: int) -> str:
    return f"{size / (1 << 30):.1f}"
