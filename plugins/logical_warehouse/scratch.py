"""Scratch folders of Spark applications: memory that is freed with the task, or by the next one if the task was killed.

A folder belongs to the process that holds the lock on the file :data:`OWNER` in it; the kernel lets go of the lock
however that process ends. A driver can outlive its task for a while: its arguments name its folder.
"""

from __future__ import annotations

import fcntl
import os
import shutil
import tempfile
from collections.abc import Iterator
from contextlib import contextmanager, suppress
from pathlib import Path

SCRATCH_ROOT = Path("/dev/shm")  # noqa: S108  # memory on purpose: shuffle and spill hold rows
PREFIX = "warehouse-scratch-"
OWNER = ".owner"
_MAKING = ".warehouse-making-"
_PROC = Path("/proc")


@contextmanager
def scratch_folder(root: Path) -> Iterator[Path]:
    """A folder of our own below ``root``, gone when the block ends; what killed tasks left goes before."""
    remove_abandoned(root)
    made = Path(tempfile.mkdtemp(prefix=_MAKING, dir=root))
    owner = os.open(made / OWNER, os.O_CREAT | os.O_RDWR | os.O_CLOEXEC, 0o600)
    folder = root / f"{PREFIX}{made.name.removeprefix(_MAKING)}"
    try:
        fcntl.flock(owner, fcntl.LOCK_EX)
        made.rename(folder)  # only now can another task see it
        yield folder
    finally:
        for path in (made, folder):
            shutil.rmtree(path, ignore_errors=True)
        os.close(owner)


def remove_abandoned(root: Path) -> list[Path]:
    """Remove the folders of tasks that were killed and whose drivers have ended; which ones."""
    abandoned = []
    for owner in root.glob(f"{PREFIX}*/{OWNER}"):
        with suppress(OSError):  # another user's, or gone meanwhile
            if _is_free(owner) and not _is_named(owner.parent):
                shutil.rmtree(owner.parent)
                abandoned.append(owner.parent)
    return abandoned


def _is_free(owner: Path) -> bool:
    descriptor = os.open(owner, os.O_RDWR | os.O_CLOEXEC)
    try:
        fcntl.flock(descriptor, fcntl.LOCK_EX | fcntl.LOCK_NB)
    except BlockingIOError:
        return False
    finally:
        os.close(descriptor)
    return True


def _is_named(folder: Path) -> bool:
    """Whether a process has the folder among its arguments, as Spark's JVM has."""
    wanted = str(folder).encode()
    for arguments in _PROC.glob("[0-9]*/cmdline"):
        with suppress(OSError):  # it has ended
            if wanted in arguments.read_bytes():
                return True
    return False
