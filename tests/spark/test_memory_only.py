"""Nothing of a row on a disk: what driver and executors are refused for, and where the files of a snapshot are."""

from __future__ import annotations

import json
import os
import re
import sys
import tempfile
import time
from dataclasses import replace
from pathlib import Path
from typing import Any

import pytest
import warehouse.forgetting
from logical_warehouse.store_health import ask_alluxio
from pyspark.sql import SparkSession
from warehouse.disk_failures import FilesOnDisk, RowsCouldReachDisk
from warehouse.expiry import expire_before
from warehouse.forget_spec import ForgetJob
from warehouse.forgetting import forget
from warehouse.iceberg_api import load_existing_table
from warehouse.jvm import jvm_of
from warehouse.memory_only import ensure_memory_only
from warehouse.publish import data_files
from warehouse.source_spec import PASSWORD_VARIABLE
from warehouse.spark_conf import spark_conf
from warehouse.store_spec import StoreSpec
from warehouse.stored_in_memory import metadata_files, verify_published
from warehouse.table_spec import HistorySpec

from local_stack.alluxio import Alluxio
from local_stack.ports import LOOPBACK, Ports
from local_stack.preflight import swap_devices
from tests.spark.conftest import NAMESPACES
from tests.spark.runs import Runs, interval
from tests.spark.submits import spark_submit, submit
from tests.support.spark_cluster import spark_cluster

pytestmark = pytest.mark.skipif(bool(swap_devices()), reason=f"this machine swaps to {', '.join(swap_devices())}")

DAY, NEXT_DAY = "2013-06-01", "2013-06-02"
PROBE = """\
import json
from pyspark.sql import SparkSession
from warehouse.disk_failures import RowsCouldReachDisk
from warehouse.memory_only import ensure_of_later_executors, probe_executors
from warehouse.store_spec import StoreSpec

session = SparkSession.builder.appName("probe").getOrCreate()
probed, findings = probe_executors(session, frozenset())
print("PROBED " + json.dumps([sorted(probed), [str(finding) for finding in findings]]))
ensure_of_later_executors(session, StoreSpec("file:///dev/shm/unused"), probed)
try:
    ensure_of_later_executors(session, StoreSpec("file:///dev/shm/unused"), frozenset(["0"]))
except RowsCouldReachDisk as refused:
    print(f"LATER {refused}")
session.stop()
"""


@pytest.fixture
def own_temporary_folder(monkeypatch: pytest.MonkeyPatch) -> None:
    """The probe sends temporary files to the job's folder: after the test it is pytest's again."""
    monkeypatch.setattr(tempfile, "tempdir", tempfile.tempdir)
    monkeypatch.setenv("TMPDIR", os.environ.get("TMPDIR", tempfile.gettempdir()))


@pytest.mark.usefixtures("own_temporary_folder")
def test_a_driver_in_memory_passes_quickly(session: SparkSession, store: StoreSpec, scratch: Path) -> None:
    ensure_memory_only(session, store)
    started = time.monotonic()
    assert ensure_memory_only(session, store) == frozenset()
    seconds = time.monotonic() - started
    print(f"the probe of a driver took {seconds:.3f} s")
    assert seconds < 0.3
    assert Path(tempfile.gettempdir()).is_relative_to(scratch)


@pytest.mark.usefixtures("own_temporary_folder")
def test_a_store_on_a_disk_is_refused(session: SparkSession, tmp_path: Path) -> None:
    ensure_memory_only(session, StoreSpec(f"file://{tmp_path}", memory_only=False))
    with pytest.raises(
        RowsCouldReachDisk, match=rf"driver: store\.uri is file://{tmp_path} on \w+, needed: a folder on"
    ):
        ensure_memory_only(session, StoreSpec(f"file://{tmp_path}"))
    with pytest.raises(RowsCouldReachDisk, match=r"store\.uri is s3a://, which keeps files on disks, needed: al"):
        ensure_memory_only(session, StoreSpec("s3a://bucket/warehouse"))


def test_a_driver_on_a_disk_is_refused_before_it_asks_the_source(
    tmpfs_runs: Runs, library: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    tmpfs_runs.events([DAY])
    monkeypatch.setenv(PASSWORD_VARIABLE, "never-asked-for")
    job = tmpfs_runs.snapshot_job([tmpfs_runs.table()], DAY)
    conf = {"spark.driver.extraJavaOptions": "-XX:+HeapDumpOnOutOfMemoryError"}
    done, answer = submit("snapshot_tables.py", job, library, tmp_path, conf)
    assert done.returncode == 1 and answer.failure is not None and answer.failure.kind == "permanent"
    assert re.findall(r"driver: (\S+) is", answer.failure.message) == [
        "spark.local.dir", "java.io.tmpdir", "-XX:HeapDumpOnOutOfMemoryError", "-XX:ErrorFile",
    ]  # fmt: skip
    assert answer.failure.message.endswith("no row was read (docs/memory-only.md says how to set each)")
    assert answer.failure.message in done.stdout  # where Spark puts what Python says of errors, too


def test_the_executor_with_its_scratch_on_a_disk_is_found(library: Path, job_scratch: Path, tmp_path: Path) -> None:
    """Its worker's SPARK_LOCAL_DIRS has the last word there, whatever the driver was given."""
    application, on_disk = tmp_path / "probe.py", tmp_path / "scratch"
    application.write_text(PROBE)
    in_memory = job_scratch / "worker"
    conf = spark_conf(StoreSpec("file:///dev/shm/unused"), scratch_dir=str(job_scratch), small=True)
    conf |= {
        "spark.driver.host": LOOPBACK,
        "spark.executor.memory": "512m",
        "spark.cores.max": "2",
        "spark.scheduler.minRegisteredResourcesRatio": "1",
        "spark.pyspark.python": sys.executable,
    }
    with spark_cluster(job_scratch, (in_memory, on_disk)) as master:
        done = spark_submit(application, "", conf, library, master=master)
    lines = [line for line in done.stdout.splitlines() if line.startswith("PROBED ")]
    assert lines, done.stderr[-3000:]
    probed, findings = json.loads(lines[0].removeprefix("PROBED "))
    assert probed == ["0", "1"]
    assert len(findings) == 1
    assert re.fullmatch(
        rf"executor [01] on \S+: spark\.local\.dir \(or the cluster's own setting of it\) is {on_disk}/\S+ on \w+, "
        "needed: a folder on tmpfs or ramfs",
        findings[0],
    )
    # One that was not there when the job began.
    assert f"LATER rows could reach a disk, which store.memory_only refuses: {findings[0]}; no row was" in done.stdout


def test_a_record_says_that_all_of_the_snapshot_is_in_memory(runs: Runs) -> None:
    runs.events([DAY])
    assert runs.publish(runs.table(mode="current"), DAY).record.in_memory is True
    assert runs.records()[DAY].in_memory is True


@pytest.fixture
def on_disk(session: SparkSession, tmpfs_runs: Runs, tmp_path: Path) -> Runs:
    """Whose store is on a disk, and may be only in memory."""
    store = StoreSpec(f"file://{tmp_path}/store", catalog=f"on_disk{next(NAMESPACES)}")
    for name, value in spark_conf(store, scratch_dir=str(tmp_path)).items():
        if name.startswith(f"spark.sql.catalog.{store.catalog}"):
            session.conf.set(name, value)
    return replace(tmpfs_runs, store=store)


def allowed(runs: Runs) -> Runs:
    """With a store that may be on a disk."""
    return replace(runs, store=replace(runs.store, memory_only=False))


def test_a_store_on_a_disk_publishes_only_where_that_is_allowed(on_disk: Runs) -> None:
    runs = on_disk
    runs.events([DAY])
    with pytest.raises(FilesOnDisk, match=r"events as of 2013-06-01: \d+ file\(s\) are not in memory only \(\w+\)"):
        runs.publish(runs.table(), DAY)
    assert runs.records() == {}
    assert allowed(runs).publish(runs.table(), DAY).record.in_memory is False


def test_what_is_written_after_publishing_is_looked_at_too(
    on_disk: Runs, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    runs = on_disk
    runs.events([DAY, NEXT_DAY])
    table = runs.table(history=HistorySpec("interval", "at", lookback=1))
    allowed(runs).publish(table, DAY)
    # The metadata of a date that was captured again, by a try that did not come to look at them.
    runs.database.run("DELETE FROM events WHERE id = 5")
    looks_back = replace(table, earlier=(interval(DAY),))
    captured = allowed(runs).snapshot([looks_back], NEXT_DAY)
    published = allowed(runs).validate([looks_back], NEXT_DAY, captured).published
    assert [(one.record.as_of, one.again) for one in published] == [(DAY, True), (NEXT_DAY, False)]
    with pytest.raises(FilesOnDisk, match=f"events as of {DAY}: "):
        runs.validate([looks_back], NEXT_DAY, captured, attempt=2)

    # Those of a table from which rows were forgotten, whose data files were in memory; and those of dates that end.
    keys = tmp_path / "keys"
    keys.write_text("3")
    with monkeypatch.context() as patch, pytest.raises(FilesOnDisk, match=r"events as of .*\.metadata\.json"):
        patch.setattr(warehouse.forgetting, "verify_in_memory", lambda *_: True)
        forget(runs.session, ForgetJob(runs.store, "events", "id", str(keys), "officer", str(tmp_path / "result")))
    assert runs.ids() == [0, 1, 2, 4, *range(6, 20)] and runs.data_files() == runs.live_files()
    with pytest.raises(FilesOnDisk, match=rf"events as of {NEXT_DAY}: .*\.metadata\.json"):
        expire_before(runs.session, runs.store, "events", f"{NEXT_DAY}T00:00:00Z", grace_seconds=0, by="officer")
    assert list(runs.records()) == [NEXT_DAY]


def test_a_file_that_alluxio_has_written_to_its_under_store_is_not_published(
    session: SparkSession, alluxio: Alluxio, stores: dict[str, StoreSpec], tmpfs_runs: Runs
) -> None:
    tmpfs_runs.events([DAY, NEXT_DAY])
    runs = replace(tmpfs_runs, store=replace(stores["alluxio"], namespace="persisted"))
    table = runs.table()
    captured = runs.snapshot([table], DAY)
    stored = load_existing_table(session, runs.store, table.name)
    head = captured.captures[0].iceberg_snapshot_id
    assert head is not None
    data = [str(file.location()) for file in data_files(session, stored, head, DAY)]
    assert data and len(list(metadata_files(stored, head))) == 3  # one manifest, their list, the table's metadata
    write_through(session, alluxio, data[0])
    with pytest.raises(FilesOnDisk) as refused:
        runs.validate([table], DAY, captured)
    assert refused.value.states == ("PERSISTED",) and refused.value.files == (data[0].rpartition("/")[2],)
    assert runs.records() == {}
    record = allowed(runs).validate([table], DAY, captured).published[0].record
    assert record.in_memory is False

    # What publishing itself writes is looked at afterwards, when readers have it.
    record = runs.publish(table, NEXT_DAY).record
    verify_published(session, runs.store, record)
    assert record.in_memory is runs.records()[NEXT_DAY].in_memory is True
    published = load_existing_table(session, runs.store, table.name)
    write_through(session, alluxio, str(published.operations().current().metadataFileLocation()))
    with pytest.raises(FilesOnDisk, match=r"1 file\(s\) are not in memory only \(PERSISTED\), \S+\.metadata\.json;"):
        verify_published(session, runs.store, record)
    assert runs.records()[NEXT_DAY] == replace(record, in_memory=False)


def write_through(session: SparkSession, alluxio: Alluxio, path: str) -> None:
    """Write a file again with the same bytes, as a client does whose write type is CACHE_THROUGH."""
    jvm: Any = jvm_of(session).alluxio
    configuration = jvm.conf.Configuration.copyGlobal()
    configuration.set(jvm.conf.PropertyKey.MASTER_HOSTNAME, LOOPBACK)
    configuration.set(jvm.conf.PropertyKey.MASTER_RPC_PORT, alluxio.ports.alluxio_master)
    client = getattr(jvm.client.file, "FileSystem$Factory").create(configuration)
    try:
        uri = jvm.AlluxioURI(path.removeprefix(f"alluxio://{LOOPBACK}:{alluxio.ports.alluxio_master}"))
        stream = client.openFile(uri)
        contents = stream.readAllBytes()
        stream.close()
        client.delete(uri)
        options = jvm.grpc.CreateFilePOptions.newBuilder().setWriteType(jvm.grpc.WritePType.CACHE_THROUGH).build()
        out = client.createFile(uri, options)
        out.write(contents)
        out.close()
    finally:
        client.close()


def test_check_refuses_an_alluxio_that_would_write_to_disks(scratch: Path, alluxio: Alluxio, tmp_path: Path) -> None:
    assert ask_alluxio(alluxio.uri, alluxio.web).workers == 1
    blocks = tmp_path / "blocks"
    blocks.mkdir()
    wrong = Alluxio(
        scratch / "wrong",
        Ports.free(),
        64 << 20,
        {
            "alluxio.user.file.writetype.default": "CACHE_THROUGH",
            "alluxio.user.file.persist.on.rename": "true",
            "alluxio.proxy.s3.writetype": "ASYNC_THROUGH",
            "alluxio.master.mount.table.root.ufs": str(tmp_path),
            "alluxio.worker.tieredstore.level0.alias": "SSD",
            "alluxio.worker.tieredstore.level0.dirs.path": str(blocks),
        },
    )
    try:
        wrong.start()
        with pytest.raises(RowsCouldReachDisk) as refused:
            ask_alluxio(wrong.uri, wrong.web)
        assert ask_alluxio(wrong.uri, wrong.web, memory_only=False).workers == 1
    finally:
        wrong.stop()
    assert {(finding.setting, finding.needed) for finding in refused.value.findings} == {
        ("alluxio.user.file.writetype.default", "MUST_CACHE"),
        ("alluxio.user.file.persist.on.rename", "false"),
        ("alluxio.proxy.s3.writetype", "MUST_CACHE"),
        ("the level of alluxio.worker.tieredstore", "MEM"),
        ("alluxio.worker.tieredstore.level0.dirs.path", "a folder on tmpfs or ramfs"),
        ("alluxio.master.mount.table.root.ufs", "a folder on tmpfs or ramfs"),
    }
