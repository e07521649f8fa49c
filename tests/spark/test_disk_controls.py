"""The controls of the canary: one setting at a time lets rows onto a disk, and the search must find them there.

The same jobs and the same search each time; with every setting as the project has it, it finds nothing.
"""

from __future__ import annotations

import secrets
import shutil
import tempfile
import time
from collections.abc import Callable, Iterator, Mapping
from contextlib import AbstractContextManager, contextmanager
from dataclasses import dataclass, replace
from pathlib import Path

import pytest
from warehouse.job_answer import JobAnswer
from warehouse.snapshot_spec import SnapshotJob, SnapshotResult
from warehouse.spec_json import from_json, to_json
from warehouse.store_files import read_text
from warehouse.store_spec import StoreSpec

from local_stack.alluxio import Alluxio
from local_stack.ports import Ports
from tests.spark.runs import Runs
from tests.support.leaks import Needle, Search, number_needle, search_disks, search_files, text_needle
from tests.support.spark_process import ROOT, SUPPORT, TINY_MEMORY, Application

DAY = "2013-06-01"
ROWS = 20_000


@dataclass(frozen=True)
class Canaries:
    """A table of the source whose rows all have a text and a number that nobody else could write.

    ``memory``: a folder for what every job needs.
    """

    runs: Runs
    memory: Path
    needles: tuple[Needle, ...]
    since: float

    def capture(
        self, store: StoreSpec, *, conf: Mapping[str, str] | None = None, java_options: str = ""
    ) -> SnapshotJob:
        """Run the snapshot job as Airflow does, into a store that may be on a disk."""
        job = self.job(store)
        application = ROOT / "spark_jobs/snapshot_tables.py"
        self.run(Application(application, (to_json(job),), job.store, self.memory, conf or {}, java_options))
        return job

    def job(self, store: StoreSpec) -> SnapshotJob:
        """The snapshot job, without the probe that would refuse a disk."""
        runs = replace(self.runs, store=replace(store, memory_only=False))
        return runs.snapshot_job([runs.table("canaries")], DAY)

    def publish(self) -> None:
        """Capture and publish in the tests' own store, which is in memory."""
        job = self.capture(self.runs.store)
        answer = from_json(JobAnswer, read_text(self.runs.session, job.result_path) or "")
        assert isinstance(answer.snapshot, SnapshotResult)
        self.runs.validate(job.tables, DAY, answer.snapshot)

    def reader(self, file: str, *arguments: str, conf: Mapping[str, str] | None = None, **more: object) -> Application:
        """An application that reads the published snapshot."""
        store = self.runs.store
        given = (to_json(store), "canaries", DAY, *arguments)
        return replace(Application(SUPPORT / file, given, store, self.memory, conf or {}), **more)  # type: ignore[arg-type]

    def run(self, application: Application) -> None:
        assert application.run() == 0, application.output.read_text()[-3000:]

    def search(self) -> Search:
        return search_disks(self.since, self.needles)


@pytest.fixture
def on_disk() -> Iterator[Path]:
    folder = Path(tempfile.mkdtemp(prefix="warehouse-canary-", dir="/var/tmp"))
    yield folder
    shutil.rmtree(folder)


@pytest.fixture
def canaries(runs: Runs) -> Iterator[Canaries]:
    text, number = f"canary-{secrets.token_hex(12)}", secrets.randbits(61) | 1 << 60
    since = time.time()
    runs.database.run(
        f"CREATE TABLE canaries AS SELECT n AS id, '{DAY} 00:00Z'::timestamptz + n * interval '1 second' AS at, "
        f"'{text}-' || n AS secret, {number}::bigint AS number FROM generate_series(0, {ROWS - 1}) AS g(n); "
        "ALTER TABLE canaries ALTER COLUMN at SET NOT NULL"
    )
    memory = Path(tempfile.mkdtemp(prefix="warehouse-canary-", dir="/dev/shm"))
    yield Canaries(runs, memory, (text_needle("the text", text), number_needle("the number", number)), since)
    shutil.rmtree(memory)


@contextmanager
def alluxio_with(canaries: Canaries, changed: Mapping[str, str]) -> Iterator[StoreSpec]:
    servers = Alluxio(canaries.memory / "alluxio", Ports.free(), 256 << 20, settings=changed)
    try:
        servers.start()
        yield StoreSpec(servers.uri)
    finally:
        servers.stop()


@contextmanager
def store_on_a_disk(canaries: Canaries, disk: Path) -> Iterator[None]:
    canaries.capture(StoreSpec(f"file://{disk}/store"))
    yield


@contextmanager
def tier_on_a_disk(canaries: Canaries, disk: Path) -> Iterator[None]:
    with alluxio_with(canaries, {"alluxio.worker.tieredstore.level0.dirs.path": str(disk)}) as store:
        canaries.capture(store)
        yield


@contextmanager
def written_through(canaries: Canaries, disk: Path) -> Iterator[None]:
    setting = "alluxio.user.file.writetype.default"
    changed = {"alluxio.master.mount.table.root.ufs": str(disk), setting: "CACHE_THROUGH"}
    with alluxio_with(canaries, changed) as store:
        conf = {f"spark.hadoop.{setting}": "CACHE_THROUGH"}
        canaries.capture(store, conf=conf, java_options=f"-D{setting}=CACHE_THROUGH")
        yield


@contextmanager
def scratch_on_a_disk(canaries: Canaries, disk: Path) -> Iterator[None]:
    canaries.publish()
    conf = {**TINY_MEMORY, "spark.local.dir": str(disk)}
    with canaries.reader("fill_shuffle.py", "30", conf=conf).running("SPILLED"):
        yield


@contextmanager
def heap_dump_on_a_disk(canaries: Canaries, disk: Path) -> Iterator[None]:
    canaries.publish()
    options = f"-XX:+HeapDumpOnOutOfMemoryError -XX:HeapDumpPath={disk} -XX:+ExitOnOutOfMemoryError"
    assert canaries.reader("read_rows.py", "collect", java_options=options).run() != 0
    yield


@contextmanager
def event_log_on_a_disk(canaries: Canaries, disk: Path) -> Iterator[None]:
    """A value that somebody asks for is in the plan of the question."""
    canaries.publish()
    conf = {"spark.eventLog.enabled": "true", "spark.eventLog.dir": f"file:{disk}"}
    canaries.run(canaries.reader("read_rows.py", "filter", conf=conf))
    yield


@contextmanager
def copy_on_a_disk(canaries: Canaries, disk: Path) -> Iterator[None]:
    """The fast copy writes each file into a temporary folder first."""
    job = canaries.job(canaries.runs.store)
    options = f"-Djava.io.tmpdir={disk}"
    copying = Application(SUPPORT / "hold_copy.py", (to_json(job),), job.store, canaries.memory, java_options=options)
    with copying.running("COPYING"):
        yield


Control = Callable[[Canaries, Path], AbstractContextManager[None]]


@pytest.mark.parametrize(
    "control",
    [
        pytest.param(store_on_a_disk, id="store"),
        pytest.param(tier_on_a_disk, id="tier", marks=pytest.mark.long),
        pytest.param(written_through, id="write_type", marks=pytest.mark.long),
        pytest.param(scratch_on_a_disk, id="scratch", marks=pytest.mark.long),
        pytest.param(copy_on_a_disk, id="copy", marks=pytest.mark.long),
        pytest.param(heap_dump_on_a_disk, id="heap_dump", marks=pytest.mark.long),
        pytest.param(event_log_on_a_disk, id="event_log", marks=pytest.mark.long),
    ],
)
@pytest.mark.parametrize("store", ["alluxio"], indirect=True)
def test_one_setting_is_enough_to_be_found(canaries: Canaries, on_disk: Path, control: Control) -> None:
    with control(canaries, on_disk):
        search = canaries.search()
    assert "the text" in search.found
    assert [leak for leak in search.leaks if not leak.place.startswith(f"{on_disk}/")] == []


@pytest.mark.long  # its short version is tests/e2e/test_no_value_on_a_disk.py
@pytest.mark.parametrize("store", ["alluxio"], indirect=True)
def test_nothing_is_found_as_the_project_has_it(canaries: Canaries, alluxio: Alluxio) -> None:
    canaries.publish()
    canaries.run(canaries.reader("read_rows.py", "filter"))
    with canaries.reader("fill_shuffle.py", "30", conf=TINY_MEMORY).running("SPILLED") as said:
        assert all(int(size) > 1 << 20 for size in said)
        search = canaries.search()
        kept = [file for folder in (canaries.memory, alluxio.folder) for file in folder.rglob("*") if file.is_file()]
        assert search_files(kept, canaries.needles).found == {"the text", "the number"}
    assert search.leaks == ()
