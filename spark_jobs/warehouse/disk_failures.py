"""Why a job does not start, or does not publish, where a row would reach a disk."""

from __future__ import annotations

from dataclasses import dataclass

from warehouse.failures import PermanentError, RetryableError

MOST_FILES = 3
"""That a message names."""


@dataclass(frozen=True)
class DiskFinding:
    """A setting by which a row could reach a disk. ``where``: ``driver``, ``executor 2 on node7``, ``Alluxio``."""

    where: str
    setting: str
    value: str
    needed: str

    def __str__(self) -> str:
        return f"{self.where}: {self.setting} is {self.value}, needed: {self.needed}"


@dataclass(eq=False)
class RowsCouldReachDisk(PermanentError):
    """``memory_only`` holds nothing back by itself: everything found is told at once, so that it is mended at once."""

    findings: tuple[DiskFinding, ...]

    def __str__(self) -> str:
        return (
            f"rows could reach a disk, which store.memory_only refuses: {'; '.join(map(str, self.findings))}; "
            "no row was read (docs/memory-only.md says how to set each)"
        )


@dataclass(eq=False)
class FilesOnDisk(PermanentError):
    """Files of a snapshot lie, or are about to lie, in the under-store or on a file system that is no memory."""

    table: str
    as_of: str
    files: tuple[str, ...]
    states: tuple[str, ...]

    def __str__(self) -> str:
        states = ", ".join(dict.fromkeys(self.states))
        return (
            f"table {self.table} as of {self.as_of}: {len(self.files)} file(s) are not in memory only ({states}), "
            f"{_some(self.files)}; set alluxio.user.file.writetype.default to MUST_CACHE for every client and delete "
            "what was written elsewhere"
        )


@dataclass(eq=False)
class FilesNotInMemory(RetryableError):
    """Files whose blocks are partly gone: a worker was lost, or something evicted them."""

    table: str
    as_of: str
    files: tuple[str, ...]

    def __str__(self) -> str:
        return (
            f"table {self.table} as of {self.as_of}: {len(self.files)} file(s) are not wholly in the store's memory, "
            f"{_some(self.files)}; clear the snapshot task too, which captures them again"
        )


def _some(files: tuple[str, ...]) -> str:
    names = ", ".join(files[:MOST_FILES])
    more = len(files) - MOST_FILES
    return f"{names} and {more} more" if more > 0 else names
