"""The stack in containers, in the order of this file: three days are backfilled, then its members are killed.

Every check is made on the running services: from Airflow's REST interface, from Alluxio's, from the source itself.
"""

from __future__ import annotations

import json
import re
import socket
import subprocess
import time
from collections.abc import Callable
from pathlib import Path

import pytest

from local_stack.airflow_api import AirflowApi, Json
from local_stack.compose import ComposeStack, Container, docker
from local_stack.compose_files import REPOSITORY
from local_stack.containers.copies import lacking_copies
from tests.compose.conftest import COPIES, SCALE
from tests.e2e.runs import events_of, eventually, succeed

pytestmark = pytest.mark.timeout(1200)

DATES = ("2013-06-01", "2013-06-02", "2013-06-03")
DATED = ("flights", "weather")
REFERENCE = "snapshot_reference"
TRAINING = "training_late_departures"
RUN_TIMEOUT = 420
NOTICED = 60
"""Seconds in which the store has to notice that a worker is gone."""
SNAPSHOTS = "/warehouse/snapshots"
PORTS = (5432, 6379, 7077, 8080, 8081, 8793, 8974, 9102, 19998, 19999, 20001, 20002, 29999, 30000, 30001, 39999)
"""On which something listens in one of the containers."""
PRIVATE_PORTS = {
    "alluxio-master": (19998, 19999),
    "alluxio-worker": (29999, 30000),
    "alluxio-proxy": (39999,),
    "spark-master": (7077, 8080),
    "spark-worker": (8081,),
}
"""Those that the store and the cluster answer on in their network."""


def test_the_file_has_no_warning() -> None:
    done = subprocess.run(
        ["docker", "compose", "--profile", "sample", "--profile", "tools", "config", "--quiet"],
        cwd=REPOSITORY, capture_output=True, text=True, check=False,
    )  # fmt: skip
    assert (done.returncode, done.stdout, done.stderr) == (0, "", "")


def test_everything_is_healthy_and_as_many_as_asked(stack: ComposeStack) -> None:
    assert stack.unhealthy() == []
    assert {service: len(stack.containers(service)) for service in SCALE} == SCALE
    assert len(stack.master("info")["workers"]) == SCALE["alluxio-worker"]
    assert stack.spark()["aliveworkers"] == SCALE["spark-worker"]


def test_from_outside_only_the_ui_answers(stack: ComposeStack) -> None:
    published: dict[str, str] = {}
    for container in stack.containers():
        ports = docker("port", container.identifier).split("\n")
        published |= {line.rpartition("-> ")[2]: container.service for line in ports if line}
    assert published == {f"127.0.0.1:{stack.port}": "airflow-api-server"}
    with socket.create_connection(("127.0.0.1", stack.port), timeout=5):
        pass
    # From a container on another network of this machine, which asks every address that the stack has.
    assert _answering(stack, "bridge") == set()
    # The same container, in the store's network, does get answers: it knocks at the right doors.
    inside = _answering(stack, f"{stack.project}-private")
    for service, private_ports in PRIVATE_PORTS.items():
        for container in stack.containers(service):
            private = _addresses(container)[f"{stack.project}-private"]
            assert {f"{private}:{port}" for port in private_ports} <= inside, container.name


def test_three_days_are_backfilled(stack: ComposeStack, api: AirflowApi, lineage: Callable[[], list[Json]]) -> None:
    eventually("all DAGs", lambda: {REFERENCE, TRAINING, *_snapshot_dags()} <= api.dag_ids())
    assert api.import_errors() == []
    api.set_paused(REFERENCE, False)
    reference = eventually("the reference tables' run", lambda: api.runs(REFERENCE))[0]
    succeed(api, REFERENCE, reference["dag_run_id"], RUN_TIMEOUT)
    api.set_paused(TRAINING, False)  # first: an event for a paused training is dropped
    for dag_id in _snapshot_dags():
        api.set_paused(dag_id, False)
        api.create_backfill(dag_id, f"{DATES[0]}T00:00:00Z", f"{DATES[-1]}T00:00:00Z")
    for dag_id in _snapshot_dags():
        for date in DATES:
            succeed(api, dag_id, _run_of(api, dag_id, date)["dag_run_id"], RUN_TIMEOUT)


@pytest.mark.parametrize("table", DATED)
def test_counts_are_those_of_the_source(stack: ComposeStack, api: AirflowApi, table: str) -> None:
    counted = {
        date: int(rows)
        for date, rows in stack.rows(
            f"SELECT date(time_hour), count(*) FROM public.{table} WHERE time_hour >= '{DATES[0]}' "
            f"AND time_hour < date '{DATES[-1]}' + 1 GROUP BY 1"
        )
    }
    assert {event["extra"]["as_of"]: event["extra"]["rows"] for event in events_of(api, table)} == counted
    assert set(counted) == set(DATES)


def test_each_date_is_trained(api: AirflowApi) -> None:
    eventually("a training for each date", lambda: {run["partition_key"] for run in api.runs(TRAINING)} == set(DATES))
    for run in api.runs(TRAINING):
        succeed(api, TRAINING, run["dag_run_id"], RUN_TIMEOUT)


def test_all_of_it_is_in_memory_with_its_copies(stack: ComposeStack) -> None:
    _wait_for_copies(stack)
    told = stack.execute("airflow-worker", "python3", "-m", "local_stack.containers.copies", SNAPSHOTS)
    assert f"have {COPIES} copies" in told
    files = list(stack.files("/warehouse"))
    assert len([file for file in files if file["name"].endswith(".parquet")]) >= len(DATES) * len(DATED) + 3
    assert {file["persistenceState"] for file in files} == {"NOT_PERSISTED"}
    # Nothing was written to a container's own file system: it cannot be.
    for container in stack.containers():
        assert docker("inspect", "--format", "{{.HostConfig.ReadonlyRootfs}}", container.identifier).strip() == "true"


def test_metrics_are_read_in_the_network(stack: ComposeStack) -> None:
    for url, expected in (
        ("http://alluxio-master:19999/metrics/prometheus/", "Master_FilesPinned"),
        ("http://alluxio-worker:30000/metrics/prometheus/", "Worker_CapacityUsed"),
        ("http://alluxio-proxy:39999/metrics/prometheus/", "Proxy_AuditLogEntriesSize"),
        ("http://spark-master:8080/metrics/master/prometheus/", "metrics_master_aliveWorkers"),
        ("http://spark-worker:8081/metrics/prometheus/", "metrics_worker_coresFree"),
        ("http://airflow-metrics:9102/metrics", "airflow_ti_successes_total"),
    ):
        # As a Prometheus in these networks asks.
        assert expected in stack.execute("airflow-worker", "curl", "-fsS", url), url


def test_runs_are_told_to_openlineage(lineage: Callable[[], list[Json]]) -> None:
    told = {(event["job"]["name"], event["eventType"]) for event in lineage() if "job" in event}
    for job in ("snapshot_flights.snapshot", "snapshot_flights.validate", f"{TRAINING}.train"):
        assert {(job, "START"), (job, "COMPLETE")} <= told
    print("of whole runs the scheduler told:", sorted(kind for job, kind in told if job == "snapshot_flights"))


def test_the_loss_of_an_alluxio_worker_loses_no_snapshot(stack: ComposeStack, api: AirflowApi) -> None:
    lost = stack.containers("alluxio-worker")[-1]
    stack.kill(lost)
    started = time.monotonic()
    eventually("a lost worker", lambda: len(stack.master("info")["workers"]) == SCALE["alluxio-worker"] - 1, NOTICED)
    print(f"the loss was noticed after {time.monotonic() - started:.0f} s")
    assert _least_percentage(stack) == 100
    run = api.trigger("snapshot_flights", params={"as_of": DATES[0]})
    succeed(api, "snapshot_flights", run["dag_run_id"], RUN_TIMEOUT)
    # Alluxio tries each copy once, and forgets of a file that it failed to copy that there were to be some: each job
    # asks for all of them again.
    _wait_for_copies(stack)
    print(f"all copies are there again after {time.monotonic() - started:.0f} s")
    stack.start(lost)
    eventually("it is back", lambda: len(stack.master("info")["workers"]) == SCALE["alluxio-worker"], NOTICED)


def test_a_snapshot_survives_the_loss_of_a_spark_worker(stack: ComposeStack, api: AirflowApi) -> None:
    run = api.trigger("snapshot_flights", params={"as_of": DATES[1]})
    (application,) = eventually("executors", lambda: _applications(stack, run["dag_run_id"]), RUN_TIMEOUT)
    # One of the two workers has nothing to do: an application has one executor here.
    (lost,) = eventually("a worker with an executor of it", lambda: _workers_of(stack, application["id"]), NOTICED)
    stack.kill(lost)
    eventually("a lost worker", lambda: stack.spark()["aliveworkers"] == SCALE["spark-worker"] - 1, 2 * NOTICED)
    succeed(api, "snapshot_flights", run["dag_run_id"], RUN_TIMEOUT)
    stack.start(lost)


def test_a_snapshot_survives_the_loss_of_an_airflow_worker(stack: ComposeStack, api: AirflowApi) -> None:
    run = api.trigger("snapshot_flights", params={"as_of": DATES[2]})
    eventually("executors", lambda: _applications(stack, run["dag_run_id"]), RUN_TIMEOUT)
    task = _task(api, run["dag_run_id"])
    workers = stack.containers("airflow-worker")
    (lost,) = [worker for worker in workers if worker.identifier.startswith(task["hostname"])]
    stack.kill(lost)
    succeed(api, "snapshot_flights", run["dag_run_id"], RUN_TIMEOUT)
    after = _task(api, run["dag_run_id"])
    assert after["try_number"] == task["try_number"] + 1
    assert after["hostname"] != task["hostname"]
    stack.start(lost)


def test_airflows_database_comes_back_from_a_dump(stack: ComposeStack, api: AirflowApi, tmp_path: Path) -> None:
    file = tmp_path / "airflow.dump"
    dump, restore = (block.replace("airflow.dump", str(file)) for block in _typed("Airflow's database"))
    run = api.runs(REFERENCE)[0]
    stack.shell(dump)
    assert file.stat().st_mode & 0o077 == 0
    api.set_paused(REFERENCE, True)  # which the dump does not know
    stack.shell(restore)
    eventually("health", lambda: not stack.unhealthy(), timeout=300)
    assert {service: len(stack.containers(service)) for service in SCALE} == SCALE
    assert api.run(REFERENCE, run["dag_run_id"])["state"] == "success"
    assert api.call("GET", f"/dags/{REFERENCE}")["is_paused"] is False


_KNOCK = """
import socket, sys
from concurrent.futures import ThreadPoolExecutor
def knock(place):
    try:
        socket.create_connection(place, timeout=2).close()
        return f"{place[0]}:{place[1]}"
    except OSError:
        return ""
places = [(address, int(port)) for address in sys.argv[1].split(",") for port in sys.argv[2].split(",")]
with ThreadPoolExecutor(100) as pool:
    print("answered:", *filter(None, pool.map(knock, places)))
"""


def _typed(section: str) -> list[str]:
    """What a section of the operations guide has for a console, block by block."""
    guide = (REPOSITORY / "docs" / "operations-guide.md").read_text()
    return re.findall(
        r"^```console\n(.*?)^```", guide.split(f"\n## {section}\n")[1].split("\n## ")[0], re.DOTALL | re.MULTILINE
    )


def _snapshot_dags() -> list[str]:
    return [f"snapshot_{table}" for table in DATED]


def _run_of(api: AirflowApi, dag_id: str, date: str) -> Json:
    return next(run for run in api.runs(dag_id) if (run["logical_date"] or "").startswith(date))


def _task(api: AirflowApi, run_id: str) -> Json:
    return next(task for task in api.task_instances("snapshot_flights", run_id) if task["task_id"] == "snapshot")


def _applications(stack: ComposeStack, run_id: str) -> list[Json]:
    """Snapshot jobs of a run that have executors."""
    name = f"SnapshotJob {run_id}"
    return [one for one in stack.spark()["activeapps"] if one["name"] == name and one["state"] == "RUNNING"]


def _workers_of(stack: ComposeStack, application: str) -> list[Container]:
    """The Spark workers that run an executor of an application."""
    found = []
    for worker in stack.containers("spark-worker"):
        state = json.loads(docker("exec", worker.identifier, "curl", "-fsS", "http://localhost:8081/json/"))
        if any(executor["appid"] == application for executor in state["executors"]):
            found.append(worker)
    return found


def _answering(stack: ComposeStack, network: str) -> set[str]:
    """Those of the stack's addresses, each with each of :data:`PORTS`, that answer to a container in ``network``."""
    addresses = [address for container in stack.containers() for address in _addresses(container).values()]
    assert len(addresses) > len(stack.containers())
    answered = docker(
        "run", "--rm", "--network", network, "--entrypoint", "python3", "logical-warehouse-alluxio:local", "-c", _KNOCK,
        ",".join(addresses), ",".join(map(str, PORTS)), timeout=180,
    )  # fmt: skip
    return set(answered.split()[1:])


def _addresses(container: Container) -> dict[str, str]:
    """Address by network; none of a container that has ended."""
    networks = (
        json.loads(docker("inspect", "--format", "{{json .NetworkSettings.Networks}}", container.identifier)) or {}
    )
    return {name: network["IPAddress"] for name, network in networks.items() if network["IPAddress"]}


def _least_percentage(stack: ComposeStack) -> int:
    return min(int(file["inAlluxioPercentage"]) for file in stack.files(SNAPSHOTS))


def _wait_for_copies(stack: ComposeStack) -> None:
    """Until each file of the snapshots is wholly in memory, on as many workers as asked."""
    eventually(
        f"{COPIES} copies of each file",
        lambda: not lacking_copies(stack.files(SNAPSHOTS), COPIES),
        timeout=120,
    )
