"""The password of a source and the key of a mask, on a real standalone cluster in client mode: nowhere to be seen."""

from __future__ import annotations

import sys
import threading
import time
from collections.abc import Iterator, Sequence
from contextlib import contextmanager
from dataclasses import dataclass, replace
from pathlib import Path

import pytest
import requests
from airflow.sdk import BaseHook, Connection
from logical_warehouse.manifest import Spark, Store
from warehouse.masks import MaskKey
from warehouse.snapshot_spec import SnapshotResult
from warehouse.spec_json import from_json

from local_stack.jars import ensure_jars
from local_stack.ports import LOOPBACK, free_port
from local_stack.preflight import swap_devices
from tests.spark.runs import Runs
from tests.support.leaks import ArgumentWatch, Needle, search_disks, search_files, text_needle
from tests.support.snapshot_task import run_snapshot
from tests.support.spark_cluster import spark_cluster

DAY = "2013-06-01"
KEY = MaskKey("mask_key", "a-mask-key-on-a-cluster")


@dataclass
class UiWatch:
    """What Spark's UI says while an application runs, read again and again."""

    port: int
    pages: dict[str, bytes]

    def look(self) -> None:
        root = f"http://{LOOPBACK}:{self.port}/api/v1/applications"
        (application,) = requests.get(root, timeout=5).json()
        for page in ("environment", "sql?details=true&planDescription=true", "jobs", "stages?details=true"):
            self._keep(f"{root}/{application['id']}/{page}")
        for page in ("environment", "SQL", "stages"):
            self._keep(f"http://{LOOPBACK}:{self.port}/{page}/")
        for execution in range(3):
            self._keep(f"http://{LOOPBACK}:{self.port}/SQL/execution/?id={execution}")

    def _keep(self, url: str) -> None:
        answer = requests.get(url, timeout=5)
        if answer.ok and len(answer.content) >= len(self.pages.get(url, b"")):  # its fullest state
            self.pages[url] = answer.content

    def holders(self, needles: Sequence[Needle]) -> list[str]:
        return [
            f"{needle.name}: {url}"
            for url, page in self.pages.items()
            for needle in needles
            if any(form in page for form in needle.forms)
        ]


@contextmanager
def watched_ui(port: int) -> Iterator[UiWatch]:
    watch, ended = UiWatch(port, {}), threading.Event()

    def follow() -> None:
        while not ended.wait(0.2):
            try:
                watch.look()
            except (requests.RequestException, ValueError):  # it is not up yet, or no more
                continue

    thread = threading.Thread(target=follow, daemon=True)
    thread.start()
    try:
        yield watch
    finally:
        ended.set()
        thread.join()


def connect(monkeypatch: pytest.MonkeyPatch, master: str, password: str) -> None:
    host, _, port = master.rpartition(":")
    known = {
        "spark_default": Connection(conn_id="spark_default", conn_type="spark", host=host, port=int(port)),
        "bank": Connection(conn_id="bank", conn_type="jdbc", password=password),
        "mask_key": Connection(conn_id="mask_key", conn_type="generic", password=KEY.secret),
    }
    monkeypatch.setattr(BaseHook, "get_connection", classmethod(lambda cls, conn_id: known[conn_id]))


def test_a_snapshot_on_a_cluster_shows_no_secret(
    tmpfs_runs: Runs,
    job_scratch: Path,
    scratch: Path,
    monkeypatch: pytest.MonkeyPatch,
    capfd: pytest.CaptureFixture[str],
) -> None:
    password = tmpfs_runs.database.password
    needles = [
        text_needle("the password", password),
        text_needle("the key", KEY.secret),
        # What the source makes of it, which would do as well.
        text_needle("the inner pad", KEY.inner.hex()),
        text_needle("the outer pad", KEY.outer.hex()),
    ]
    since, scratches = time.time(), set(Path("/dev/shm").glob("warehouse-scratch-*"))
    tmpfs_runs.events([DAY], rows_per_day=1000)
    table = tmpfs_runs.table()
    columns = [replace(one, mask="hmac(mask_key)") if one.name == "note" else one for one in table.columns]
    table = replace(table, columns=tuple(columns), validate="rows", key_checks={KEY.connection: KEY.check})
    job = tmpfs_runs.snapshot_job([table], DAY)
    for variable in ("PYSPARK_SUBMIT_ARGS", "PYSPARK_PYTHON", "SPARK_HOME"):
        monkeypatch.delenv(variable, raising=False)
    monkeypatch.setenv("PATH", f"{Path(sys.executable).parent}:{Path('/usr/bin')}:/bin")
    events, port = job_scratch / "events", free_port()
    events.mkdir()
    conf: dict[str, object] = {
        "spark.driver.host": LOOPBACK,
        "spark.executor.memory": "512m",
        "spark.pyspark.python": sys.executable,
        "spark.ui.enabled": "true",
        "spark.ui.port": str(port),
        "spark.eventLog.enabled": "true",
        "spark.eventLog.dir": f"file:{events}",
        "spark.eventLog.compress": "false",
    }
    spark = Spark(jars=str(ensure_jars("spark")), conf=conf)
    store = Store(
        uri=job.store.uri, catalog=job.store.catalog, namespace=job.store.namespace, memory_only=job.store.memory_only
    )
    with spark_cluster(job_scratch, (job_scratch / "executor",)) as master:
        connect(monkeypatch, master, password)
        with ArgumentWatch(needles) as arguments, watched_ui(port) as ui:
            operator, answer = run_snapshot(job, spark, store)
    assert from_json(SnapshotResult, answer).captures[0].written_rows == 1000
    said = "".join(capfd.readouterr())
    assert "Spark-Submit cmd" in said and "1,000 of 1,000 rows written" in said

    assert arguments.saw("deploy.SparkSubmit") and arguments.saw("CoarseGrainedExecutorBackend")
    assert arguments.search.leaks == ()
    assert any(b"spark.eventLog.dir" in page for page in ui.pages.values())
    assert any(b"JDBC" in page for page in ui.pages.values())
    assert ui.holders(needles) == []
    shown = said + answer + "".join(repr(getattr(operator, name)) for name in operator.template_fields)
    assert not [needle.name for needle in needles if any(form.decode("latin-1") in shown for form in needle.forms)]

    # The cluster's logs and work folder, Spark's event log, scratch and the store; then every file on a disk.
    kept = [file for folder in (job_scratch, Path(f"{scratch}/store")) for file in folder.rglob("*") if file.is_file()]
    assert any(file.name == "stderr" for file in kept), "what an executor printed"
    logged = [file.read_bytes() for file in events.rglob("*") if file.is_file()]
    assert any(b"SparkListenerSQLExecutionStart" in log for log in logged)
    assert any(file.suffix == ".parquet" for file in kept) and any(file.name.endswith("metadata.json") for file in kept)
    search = search_files(kept, needles)
    assert search.places == len(kept) and search.leaks == () and search.unreadable == ()
    assert set(Path("/dev/shm").glob("warehouse-scratch-*")) <= scratches
    if not swap_devices():
        assert search_disks(since, needles).leaks == ()
