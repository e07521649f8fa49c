"""By which settings of Alluxio and of Spark a row would reach a disk, as far as ``check`` can see them.

Pure: over what Alluxio's master answers to ``GET /api/v1/master/info`` (2.9), and over Spark's properties.
"""

from __future__ import annotations

import contextlib
import socket
from collections.abc import Iterator, Mapping
from typing import Any
from urllib.parse import urlsplit

from warehouse.disk_failures import DiskFinding, RowsCouldReachDisk
from warehouse.host_memory import (
    IN_MEMORY,
    MEMORY_FILE_SYSTEMS,
    Kernel,
    event_log_findings,
    java_findings,
    java_flag_findings,
)

CLUSTER = {
    # What clients use that set nothing: by default files go on to the under-store.
    "alluxio.user.file.writetype.default": "MUST_CACHE",
    # Iceberg renames every metadata file into its place.
    "alluxio.user.file.persist.on.rename": "false",
    # What people put there over S3.
    "alluxio.proxy.s3.writetype": "MUST_CACHE",
    # A client's own cache of pages, on its disk.
    "alluxio.user.client.cache.enabled": "false",
    # The other kind, PAGE, keeps pages in folders of its own.
    "alluxio.worker.block.store.type": "FILE",
}
"""Settings of the cluster, and the value that each needs."""

TIER_FOLDERS = "alluxio.worker.tieredstore.level0.dirs.path"
TIERS = "the level of alluxio.worker.tieredstore"
UNDER_STORE = "alluxio.master.mount.table.root.ufs"
CLIENT = (
    "alluxio.user.file.writetype.default",
    "alluxio.user.file.persist.on.rename",
    "alluxio.user.client.cache.enabled",
)
"""Those of them that a client may set for itself."""
MEMORY_TIER = "MEM"


def alluxio_findings(uri: str, info: Mapping[str, Any], kernel: Kernel | None) -> Iterator[DiskFinding]:
    """What the master says of itself and of its workers.

    :param kernel: given where master and workers are on this host, whose folders are then looked at, too. Of others
        ``check-host`` tells.
    """
    where = "Alluxio"
    # With defaults, and typed: true and 1 as well as texts.
    configuration: Mapping[str, Any] = info.get("configuration") or {}
    for name, needed in CLUSTER.items():
        value = str(configuration.get(name, needed))
        if value.lower() != needed.lower():
            yield DiskFinding(where, name, value, needed)
    for worker in info.get("workers") or ():
        # Not the master's tierCapacity: that names all tiers that there could be.
        tiers = sorted(worker.get("capacityBytesOnTiers") or {})
        if tiers and tiers != [MEMORY_TIER]:
            yield DiskFinding(f"{where} worker {worker['address']['host']}", TIERS, ", ".join(tiers), MEMORY_TIER)
    if kernel is not None:
        for folder in map(str.strip, str(configuration.get(TIER_FOLDERS) or "").split(",")):
            if folder and (kind := _disk_under(kernel, folder)):
                yield DiskFinding(where, TIER_FOLDERS, f"{folder} on {kind}", IN_MEMORY)
    yield from _under_store_findings(where, urlsplit(uri).path, info.get("mountPoints") or {}, kernel)


def spark_findings(store_uri: str, properties: Mapping[str, str]) -> Iterator[DiskFinding]:
    """What the manifest's ``spark.conf`` would change for the worse.

    :param properties: as they will be given to spark-submit.
    """
    where, kernel = "spark.conf", Kernel()
    if urlsplit(store_uri).scheme == "alluxio":
        for name in CLIENT:
            value = properties.get(f"spark.hadoop.{name}")
            if value is not None and value.lower() != CLUSTER[name].lower():
                yield DiskFinding(where, f"spark.hadoop.{name}", value, CLUSTER[name])
    # The driver runs on this host; the folders of executors are those of their hosts, where the job probes them.
    for folder in properties.get("spark.local.dir", "").split(","):
        if folder and (kind := kernel.file_system(folder)) not in MEMORY_FILE_SYSTEMS:
            yield DiskFinding(where, "spark.local.dir", f"{folder} on {kind}", IN_MEMORY)
    yield from event_log_findings(kernel, where, properties.get)
    for process in ("driver", "executor"):
        options = properties.get(f"spark.{process}.extraJavaOptions", "").split()
        if process == "driver":
            # The working folder, for an error file without a name, is the job's to tell.
            found = java_findings(kernel, where, options, "/dev/shm")  # noqa: S108 - nothing is written
        else:
            found = java_flag_findings(where, options)
        for one in found:
            yield DiskFinding(where, f"{one.setting} in spark.{process}.extraJavaOptions", one.value, one.needed)


def ensure_settings_in_memory(store_uri: str, properties: Mapping[str, str]) -> None:
    """Before Spark starts: the manifest's own settings, and a store that is a folder of this host.

    :raises RowsCouldReachDisk: what would not be in memory.
    """
    findings = list(spark_findings(store_uri, properties))
    address = urlsplit(store_uri)
    if address.scheme == "file" and (kind := Kernel().file_system(address.path)) not in MEMORY_FILE_SYSTEMS:
        findings.append(DiskFinding("store", "store.uri", f"{store_uri} on {kind}", IN_MEMORY))
    if findings:
        raise RowsCouldReachDisk(tuple(findings))


def is_this_host(name: str | None) -> bool:
    """Whether ``name`` is an address of this host: one can listen on such only."""
    with contextlib.suppress(OSError), socket.socket() as listener:
        listener.bind((name or "", 0))
        return bool(name)
    return False


def _under_store_findings(
    where: str, path: str, mounts: Mapping[str, Mapping[str, Any]], kernel: Kernel | None
) -> Iterator[DiskFinding]:
    """Nothing is written there under MUST_CACHE, but one client that persists a file is enough: it must be memory."""
    above = [point for point in mounts if path == point or path.startswith(point.rstrip("/") + "/")]
    if not above:
        return
    point = max(above, key=len)
    under = str(mounts[point].get("ufsUri") or "")
    setting = UNDER_STORE if point == "/" else f"the under-store of the mount {point}"
    address = urlsplit(under)
    if address.scheme not in ("", "file"):
        yield DiskFinding(where, setting, under, IN_MEMORY)
    elif kernel is not None and (kind := _disk_under(kernel, address.path)):
        yield DiskFinding(where, setting, f"{under} on {kind}", IN_MEMORY)


def _disk_under(kernel: Kernel, folder: str) -> str | None:
    """Type of the file system under a folder of Alluxio that is no memory. One that is not there is a container's."""
    kind = kernel.file_system(folder)
    return kind if kind not in MEMORY_FILE_SYSTEMS and kernel.is_folder(folder) else None
