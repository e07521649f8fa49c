"""The rules that docker-compose.yaml and the Dockerfile keep."""

from __future__ import annotations

import re
import shutil
import subprocess
import sys
from pathlib import Path
from typing import Any

import pytest
import yaml

from local_stack.compose_files import SECRETS

ROOT = Path(__file__).parents[2]
COMPOSE: dict[str, Any] = yaml.safe_load((ROOT / "docker-compose.yaml").read_text())
SERVICES: dict[str, dict[str, Any]] = COMPOSE["services"]
ENDS = {"airflow-init", "sample-init", "airflow-cli"}
"""Services that do something and end."""
HOLDS_ROWS = {"alluxio-worker", "alluxio-proxy", "spark-worker", "airflow-worker"}
VARIABLE = re.compile(r"\$\{(\w+):-((?:\$\{[^}]*\}|[^}])*)\}")

each_service = pytest.mark.parametrize("name", SERVICES)


@each_service
def test_every_image_is_built_here(name: str) -> None:
    service = SERVICES[name]
    assert re.fullmatch(r"logical-warehouse-\w+:\$\{WAREHOUSE_VERSION:-local\}", service["image"])
    assert service["pull_policy"] == "never"
    role = service["image"].split("-")[2].split(":")[0]
    (build,) = [one["build"] for one in SERVICES.values() if one["image"] == service["image"] and "build" in one]
    assert build["target"] == role
    assert build["network"] == "host"


def test_the_only_image_that_is_not_built_here_is_debians() -> None:
    stages = re.findall(r"^FROM (\S+) AS (\S+)$", (ROOT / "Dockerfile").read_text(), re.MULTILINE)
    assert {image for image, _ in stages} - {name for _, name in stages} == {"debian:bookworm-slim"}
    assert len(stages) == len(re.findall(r"^FROM ", (ROOT / "Dockerfile").read_text(), re.MULTILINE))


@pytest.mark.parametrize("target", ["postgres", "redis", "alluxio", "spark", "airflow"])
def test_no_image_runs_as_root(target: str) -> None:
    stage = (ROOT / "Dockerfile").read_text().split(f" AS {target}\n")[1].split("\nFROM ")[0]
    assert re.findall(r"^USER (\S+)$", stage, re.MULTILINE) == ["warehouse"]


def test_alluxios_image_has_the_files_that_its_role_imports_and_no_others(tmp_path: Path) -> None:
    stage = (ROOT / "Dockerfile").read_text().split(" AS alluxio\n")[1].split("\nFROM ")[0].replace("\\\n", " ")
    copied = set()
    for line in re.findall(r"^COPY (?!--from)(.+)$", stage, re.MULTILINE):
        *files, folder = line.split()
        for file in files:
            copied.add(tmp_path / folder / Path(file).name)
            (tmp_path / folder).mkdir(parents=True, exist_ok=True)
            shutil.copy(ROOT / file, tmp_path / folder)
    # The image's Python has no packages either.
    program = (
        "import sys, local_stack.containers.__main__, local_stack.containers.alluxio\n"
        "print(*filter(None, (getattr(module, '__file__', None) for module in sys.modules.values())), sep='\\n')"
    )
    done = subprocess.run(
        [sys.executable, "-S", "-B", "-c", program], cwd=tmp_path, capture_output=True, text=True, check=False,
        env={"PYTHONPATH": ":".join(str(tmp_path / name) for name in ("plugins", "spark_jobs", "."))},
    )  # fmt: skip
    assert done.returncode == 0, done.stderr
    imported = {Path(line).resolve() for line in done.stdout.splitlines()}
    assert {file for file in imported if file.is_relative_to(tmp_path)} == copied


def test_only_the_ui_is_published_and_on_this_machine_only() -> None:
    ports = {name: service["ports"] for name, service in SERVICES.items() if "ports" in service}
    assert ports == {"airflow-api-server": ["${AIRFLOW_ADDRESS:-127.0.0.1}:${AIRFLOW_PORT:-8080}:8080"]}


def test_the_store_and_the_cluster_are_on_a_network_without_a_way_out() -> None:
    inside = {name for name, network in COMPOSE["networks"].items() if network.get("internal")}
    assert inside == {"private", "control"}
    for name in SERVICES:
        if name.startswith("alluxio-") or name == "spark-master":
            assert SERVICES[name]["networks"] == ["private"]
    assert [name for name in SERVICES if "ui" in SERVICES[name]["networks"]] == ["airflow-api-server"]


@each_service
def test_a_service_says_when_it_is_healthy_restarts_and_has_limits(name: str) -> None:
    service = SERVICES[name]
    if name in ENDS:
        assert service["healthcheck"] == {"disable": True}
        # Else what waits for it would wait for ever, without a word.
        assert service["restart"] in ("no", "on-failure:3")
    else:
        assert service["healthcheck"]["test"][0] in ("CMD", "CMD-SHELL")
        assert service["restart"] == "unless-stopped"
    assert {"mem_limit", "stop_grace_period", "init"} <= service.keys()
    assert service["logging"]["options"].keys() == {"max-size", "max-file"}


def test_an_up_that_does_not_say_how_many_keeps_every_worker() -> None:
    scales = {name: service["scale"] for name, service in SERVICES.items() if "scale" in service}
    assert scales == {
        "alluxio-worker": "${ALLUXIO_WORKERS:-1}",
        "spark-worker": "${SPARK_WORKERS:-1}",
        "airflow-worker": "${AIRFLOW_WORKERS:-1}",
    }


@pytest.mark.parametrize("name", ["alluxio-master", "alluxio-worker"])
def test_another_number_of_copies_does_not_make_the_store_anew(name: str) -> None:
    assert "WAREHOUSE_REPLICATION" not in str(SERVICES[name])


@each_service
def test_what_is_waited_for_is_waited_for_until_it_works(name: str) -> None:
    for other, how in SERVICES[name].get("depends_on", {}).items():
        wanted = "service_completed_successfully" if other in ENDS else "service_healthy"
        assert how == {"condition": wanted}


@each_service
def test_nothing_can_be_written_but_where_it_is_said(name: str) -> None:
    service = SERVICES[name]
    assert service["read_only"] is True
    assert service["cap_drop"] == ["ALL"]
    assert service["security_opt"] == ["no-new-privileges:true"]
    for mount in service["tmpfs"]:
        assert re.search(r":size=(\d+[mg]|\$\{\w+:-\d+[mg]\}),mode=[01]\d{3}", mount), mount
    # Volumes are disks: what is on them holds no row.
    disks = {VARIABLE.sub(r"\2", volume).partition(":")[0] for volume in service.get("volumes", ())}
    assert disks <= {"./dags", "airflow-logs", "alluxio-journal", "alluxio-audit", "postgres-data", "sample-data"}
    if name.startswith(("alluxio-", "spark-")):
        assert disks <= {"alluxio-journal", "alluxio-audit"}


@pytest.mark.parametrize("name", HOLDS_ROWS)
def test_what_holds_rows_leaves_no_core_dump_and_asks_for_memory_only(name: str) -> None:
    assert SERVICES[name]["ulimits"] == {"core": 1}
    assert SERVICES[name]["environment"]["WAREHOUSE_MEMORY_ONLY"] == "${WAREHOUSE_MEMORY_ONLY:-true}"


@each_service
def test_no_secret_is_in_an_environment(name: str) -> None:
    for variable in SERVICES[name].get("environment", {}):
        assert variable.endswith("_FILE") or not re.search(r"PASSW|SECRET|TOKEN|KEY|CONN", variable)
    assert set(SERVICES[name].get("secrets", ())) <= SECRETS.keys()


def test_each_secret_is_a_file_of_its_own() -> None:
    assert {name: secret["file"] for name, secret in COMPOSE["secrets"].items()} == {
        name: f"./.compose/secrets/{name}" for name in SECRETS
    }


def test_what_runs_drivers_cannot_read_airflows_database() -> None:
    assert SERVICES["airflow-worker"]["secrets"] == ["redis", "airflow-api"]


def test_every_variable_is_documented_with_its_default() -> None:
    used = set(VARIABLE.findall((ROOT / "docker-compose.yaml").read_text()))
    lines = (ROOT / ".env.example").read_text().splitlines()
    documented = {tuple(line.split("=", 1)) for line in lines if line and not line.startswith("#")}
    documented.remove(("COMPOSE_PROFILES", ""))  # compose's own
    # A default that is made of another variable is said in words.
    assert {(name, "" if "$" in default else default) for name, default in used} == documented


def test_the_limits_take_what_the_operations_guide_adds_up() -> None:
    default = dict(line.split("=", 1) for line in (ROOT / ".env.example").read_text().splitlines() if "=" in line)

    def gibibytes(name: str) -> float:
        assert default[name].endswith("g")
        return float(default[name][:-1])

    spark = sum(map(gibibytes, ("SPARK_WORKER_MEMORY", "SPARK_SCRATCH", "SPARK_SHARED_MEMORY")))
    assert gibibytes("SPARK_WORKER_LIMIT") >= spark + 0.5
    tasks = int(default["AIRFLOW_WORKER_CONCURRENCY"]) * 2
    assert gibibytes("AIRFLOW_WORKER_LIMIT") >= 0.7 + tasks + gibibytes("AIRFLOW_WORKER_SHARED_MEMORY")
    assert gibibytes("ALLUXIO_WORKER_LIMIT") >= gibibytes("ALLUXIO_WORKER_MEMORY") + 1


def test_the_images_have_the_versions_that_are_tested() -> None:
    tested, built = (
        dict(line.split("==") for line in (ROOT / name).read_text().splitlines())
        for name in ("requirements.lock", "requirements-compose.lock")
    )
    assert {name: version for name, version in built.items() if tested.get(name, version) != version} == {}
