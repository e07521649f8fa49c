"""Tables that the store has lost: the monitor finds them by the asset events alone, and has them captured again."""

from __future__ import annotations

import signal
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import pytest
from logical_warehouse.losses import Held
from logical_warehouse.store_contents import held_in
from logical_warehouse.store_files import AlluxioFiles
from logical_warehouse.store_health import browse

from local_stack.airflow_api import AirflowApi
from local_stack.stack import Stack
from tests.e2e.runs import eventually, fail, succeed

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
    """The worker dies, and what is started in its place finds its memory without the files in ``path``."""
    # A file's blocks are numbered in the last 24 bits of its id; each of these has one.
    blocks = [str(entry["id"] >> 24 << 24) for entry in files_below(stack, path)]
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
