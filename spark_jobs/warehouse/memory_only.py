"""Before the first row is read: nothing of driver and executors may write what they hold to a disk.

What a job can mend itself it does: it lowers the core limits of its processes and sends Python's temporary files where
Java's go. The rest it refuses, all of it at once.
"""

from __future__ import annotations

import os
import re
import tempfile
import time
from typing import TYPE_CHECKING, Any
from urllib.parse import urlsplit

from warehouse.disk_failures import DiskFinding, RowsCouldReachDisk
from warehouse.host_memory import (
    IN_MEMORY,
    MEMORY_FILE_SYSTEMS,
    Kernel,
    core_findings,
    event_log_findings,
    folder_findings,
    java_findings,
    probe_executor,
    stop_core_dumps,
    swap_findings,
)
from warehouse.jvm import jvm_of
from warehouse.store_spec import StoreSpec

if TYPE_CHECKING:
    from collections.abc import Iterator

    from pyspark.sql import SparkSession

DRIVER = "driver"
ALLUXIO_CLIENT = {
    "alluxio.user.file.writetype.default": "MUST_CACHE",
    # Iceberg renames every metadata file into its place.
    "alluxio.user.file.persist.on.rename": "false",
    # A cache of pages on the client's own disk.
    "alluxio.user.client.cache.enabled": "false",
}
"""What the store's client must be set to."""


def ensure_memory_only(session: SparkSession, store: StoreSpec) -> frozenset[str]:
    """Probe this driver and every executor that there is; nothing to do where the store allows disks.

    :returns: ids of the executors that were probed, for :func:`ensure_of_later_executors`; none in local mode, where
        the driver is the executor.
    :raises RowsCouldReachDisk: what was found, with the setting and the value that it needs.
    """
    if not store.memory_only:
        return frozenset()
    started = time.monotonic()
    findings = [*_store_findings(session, store), *_driver_findings(session)]
    # Not asked where the driver is refused already: executors of a cluster take seconds to come.
    probed, of_executors = (frozenset[str](), []) if findings else probe_executors(session, frozenset())
    if findings := [*findings, *of_executors]:
        raise RowsCouldReachDisk(tuple(findings))
    others = f" and {len(probed)} executor(s)" if probed else ""
    print(
        f"memory only: the scratch of the driver{others} is in memory, there is no swap, and no core or heap dump "
        f"(probed in {time.monotonic() - started:.2f} s)",
        flush=True,
    )
    return probed


def ensure_of_later_executors(session: SparkSession, store: StoreSpec, probed: frozenset[str]) -> None:
    """As :func:`ensure_memory_only`, of executors that came while the job ran, so that what they read does not count.

    :raises RowsCouldReachDisk: as there.
    """
    if store.memory_only:
        _, findings = probe_executors(session, probed)
        if findings:
            raise RowsCouldReachDisk(tuple(findings))


def _store_findings(session: SparkSession, store: StoreSpec) -> Iterator[DiskFinding]:
    scheme, path = urlsplit(store.uri).scheme, urlsplit(store.uri).path
    match scheme:
        case "file":
            if (kind := Kernel().file_system(path)) not in MEMORY_FILE_SYSTEMS:
                yield DiskFinding(DRIVER, "store.uri", f"{store.uri} on {kind}", IN_MEMORY)
        case "alluxio":
            configuration = session._jsc.hadoopConfiguration()
            for name, needed in ALLUXIO_CLIENT.items():
                value = configuration.get(name)
                # Alluxio's own default is what is needed, but for the write type.
                if value != needed and not (value is None and needed == "false"):
                    yield DiskFinding(DRIVER, f"spark.hadoop.{name}", value or "not set", needed)
        case _:
            yield DiskFinding(DRIVER, "store.uri", f"{scheme}://, which keeps files on disks", "alluxio://")


def _driver_findings(session: SparkSession) -> list[DiskFinding]:
    kernel, jvm = Kernel(), jvm_of(session)
    pid = int(jvm.java.lang.ProcessHandle.current().pid())
    for one in (0, pid):
        stop_core_dumps(one)
    temporary = str(jvm.java.lang.System.getProperty("java.io.tmpdir"))
    os.environ["TMPDIR"] = tempfile.tempdir = temporary
    # Not the property: SPARK_LOCAL_DIRS and cluster managers have a say in it, too.
    scratch = jvm.org.apache.spark.SparkEnv.get().blockManager().diskBlockManager().localDirsString()
    return [
        *folder_findings(kernel, DRIVER, "spark.local.dir", [str(folder) for folder in scratch]),
        *folder_findings(kernel, DRIVER, "java.io.tmpdir", [temporary]),
        *java_findings(kernel, DRIVER, kernel.java_options(pid), kernel.working_folder(pid)),
        *core_findings(kernel, DRIVER, pid, "Java"),
        *core_findings(kernel, DRIVER, "self", "Python"),
        *swap_findings(kernel, DRIVER),
        *event_log_findings(kernel, DRIVER, session._jsc.getConf().get),
    ]


def probe_executors(session: SparkSession, known: frozenset[str]) -> tuple[frozenset[str], list[DiskFinding]]:
    """Ids of all executors that were probed, now or before, and what was found of those that were not."""
    context = session.sparkContext
    if re.fullmatch(r"local(\[[^\]]*\])?", str(context.master)):
        return known, []
    found: dict[str, list[DiskFinding]] = {one: [] for one in known}
    while not found or _living(context) - found.keys():
        # As many tasks as there are slots, all of them free: each executor gets one.
        slots = max(int(context.defaultParallelism), len(_living(context)))
        found |= context.parallelize(range(slots), slots).mapPartitions(probe_executor).collect()
    return frozenset(found), [finding for findings in found.values() for finding in findings]


def _living(context: Any) -> set[str]:
    return set(filter(None, str(context._jsc.sc().getExecutorIds().mkString(",")).split(",")))
