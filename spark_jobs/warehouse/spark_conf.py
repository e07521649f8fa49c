"""Spark properties of every job: pure standard library, used by the operator, the tests, the benchmarks and readers."""

from __future__ import annotations

from pathlib import Path

from warehouse.store_spec import StoreSpec

LOG_SETTINGS = Path(__file__).resolve().parents[1] / "log4j2.properties"
"""What a driver's JVM writes into the task's log."""

ALLUXIO_PROPERTIES = {
    # Without it data goes on to the under-store, a disk.
    "alluxio.user.file.writetype.default": "MUST_CACHE",
    # A reader of lost data fails after the default of 5 minutes only.
    "alluxio.user.block.read.retry.max.duration": "10s",
    "alluxio.user.rpc.retry.max.duration": "20s",
    "alluxio.user.file.metadata.sync.interval": "-1",
    # A client of 2.9.3 that notices changed defaults of the cluster connects anew, and can wait for itself for ever
    # (Alluxio's pull request 18109). No job needs other defaults than those that it was checked with.
    "alluxio.user.conf.sync.interval": "1d",
}
"""Client properties wherever the store is Alluxio. Source: Alluxio 2.9 properties list."""

LOCAL_ADDRESS = {"spark.driver.host": "127.0.0.1", "spark.driver.bindAddress": "127.0.0.1"}
"""Properties where driver and executors are one process: nothing of it listens on the network."""
LOCAL_ENVIRONMENT = {"SPARK_LOCAL_IP": "127.0.0.1"}
"""Of the same driver: else Spark looks for an address to offer, and warns where the host has none but loopback."""

NATIVE_LIBRARIES = "/tmp"  # noqa: S108  # code, no data
"""Where codecs unpack their native libraries: a hardened machine mounts ``/dev/shm`` noexec, where none would load."""


def spark_conf(
    store: StoreSpec, *, scratch_dir: str, class_data_archive: str | None = None, small: bool = False
) -> dict[str, str]:
    """Properties for ``spark-submit --conf``; ``spark.driver.extraJavaOptions`` must be there before the JVM starts.

    :param scratch_dir: folder on tmpfs for Spark's scratch and for temporary files; must exist on every node.
    :param class_data_archive: file for class-data sharing; a missing or unfit one is ignored by the JVM.
    :param small: for jobs of seconds: compile with C1 only, which halves the CPU time of a start.
    """
    catalog = f"spark.sql.catalog.{store.catalog}"
    alluxio = ALLUXIO_PROPERTIES if store.uri.startswith("alluxio:") else {}
    if alluxio and store.replication > 1:
        # The client writes so many copies at once, on different hosts, and fails where it cannot.
        alluxio = alluxio | {"alluxio.user.file.replication.min": str(store.replication)}
    conf = {
        "spark.sql.extensions": "org.apache.iceberg.spark.extensions.IcebergSparkSessionExtensions",
        catalog: "org.apache.iceberg.spark.SparkCatalog",
        f"{catalog}.type": "hadoop",
        f"{catalog}.warehouse": store.uri.rstrip("/"),
        # Several drivers commit to one table: a cached table would be an old one.
        f"{catalog}.cache-enabled": "false",
        # Validation must read what was stored, not what the metadata says about it.
        "spark.sql.iceberg.aggregate-push-down.enabled": "false",
        "spark.serializer": "org.apache.spark.serializer.KryoSerializer",
        "spark.sql.adaptive.enabled": "true",
        "spark.sql.session.timeZone": "UTC",
        # Otherwise a column called ${env:…} in some source would be replaced by that variable: the password's, too.
        "spark.sql.variable.substitute": "false",
        # The default, but fingerprints count on it: without it decimals are written with exponents.
        "spark.sql.ansi.enabled": "true",
        "spark.sql.shuffle.partitions": "4",
        "spark.sql.parquet.compression.codec": "zstd",
        "spark.local.dir": scratch_dir,
        "spark.sql.warehouse.dir": f"file:{scratch_dir}/spark-warehouse",
        # The task log is for people: progress, the result, warnings.
        "spark.log.level": "WARN",
        "spark.sql.debug.maxToStringFields": "1000",
        "spark.ui.enabled": "false",
        "spark.ui.showConsoleProgress": "false",
        "spark.eventLog.enabled": "false",
        "spark.executor.heartbeatInterval": "2s",
        "spark.driver.extraJavaOptions": f"-Dlog4j2.configurationFile={LOG_SETTINGS} "
        + _java_options(scratch_dir, alluxio, class_data_archive, small=small),
        "spark.executor.extraJavaOptions": _java_options(scratch_dir, alluxio, small=small),
        # Python's temporary files on executors; on the driver the job itself sees to it.
        "spark.executorEnv.TMPDIR": scratch_dir,
    }
    if alluxio:
        conf["spark.hadoop.fs.alluxio.impl"] = "alluxio.hadoop.FileSystem"
        conf |= {f"spark.hadoop.{name}": value for name, value in alluxio.items()}
    return conf


def _java_options(
    scratch_dir: str, alluxio: dict[str, str], class_data_archive: str | None = None, *, small: bool = False
) -> str:
    options = ["-Duser.timezone=UTC", f"-Djava.io.tmpdir={scratch_dir}", "-XX:+UseSerialGC", "-Xshare:auto"]
    # What a JVM leaves when it dies shows its memory: by default in the working folder, on a disk.
    options += [f"-XX:ErrorFile={scratch_dir}/hs_err_pid%p.log", f"-XX:ReplayDataFile={scratch_dir}/replay_pid%p.log"]
    options += ["-XX:-CreateCoredumpOnCrash", "-XX:-HeapDumpOnOutOfMemoryError"]
    options += [f"-D{name}={NATIVE_LIBRARIES}" for name in ("ZstdTempFolder", "org.xerial.snappy.tempdir")]
    # The client's retries while it connects listen to these only, not to Hadoop's configuration: a store that is gone
    # kept a driver for more than a minute instead of the 20 s (seen with 2.9.3).
    options += [f"-D{name}={value}" for name, value in alluxio.items()]
    if class_data_archive:
        options.append(f"-XX:SharedArchiveFile={class_data_archive}")
    if small:
        options.append("-XX:TieredStopAtLevel=1")
    return " ".join(options)
