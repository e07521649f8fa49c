"""Servers through which rows go do not start where a row could reach a disk."""

from __future__ import annotations

import os

from logical_warehouse.host_check import host_lines
from warehouse.disk_failures import DiskFinding, RowsCouldReachDisk
from warehouse.host_memory import Kernel, core_findings, stop_core_dumps

from local_stack.errors import StackError

MEMORY_ONLY = "WAREHOUSE_MEMORY_ONLY"
"""Environment variable, as in the manifest; ``false`` for public data on a machine that swaps."""


def ensure_memory_only(**folders: str) -> None:
    """Look at this container's folders in memory, swap and core dumps.

    :param folders: folder by what it is for.
    :raises StackError: with everything found that could write to a disk.
    """
    stop_core_dumps()
    if os.environ.get(MEMORY_ONLY, "true").lower() == "false":
        return
    kernel = Kernel()
    lines = host_lines(kernel, {what: [folder] for what, folder in folders.items()})
    findings = [DiskFinding("this container", line.what, line.value, line.needed) for line in lines if line.needed]
    findings += core_findings(kernel, "this container", "self", "this process")
    if findings:
        raise StackError(str(RowsCouldReachDisk(tuple(findings))))
