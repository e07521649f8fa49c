"""The store's root directory, in memory before the first byte: the one module that knows Alluxio."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

from warehouse.job_spec import StoreSpec
from warehouse.jvm import jvm_of
from warehouse.vendor_errors import store_errors

if TYPE_CHECKING:
    from pyspark.sql import SparkSession


def prepare_store(session: SparkSession, store: StoreSpec) -> None:
    """Create the store's directory, and on Alluxio pin it: what is written below is then never evicted.

    Children inherit the pin, so this must come before the first write. Unpinned data under ``MUST_CACHE`` is evicted
    by the next write without a word.

    :raises JobError: the store cannot be reached.
    """
    with store_errors(store.uri):
        path = jvm_of(session).org.apache.hadoop.fs.Path(store.uri)
        file_system = path.getFileSystem(session._jsc.hadoopConfiguration())
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
