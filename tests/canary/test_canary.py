"""The canary: the whole chain through Airflow, a driver killed half way and a shuffle beyond memory, and no value of a
row on any disk, in a deleted file that is still open, in a log or in Airflow's database.

``tests/spark/test_disk_controls.py`` proves the search by turning one setting at a time to a disk; here a value is put
into each place that is searched, and has to be all that is found there.
"""

from __future__ import annotations

import subprocess
import tempfile
from collections.abc import Iterator
from contextlib import ExitStack, contextmanager
from pathlib import Path

from warehouse.spec_json import from_json, to_json
from warehouse.store_spec import StoreSpec
from warehouse.train_spec import TrainResult

from local_stack.airflow_api import AirflowApi
from tests.canary.conftest import DAY, Canaries
from tests.e2e.runs import eventually, succeed
from tests.faults import processes
from tests.support.leaks import Search, search_database, search_disks, search_files
from tests.support.spark_process import IN_CLEAR, SUPPORT, TINY_MEMORY, Application

COPIES = 30
TRAINING = "training_late_departures"


def test_no_value_of_a_row_reaches_a_disk(canaries: Canaries) -> None:
    stack, api = canaries.stack, canaries.stack.airflow.api()
    killed_half_way(canaries, api)
    trained(api)
    with shuffled_beyond_memory(canaries), planted(canaries) as places:
        disks = search_disks(canaries.since, canaries.needles, aside=[canaries.source_files])
        blocks = search_files(all_files(stack.alluxio.folder), canaries.needles)
    # In the store every one of them can be seen: nothing is compressed.
    assert blocks.found == canaries.names
    assert sorted(leak.place for leak in disks.leaks) == sorted(places)
    assert disks.unreadable == ()
    logs = list(all_files(stack.airflow.home / "logs"))
    assert len([log for log in logs if log.stat().st_ctime >= canaries.since]) > 8  # they were among the files
    assert disks.places > len(logs)
    assert database(canaries).leaks == ()
    with stack.metadata.connect("airflow") as connection, connection.cursor() as cursor:
        cursor.execute("CREATE TABLE control AS SELECT %s AS found", (canaries.needles[0].forms[0].decode(),))
    assert [leak.place for leak in database(canaries).leaks] == ["table public.control"]


def killed_half_way(canaries: Canaries, api: AirflowApi) -> None:
    """The snapshot of the canaries, whose first driver dies when all but the last rows of a split were read."""
    api.set_paused("snapshot_canaries", False)
    run_id = api.trigger("snapshot_canaries", params={"as_of": DAY})["dag_run_id"]
    with canaries.ledger.closed("writing"):
        eventually("a split at the gate", lambda: canaries.ledger.waiting() == 1, 180)
        (driver,) = processes.drivers(canaries.stack.alluxio.uri, run_id)
        processes.kill(*driver.processes)
    succeed(api, "snapshot_canaries", run_id)
    tries = {task["task_id"]: task["try_number"] for task in api.task_instances("snapshot_canaries", run_id)}
    assert tries["snapshot"] == 2


def trained(api: AirflowApi) -> None:
    """Snapshots of all inputs, and the model of the day."""
    api.set_paused(TRAINING, False)
    api.set_paused("snapshot_planes", False)
    planes = eventually("the scheduled run", lambda: api.runs("snapshot_planes"))[0]
    succeed(api, "snapshot_planes", planes["dag_run_id"])
    for dag_id in ("snapshot_flights", "snapshot_weather"):
        api.set_paused(dag_id, False)
        succeed(api, dag_id, api.trigger(dag_id, params={"as_of": DAY})["dag_run_id"])
    (run,) = eventually("the training", lambda: api.runs(TRAINING))
    succeed(api, TRAINING, run["dag_run_id"])
    result = from_json(TrainResult, api.xcom(TRAINING, run["dag_run_id"], "train"))
    assert result.metrics["train_rows"] > 100


@contextmanager
def shuffled_beyond_memory(canaries: Canaries) -> Iterator[None]:
    """A reader whose shuffle spills, alive while the block runs, and then killed."""
    store = StoreSpec(canaries.stack.alluxio.uri)
    with ExitStack() as ended:
        scratch = Path(ended.enter_context(tempfile.TemporaryDirectory(prefix="warehouse-canary-", dir="/dev/shm")))
        arguments = (to_json(store), "canaries", DAY, str(COPIES))
        reader = Application(SUPPORT / "fill_shuffle.py", arguments, store, scratch, TINY_MEMORY)
        spilled, written = ended.enter_context(reader.running("SPILLED"))
        assert int(spilled) > 1 << 20 and int(written) > 1 << 20
        secret = next(needle for needle in canaries.needles if needle.name == "a secret")
        assert search_files(all_files(scratch), [secret]).leaks, "what was spilled is to be read there"
        yield


@contextmanager
def planted(canaries: Canaries) -> Iterator[list[str]]:
    """A value in a file on a disk, and one in a deleted file that a process has open; as the search names them."""
    with tempfile.TemporaryDirectory(prefix="warehouse-canary-", dir="/var/tmp") as folder:
        kept, deleted = Path(folder, "kept"), Path(folder, "deleted")
        for file in (kept, deleted):
            file.write_bytes(b"." * 100 + canaries.needles[0].forms[0])
        with deleted.open("rb") as opened:
            holder = subprocess.Popen(["sleep", "600"], stdin=opened)
        deleted.unlink()
        try:
            yield [str(kept), f"{deleted} (deleted) of process {holder.pid}"]
        finally:
            holder.kill()
            holder.wait()


def database(canaries: Canaries) -> Search:
    """Airflow's: XComs, rendered fields, events and all else."""
    with canaries.stack.metadata.connect("airflow") as connection:
        found = search_database(connection, canaries.needles)
    assert found.places > 40
    return found


def all_files(folder: Path) -> list[Path]:
    return [file for file in folder.rglob("*") if file.is_file()]


def test_the_jobs_of_the_canary_compress_nothing() -> None:
    text = Path(__file__).with_name("warehouse.yaml").read_text().replace('"', "")
    assert [name for name, value in IN_CLEAR.items() if f"{name}: {value}\n" not in text] == []
