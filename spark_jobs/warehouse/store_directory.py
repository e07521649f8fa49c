"""The store's root directory, in memory before the first byte, and where its files are: the one module that knows
Alluxio."""

from __future__ import annotations

from collections.abc import Iterable
from dataclasses import dataclass
from typing import TYPE_CHECKING, Any
from urllib.parse import urlsplit

from warehouse.host_memory import MEMORY_FILE_SYSTEMS, Kernel
from warehouse.job_spec import StoreSpec
from warehouse.jvm import jvm_of
from warehouse.vendor_errors import store_errors

if TYPE_CHECKING:
    from pyspark.sql import SparkSession


NOT_PERSISTED = "NOT_PERSISTED"


@dataclass(frozen=True)
class FilePlace:
    """Where a file of the store is. ``percent``: of its bytes, in memory; ``on_disk``: what else has it, if anything:
    Alluxio's persistence state, or the type of a file system."""

    path: str
    percent: int
    on_disk: str | None = None


def prepare_store(session: SparkSession, store: StoreSpec) -> None:
    """Create the store's directory, and on Alluxio pin it: what is written below is then never evicted.

    Children inherit the pin, so this must come before the first write. Unpinned data under ``MUST_CACHE`` is evicted
    by the next write without a word.

    :raises JobError: the store cannot be reached.
    """
    with store_errors(store.uri):
        path = jvm_of(session).org.apache.hadoop.fs.Path(store.uri)
        file_system = path.getFileSystem(session._jsc.hadoopConfiguration())
        # Alluxio wants the right to write into the parent, even where there is nothing left to make (seen with 2.9.4).
        if not file_system.exists(path):
            file_system.mkdirs(path)
        if path.toUri().getScheme() == "alluxio":
            _pin(session, path, file_system)


def _pin(session: SparkSession, path: Any, file_system: Any) -> None:
    alluxio = jvm_of(session).alluxio
    uri = path.toUri()
    configuration = alluxio.conf.Configuration.copyGlobal()
    configuration.set(alluxio.conf.PropertyKey.MASTER_HOSTNAME, uri.getHost())
    configuration.set(alluxio.conf.PropertyKey.MASTER_RPC_PORT, uri.getPort())
    client = getattr(alluxio.client.file, "FileSystem$Factory").create(configuration)
    try:
        directory = alluxio.AlluxioURI(uri.getPath())
        if not client.getStatus(directory).isPinned():
            options = alluxio.grpc.SetAttributePOptions.newBuilder().setPinned(True).setRecursive(True).build()
            client.setAttribute(directory, options)
    finally:
        client.close()


def file_places(session: SparkSession, store: StoreSpec, paths: Iterable[str]) -> list[FilePlace] | None:
    """Where each of ``paths`` is, in their order; None of a store that cannot tell.

    Alluxio's master is asked for each, over the client that the job has open: about a millisecond a file.
    """
    match urlsplit(store.uri).scheme:
        case "alluxio":
            return [_in_alluxio(session, path) for path in paths]
        case "file":
            kernel = Kernel()
            return [_in_file_system(kernel, path) for path in paths]
        case _:
            return None


def _in_alluxio(session: SparkSession, path: str) -> FilePlace:
    java_path = jvm_of(session).org.apache.hadoop.fs.Path(path)
    file_system = java_path.getFileSystem(session._jsc.hadoopConfiguration())
    # Alluxio's own kind of Hadoop's FileStatus. Not "in Alluxio": that counts tiers on disks, too.
    status = file_system.getFileStatus(java_path).getUriStatus()
    state = str(status.getPersistenceState())
    return FilePlace(path, int(status.getInMemoryPercentage()), None if state == NOT_PERSISTED else state)


def _in_file_system(kernel: Kernel, path: str) -> FilePlace:
    kind = kernel.file_system(urlsplit(path).path)
    return FilePlace(path, 100, None) if kind in MEMORY_FILE_SYSTEMS else FilePlace(path, 0, kind)
