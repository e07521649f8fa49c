"""Tables that the store has lost: the monitor finds them by the asset events alone, and has them captured again."""

from __future__ import annotations

import json
import signal
from collections.abc import Iterator, Mapping, Sequence
from pathlib import Path
from typing import Any
from urllib.parse import urlsplit

import pytest
from logical_warehouse.losses import Held
from logical_warehouse.store_contents import held_in
from logical_warehouse.store_files import AlluxioFiles
from logical_warehouse.store_health import browse
from warehouse.lost_marks import LostForGood
from warehouse.metadata_files import newest_metadata
from warehouse.reading import read_as_of

from local_stack.airflow_api import AirflowApi
from local_stack.stack import Stack
from tests.e2e.runs import all_ended, eventually, fail, succeed
from tests.faults.matrix import World

MONITOR = "warehouse_monitor"
DAG = "snapshot_notes"
AS_OF = "2013-06-01"
FOLDER = "/warehouse/snapshots"


@pytest.fixture
def monitor(api: AirflowApi) -> Iterator[None]:
    """It looks when it is asked to, and not while other tests take the store's servers away."""
    api.set_paused(MONITOR, False)
    yield
    api.set_paused(MONITOR, True)


def repairs_of(api: AirflowApi, as_of: str) -> list[dict[str, Any]]:
    return [run for run in api.runs(DAG) if run["dag_run_id"].startswith(f"repair__{as_of}__")]


def looked(api: AirflowApi) -> str:
    """What the monitor says of a look from now on; its repairs have ended."""
    run_id = api.trigger(MONITOR)["dag_run_id"]
    succeed(api, MONITOR, run_id)
    return api.task_log(MONITOR, run_id, "compare", 1)


def files_below(stack: Stack, path: str) -> list[dict[str, Any]]:
    found = []
    for entry in browse(stack.alluxio.web, path):
        found += files_below(stack, f"{path}/{entry['name']}") if entry["isDirectory"] else [entry]
    return found


def lose_memory_of(stack: Stack, path: str) -> None:
    """As :func:`lose`, of all files in ``path``."""
    lose(stack, files_below(stack, path))


def lose(stack: Stack, files: Sequence[Mapping[str, Any]]) -> None:
    """The worker dies, and what is started in its place finds its memory without these files."""
    # A file's blocks are numbered in the last 24 bits of its id; each of these has one.
    blocks = [str(entry["id"] >> 24 << 24) for entry in files]
    stack.alluxio.services["worker"].stop(stop_signal=signal.SIGKILL)
    lost = [file for file in stack.alluxio.blocks().rglob("*") if file.name in blocks]
    assert len(lost) == len(blocks) > 0
    for file in lost:
        file.unlink()
    stack.alluxio.start()


@pytest.mark.long
@pytest.mark.usefixtures("monitor")
def test_a_table_without_its_metadata_is_captured_again(api: AirflowApi, stack: Stack, told: Path) -> None:
    files = AlluxioFiles(stack.alluxio.web, stack.alluxio.s3)
    succeed(api, DAG, api.trigger(DAG, params={"as_of": AS_OF})["dag_run_id"], timeout=600)
    assert set(held_in(files, FOLDER, "notes").whole) == {AS_OF}
    assert " 0 lost, 0 run(s) to bring them back" in looked(api)

    lose_memory_of(stack, f"{FOLDER}/notes")
    assert held_in(files, FOLDER, "notes") == Held(unreadable=True)
    log = looked(api)
    sentence = f"table notes as of {AS_OF} is lost, the store no longer holds it in memory: "
    assert (
        f"{sentence}the store lists table notes and has lost its metadata, so no run can write to it: a worker" in log
    )
    assert held_in(files, FOLDER, "notes") == Held(unreadable=True)
    assert "table notes had lost its metadata; what was left of it was removed" in looked(api)
    (repair,) = repairs_of(api, AS_OF)
    assert repair["state"] == "success"
    assert set(held_in(files, FOLDER, "notes").whole) == {AS_OF}
    assert " 0 lost, 0 run(s) to bring them back" in looked(api)
    assert len(repairs_of(api, AS_OF)) == 1
    assert told.read_text().count(sentence) == 1


def list_of(stack: Stack, table: str, reference: str) -> dict[str, Any]:
    """The file that lists the manifests of what a branch or tag stands at."""
    entries = {
        f"{FOLDER}/{table}/metadata/{one['name']}": one for one in files_below(stack, f"{FOLDER}/{table}/metadata")
    }
    current = newest_metadata(entries)
    assert current is not None
    metadata = json.loads(AlluxioFiles(stack.alluxio.web, stack.alluxio.s3).read(current))
    head = metadata["refs"][reference]["snapshot-id"]
    (location,) = (one["manifest-list"] for one in metadata["snapshots"] if one["snapshot-id"] == head)
    return entries[urlsplit(location).path]


@pytest.mark.long
@pytest.mark.usefixtures("monitor")
def test_what_nothing_brings_back_is_reported_and_stands_in_nobodys_way(
    world: World, told: Path, tmp_path: Path
) -> None:
    """A worker is gone with what lists the files of one date; the source knows only its present."""
    api, stack, spark, store = world.api, world.stack, world.session, world.store
    table, days = "current_only", ("2013-06-20", "2013-06-21", "2013-06-22")
    for day in days[:2]:
        capture_late(api, day)
    lose(stack, [list_of(stack, table, days[0])])
    log = looked(api)
    assert f"table {table} as of {days[0]} is lost" in log and "0 run(s) to bring them back" in log
    assert told.read_text().count(f"table {table} as of {days[0]} is lost") == 1
    with pytest.raises(LostForGood, match=rf"current_only: the store has lost the snapshot as of {days[0]}"):
        read_as_of(spark, store, table, days[0])
    looked(api)  # a worker that might have brought it back was waited for

    keys = tmp_path / "keys"
    keys.write_text("JFK\n")
    assert f"as of {days[1]}: 1 rows gone" in stack.airflow.run_warehouse(
        "forget", table, "--column", "faa", "--keys-file", str(keys)
    )
    assert read_as_of(spark, store, table, days[1]).where("faa = 'JFK'").count() == 0
    all_ended(api)
    stack.airflow.run_warehouse("clean-store", "--yes", "--captures")
    assert "nothing is left in the store that nobody needs" in stack.airflow.run_warehouse("clean-store")
    capture_late(api, days[2])
    assert "1 lost, 0 run(s)" in looked(api)
    with pytest.raises(LostForGood):
        read_as_of(spark, store, table, days[0])
    assert read_as_of(spark, store, table, days[2]).where("faa = 'JFK'").count() == 1, "as the source has it"
    assert told.read_text().count(f"table {table} as of {days[0]} is lost") == 1
    assert "lost" in stack.airflow.run_warehouse("evidence", table, days[0])


def capture_late(api: AirflowApi, day: str) -> None:
    run_id = api.trigger("snapshot_current_only", params={"as_of": day, "capture_late": True})["dag_run_id"]
    succeed(api, "snapshot_current_only", run_id)


@pytest.mark.usefixtures("monitor")
def test_a_removed_table_is_captured_again(api: AirflowApi, stack: Stack, told: Path) -> None:
    """As after a restart of Alluxio's master that has lost its journal: nothing tells of it but the asset events."""
    as_of = "2013-06-02"
    files = AlluxioFiles(stack.alluxio.web, stack.alluxio.s3)
    succeed(api, DAG, api.trigger(DAG, params={"as_of": as_of})["dag_run_id"], timeout=600)
    files.remove(f"{FOLDER}/notes")
    assert held_in(files, FOLDER, "notes") == Held()

    sentence = f"table notes as of {as_of} is lost, the store no longer holds it in memory: "
    assert sentence in looked(api)
    (repair,) = repairs_of(api, as_of)
    assert repair["state"] == "success"
    assert as_of in held_in(files, FOLDER, "notes").whole
    assert told.read_text().count(sentence) == 1


def test_a_failed_task_is_told_of_once(api: AirflowApi, told: Path) -> None:
    run_id = api.trigger("snapshot_missing_table", params={"as_of": AS_OF})["dag_run_id"]
    failure = fail(api, "snapshot_missing_table", run_id)
    lines = eventually("the notifier", lambda: [line for line in told.read_text().splitlines() if run_id in line])
    assert lines == [f"snapshot_missing_table.check has failed in run {run_id}: {failure.message}"]
