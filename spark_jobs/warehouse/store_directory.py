"""The store's root directory, in memory before the first byte, and where its files are: the one module that knows
Alluxio."""

from __future__ import annotations

import re
from collections.abc import Iterable, Iterator
from contextlib import contextmanager
from dataclasses import dataclass
from typing import TYPE_CHECKING, Any
from urllib.parse import urlsplit

from warehouse.host_memory import MEMORY_FILE_SYSTEMS, Kernel
from warehouse.jvm import jvm_of
from warehouse.store_spec import StoreSpec
from warehouse.vendor_errors import store_errors

if TYPE_CHECKING:
    from pyspark.sql import SparkSession


NOT_PERSISTED = "NOT_PERSISTED"
ALL_PERCENT = 100
_FILE = re.compile(
    r", path=(?P<path>/[^,]*), .*?\bfolder=(?P<folder>true|false), .*?\binMemoryPercentage=(?P<percent>\d+), "
    r".*?\bpersistenceState=(?P<state>\w+)",
    re.DOTALL,
)
"""What is needed of Alluxio's FileInfo, as its 2.9 client writes it."""


@dataclass(frozen=True)
class FilePlace:
    """Where a file of the store is. ``percent``: of its bytes, in memory; ``on_disk``: what else has it, if anything:
    Alluxio's persistence state, or the type of a file system.

    ``copies``: workers that have each of its blocks, asked for in a store that replicates only. ``pinned``: whether
    it is never evicted.
    """

    path: str
    percent: int
    on_disk: str | None = None
    copies: int = 1
    pinned: bool = True


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
            with _client(session, store) as client:
                directory = jvm_of(session).alluxio.AlluxioURI(path.toUri().getPath())
                if not client.getStatus(directory).isPinned():
                    client.setAttribute(directory, _kept(session, store))
    keep_all(session, store)


def keep_all(session: SparkSession, store: StoreSpec) -> None:
    """Where the store replicates, pin all that is in it again, and ask for its copies again.

    Alluxio's job service takes both from a file that it failed to copy (2.9, ``SetReplica``), and it fails where it
    meets a file whose copies are just being written.
    """
    if store.replication > 1:
        with store_errors(store.uri), _client(session, store) as client:
            directory = jvm_of(session).alluxio.AlluxioURI(urlsplit(store.uri).path)
            client.setAttribute(directory, _kept(session, store))


def keep(session: SparkSession, store: StoreSpec, places: Iterable[FilePlace]) -> None:
    """Pin files of Alluxio again, and ask for their copies again."""
    with _client(session, store) as client:
        for place in places:
            uri = jvm_of(session).alluxio.AlluxioURI(urlsplit(place.path).path)
            client.setAttribute(uri, _kept(session, store))


def live_workers(session: SparkSession, store: StoreSpec) -> int:
    """How many workers Alluxio's master believes to live."""
    context = jvm_of(session).alluxio.client.file.FileSystemContext.create(_configuration(session, store))
    try:
        return len(context.getCachedWorkers())
    finally:
        context.close()


def _kept(session: SparkSession, store: StoreSpec) -> Any:
    options = jvm_of(session).alluxio.grpc.SetAttributePOptions.newBuilder().setPinned(True).setRecursive(True)
    return (options.setReplicationMin(store.replication) if store.replication > 1 else options).build()


@contextmanager
def _client(session: SparkSession, store: StoreSpec) -> Iterator[Any]:
    client = getattr(jvm_of(session).alluxio.client.file, "FileSystem$Factory").create(_configuration(session, store))
    try:
        yield client
    finally:
        client.close()


def _configuration(session: SparkSession, store: StoreSpec) -> Any:
    alluxio, uri = jvm_of(session).alluxio, urlsplit(store.uri)
    configuration = alluxio.conf.Configuration.copyGlobal()
    if "," in uri.netloc:  # several masters, of which the client finds the leader
        configuration.set(alluxio.conf.PropertyKey.MASTER_RPC_ADDRESSES, uri.netloc)
    else:
        configuration.set(alluxio.conf.PropertyKey.MASTER_HOSTNAME, uri.hostname)
        configuration.set(alluxio.conf.PropertyKey.MASTER_RPC_PORT, uri.port)
    return configuration


def file_places(session: SparkSession, store: StoreSpec, paths: Iterable[str]) -> list[FilePlace] | None:
    """Where each of ``paths`` is, in their order; None of a store that cannot tell.

    Alluxio's master is asked for each, over the client that the job has open: about ten milliseconds a file.
    """
    match urlsplit(store.uri).scheme:
        case "alluxio":
            return list(_in_alluxio(session, store, paths))
        case "file":
            kernel = Kernel()
            return [_in_file_system(kernel, path) for path in paths]
        case _:
            return None


def lost_files(session: SparkSession, store: StoreSpec, paths: Iterable[str]) -> list[str]:
    """Those of ``paths`` that are listed and whose contents are gone; only Alluxio forgets like that."""
    if urlsplit(store.uri).scheme != "alluxio":
        return []
    places = _in_alluxio(session, store, paths)
    return [place.path for place in places if place.percent < ALL_PERCENT and place.on_disk is None]


def held_below(session: SparkSession, store: StoreSpec, folder: str) -> dict[str, bool]:
    """Path of every file in a folder and below → whether its contents can be had; none of a store that never forgets.

    All in one question and one text: py4j takes 10 ms for what is to be known of one file (measured for 400: 5 s).
    """
    if urlsplit(store.uri).scheme != "alluxio":
        return {}
    alluxio = jvm_of(session).alluxio
    with _client(session, store) as client:
        directory = alluxio.AlluxioURI(urlsplit(folder).path)
        if not client.exists(directory):
            return {}
        options = alluxio.grpc.ListStatusPOptions.newBuilder().setRecursive(True).build()
        listed = client.listStatus(directory, options)
        return held_in(str(listed.toString()), int(listed.size()))


def held_in(listing: str, size: int) -> dict[str, bool]:
    """What a list of ``size`` of Alluxio's ``URIStatus`` says of each file; nothing where it is not as 2.9 writes it:
    a read of what is lost then ends when the client gives up."""
    found = [match for text in listing.split("URIStatus{")[1:] if (match := _FILE.search(text)) is not None]
    if len(found) != size:
        return {}
    return {
        match["path"]: int(match["percent"]) == ALL_PERCENT or match["state"] != NOT_PERSISTED
        for match in found
        if match["folder"] == "false"
    }


def _in_alluxio(session: SparkSession, store: StoreSpec, paths: Iterable[str]) -> Iterator[FilePlace]:
    # Each step of a Java name is a question to the JVM, so they are asked once.
    java_path = jvm_of(session).org.apache.hadoop.fs.Path
    file_system = java_path(store.uri).getFileSystem(session._jsc.hadoopConfiguration())
    for path in paths:
        # Alluxio's own kind of Hadoop's FileStatus. Not "in Alluxio": that counts tiers on disks, too.
        status = file_system.getFileStatus(java_path(path)).getUriStatus()
        state = str(status.getPersistenceState())
        yield FilePlace(
            path,
            int(status.getInMemoryPercentage()),
            None if state == NOT_PERSISTED else state,
            copies=_copies(status, store.replication) if store.replication > 1 else 1,
            pinned=bool(status.isPinned()),
        )


def _copies(status: Any, enough: int) -> int:
    """Of the block that has the fewest; an empty file lacks none."""
    blocks = (block.getBlockInfo().getLocations() for block in status.getFileBlockInfos())
    return min(map(len, blocks), default=enough)


def _in_file_system(kernel: Kernel, path: str) -> FilePlace:
    kind = kernel.file_system(urlsplit(path).path)
    return FilePlace(path, ALL_PERCENT, None) if kind in MEMORY_FILE_SYSTEMS else FilePlace(path, 0, kind)
