"""Losing memory of a real Alluxio, and what the monitor writes of it."""

from __future__ import annotations

import signal
from collections.abc import Sequence
from urllib.parse import urlsplit

import pendulum
from logical_warehouse.intervals import utc_text
from logical_warehouse.losses import Held
from logical_warehouse.store_contents import held_in
from logical_warehouse.store_files import AlluxioFiles
from warehouse.iceberg_api import load_existing_table
from warehouse.jvm import jvm_of
from warehouse.lost_marks import LostMark, LostMarks, LostPart, marks_path
from warehouse.publish import data_files
from warehouse.snapshot_record import SnapshotRecord
from warehouse.spec_json import to_json
from warehouse.store_files import write_text

from local_stack.alluxio import Alluxio
from tests.spark.runs import Runs


def kill_worker(servers: Alluxio) -> None:
    servers.services["worker"].stop(stop_signal=signal.SIGKILL)


def blocks_of(runs: Runs, as_of: str) -> list[str]:
    """Names of the files in which the worker keeps the data of an interval."""
    table = load_existing_table(runs.session, runs.store, "events")
    files = data_files(runs.session, table, int(table.currentSnapshot().snapshotId()), as_of)
    return blocks_of_files(runs, [str(file.location()) for file in files])


def blocks_of_files(runs: Runs, uris: list[str]) -> list[str]:
    java_path = jvm_of(runs.session).org.apache.hadoop.fs.Path
    found = []
    for path in map(java_path, uris):
        status = path.getFileSystem(runs.session._jsc.hadoopConfiguration()).getFileStatus(path).getUriStatus()
        found += [str(block) for block in status.getBlockIds()]
    return found


def lose(servers: Alluxio, blocks: list[str] | None) -> None:
    """The worker dies, and what is started in its place finds all blocks but these, or none."""
    kill_worker(servers)
    lost = [path for path in servers.blocks().rglob("*") if path.is_file() and (blocks is None or path.name in blocks)]
    assert lost
    for path in lost:
        path.unlink()
    servers.start()


def mark(runs: Runs, record: SnapshotRecord, *, under_way: bool, remedy: str) -> None:
    one = LostMark(record.as_of, record.published_at, "2013-06-05T00:15:00Z", remedy, under_way, record.end)
    path = marks_path(runs.store.uri, runs.store.namespace, record.table)
    write_text(runs.session, path, to_json(LostMarks(record.table, (one,))))


def held(servers: Alluxio, runs: Runs, name: str = "events") -> Held:
    """What the monitor finds of a table, by Iceberg's own files."""
    return held_in(AlluxioFiles(servers.web, servers.s3), folder_of(runs), name)


def folder_of(runs: Runs) -> str:
    """In which the store's tables are."""
    return f"{urlsplit(runs.store.uri).path}/{runs.store.namespace}"


def say_lost(servers: Alluxio, runs: Runs, *, gone: bool, name: str = "events") -> Sequence[LostPart]:
    """As the monitor says what a table has lost; ``gone``: and does not get back."""
    parts = tuple(
        LostPart(part.iceberg_snapshot_id, part.as_of, part.names, utc_text(pendulum.now("UTC")), gone, part.lists)
        for part in held(servers, runs, name).parts
    )
    path = marks_path(runs.store.uri, runs.store.namespace, name)
    write_text(runs.session, path, to_json(LostMarks(name, (), parts=parts)))
    return parts


def list_of(runs: Runs, reference: str, name: str = "events") -> str:
    """URI of the file that lists the manifests of what a branch or tag stands at."""
    table = load_existing_table(runs.session, runs.store, name)
    return str(table.snapshot(table.refs().get(reference).snapshotId()).manifestListLocation())
