"""What runs inside the containers, as far as it can be tested outside of them."""

from __future__ import annotations

import configparser
import socket
import sys
import time
import urllib.request
from pathlib import Path
from threading import Thread

import pytest

from local_stack.airflow_settings import SETTINGS, database, settings_text
from local_stack.alluxio_servers import PROPERTIES
from local_stack.compose_files import SECRETS, admin_password, write_compose_files
from local_stack.containers import alluxio, copies, initialise, memory_guard, spark
from local_stack.containers.airflow import driver_address
from local_stack.containers.beating import is_beating
from local_stack.containers.copies import lacking_copies
from local_stack.containers.metrics import Metrics, listen, server
from local_stack.containers.network import address_towards
from local_stack.containers.together import run_together
from local_stack.errors import StackError
from local_stack.ports import free_port

ROOT = Path(__file__).parents[2]


def test_alluxio_in_a_container_has_the_properties_of_the_project() -> None:
    properties = alluxio.properties("10.0.0.7", 1 << 30)
    assert properties.items() >= PROPERTIES.items()
    assert properties["alluxio.worker.ramdisk.size"] == 1 << 30
    # A job worker copies blocks into the worker whose address is its own.
    assert properties["alluxio.worker.hostname"] == properties["alluxio.job.worker.hostname"] == "10.0.0.7"
    assert "alluxio.user.file.replication.min" not in properties


def test_a_server_that_writes_files_makes_as_many_copies_as_asked(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("WAREHOUSE_REPLICATION", "2")
    assert alluxio.properties("alluxio-proxy")["alluxio.user.file.replication.min"] == "2"


@pytest.mark.parametrize(
    ("size", "percentage", "workers", "lacks"),
    [("1MB", 100, 2, False), ("1MB", 100, 3, False), ("1MB", 100, 1, True), ("1MB", 50, 2, True), ("0B", 0, 0, False)],
)
def test_a_file_lacks_copies_unless_all_of_it_is_on_enough_workers(
    size: str, percentage: int, workers: int, lacks: bool
) -> None:
    places = [f"worker-{number}" for number in range(workers)]
    file = {"absolutePath": "/f", "size": size, "inAlluxioPercentage": percentage, "fileLocations": places}
    assert lacking_copies([file], 2) == ["/f"] * lacks


def test_copies_are_looked_for_in_all_folders(
    monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    def entry(path: str, *workers: str, folder: bool = False) -> dict[str, object]:
        return {
            "absolutePath": path, "isDirectory": folder, "size": "5B", "inAlluxioPercentage": 100,
            "fileLocations": list(workers),
        }  # fmt: skip

    tree = {"/t": [entry("/t/d", folder=True), entry("/t/a", "one", "two")], "/t/d": [entry("/t/d/b", "one")]}
    monkeypatch.setattr(copies, "browse", lambda web, folder: iter(tree[folder]))
    monkeypatch.setenv("WAREHOUSE_STORE_WEB", "http://alluxio-master:19999")
    monkeypatch.setenv("WAREHOUSE_REPLICATION", "2")
    assert copies.main("/t") == 1
    assert capsys.readouterr().out == "/t/d/b\n1 of 2 files in /t have 2 copies\n"
    monkeypatch.setenv("WAREHOUSE_REPLICATION", "1")
    assert copies.main("/t") == 0
    assert capsys.readouterr().out == "2 of 2 files in /t have 1 copy\n"


def test_a_tier_is_as_large_as_the_memory_that_is_mounted(tmp_path: Path) -> None:
    assert 0 < alluxio.tier_capacity(Path("/dev/shm")) < 1 << 50


def test_a_spark_worker_listens_on_its_private_address_and_works_in_memory() -> None:
    command = spark.worker_command("10.0.0.8")
    assert command[command.index("--host") + 1] == "10.0.0.8"
    assert command[command.index("--work-dir") + 1].startswith("/scratch/")
    assert command[-1] == "spark://spark-master:7077"


def test_a_server_of_rows_does_not_start_on_a_disk(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv(memory_guard.MEMORY_ONLY, "true")
    with pytest.raises(StackError, match=rf"this container: tier {tmp_path} is .*needed: a folder on tmpfs or ramfs"):
        memory_guard.ensure_memory_only(tier=str(tmp_path))
    monkeypatch.setenv(memory_guard.MEMORY_ONLY, "false")
    memory_guard.ensure_memory_only(tier=str(tmp_path))


def test_ones_own_address_is_that_of_the_network_of_the_other() -> None:
    assert address_towards("127.0.0.1", 1) == "127.0.0.1"
    lines: list[str] = []
    with pytest.raises(StackError, match=r"no container has the name nobody\.invalid"):
        address_towards("nobody.invalid", 1, patience=0, report=lines.append)


def test_executors_are_told_the_drivers_private_address_unless_the_site_said_another() -> None:
    def nobody() -> str:
        raise StackError("no container has the name spark-master")

    told = driver_address({"SPARK_LOCAL_IP": "", "PATH": "/bin"}, lambda: "10.0.0.9")
    assert told == {"SPARK_LOCAL_IP": "10.0.0.9", "SPARK_LOCAL_HOSTNAME": "10.0.0.9"}
    assert driver_address({"SPARK_LOCAL_HOSTNAME": "edge.bank.example"}, nobody) == {}
    assert driver_address({"SPARK_LOCAL_IP": "10.1.1.1"}, nobody) == {}
    with pytest.raises(StackError):
        driver_address({}, nobody)


def test_airflow_starts_with_a_manifest_that_cannot_be_used(capsys: pytest.CaptureFixture[str]) -> None:
    calls: list[tuple[str, ...]] = []

    def broken(*arguments: str) -> int:
        calls.append(arguments)
        return 1

    initialise.make_pools(Path("/somewhere/warehouse.yaml"), run=broken)
    assert calls == [("logical_warehouse", "pools", "--manifest", "/somewhere/warehouse.yaml")]
    assert "the pools were not made" in capsys.readouterr().out
    initialise.make_pools(Path("/somewhere/warehouse.yaml"), run=lambda *_: 0)
    assert capsys.readouterr().out == ""


def test_when_one_of_two_servers_ends_the_other_ends_too(tmp_path: Path) -> None:
    lasting = [sys.executable, "-c", f"open({str(tmp_path / 'pid')!r}, 'w').close(); import time; time.sleep(60)"]
    ending = [
        sys.executable,
        "-c",
        f"import os, time\nwhile not os.path.exists({str(tmp_path / 'pid')!r}): time.sleep(.01)\nexit(3)",
    ]
    started = time.monotonic()
    assert run_together({"lasting": lasting, "ending": ending}, env={}, cwd=tmp_path) == 3
    assert time.monotonic() - started < 30


@pytest.mark.parametrize(
    ("health", "expected"),
    [('{"triggerer": {"status": "healthy"}}', True), ('{"triggerer": {"status": null}}', False), ("{}", False)],
)
def test_who_beats_is_read_from_airflows_health(health: str, expected: bool) -> None:
    assert is_beating(health, "triggerer") is expected


def test_of_a_setting_in_several_layers_the_last_counts() -> None:
    text = settings_text(SETTINGS, {"core": {"executor": "CeleryExecutor"}, "database": database("u:50%@h:1/d")})
    parser = configparser.ConfigParser()  # as Airflow reads it, with interpolation
    parser.read_string(text)
    assert parser["core"]["executor"] == "CeleryExecutor"
    assert parser["core"]["load_examples"] == "False"
    assert parser["database"]["sql_alchemy_conn"] == "postgresql+psycopg2://u:50%@h:1/d"


def test_compose_files_are_made_once_and_private(tmp_path: Path) -> None:
    (tmp_path / ".env.example").write_text((ROOT / ".env.example").read_text())
    assert len(write_compose_files(tmp_path)) == len(SECRETS) + 1
    before = {path.name: path.read_text() for path in (tmp_path / ".compose/secrets").iterdir()}
    assert before.keys() == SECRETS.keys()
    assert len(set(before.values())) == len(before)
    assert {path.stat().st_mode & 0o777 for path in (tmp_path / ".compose/secrets").iterdir()} == {0o400}
    assert write_compose_files(tmp_path) == ["everything is there already"]
    assert admin_password(tmp_path) == before["airflow-admin"]
    assert "WAREHOUSE_UID=0" not in (tmp_path / ".env").read_text()


def test_statsd_becomes_what_prometheus_reads() -> None:
    metrics = Metrics()
    metrics.receive("airflow.ti.start.a-dag.check:1|c\nairflow.ti.start.a-dag.check:2|c\nairflow.pool.open:7|g")
    metrics.receive("airflow.pool.open:-2|g\nairflow.run:250|ms\nairflow.run:750|ms\nnonsense\nairflow.x:1|s")
    assert metrics.text().splitlines() == [
        "# TYPE airflow_run_seconds_count counter",
        "airflow_run_seconds_count 2.0",
        "# TYPE airflow_run_seconds_sum counter",
        "airflow_run_seconds_sum 1.0",
        "# TYPE airflow_ti_start_a_dag_check_total counter",
        "airflow_ti_start_a_dag_check_total 3.0",
        "# TYPE airflow_pool_open gauge",
        "airflow_pool_open 5.0",
        "# TYPE statsd_refused_total counter",
        "statsd_refused_total 2",
    ]


def test_metrics_are_received_and_served() -> None:
    metrics, web = Metrics(), free_port()
    with listen(metrics, 0) as receiver, server(metrics, web) as serving:
        Thread(target=serving.serve_forever, daemon=True).start()
        with socket.socket(socket.AF_INET, socket.SOCK_DGRAM) as sender:
            sender.sendto(b"airflow.up:1|g", ("127.0.0.1", receiver.getsockname()[1]))
        deadline = time.monotonic() + 10
        text = ""
        while "airflow_up 1.0" not in text:
            assert time.monotonic() < deadline, text
            text = urllib.request.urlopen(f"http://127.0.0.1:{web}/metrics", timeout=5).read().decode()
        serving.shutdown()
