"""The stack of docker-compose.yaml as a program sees it: up, down, its containers, its store."""

from __future__ import annotations

import json
import os
import subprocess
import urllib.parse
from collections.abc import Iterator, Mapping
from dataclasses import dataclass, field
from typing import Any

from local_stack.airflow_api import AirflowApi
from local_stack.airflow_settings import USER
from local_stack.alluxio_servers import files_below
from local_stack.compose_files import REPOSITORY, admin_password
from local_stack.errors import StackError

UP_TIMEOUT = 600
"""Seconds in which all services have to become healthy."""


@dataclass(frozen=True)
class Container:
    """One container. ``health`` is empty for a service without a check; ``exit_code`` of one that has ended."""

    identifier: str
    service: str
    name: str
    state: str
    health: str
    exit_code: int


@dataclass(frozen=True)
class ComposeStack:
    """One project. ``variables``: over those of ``.env``. ``scale``: containers of a service, one unless said."""

    project: str = "logical-warehouse"
    profiles: tuple[str, ...] = ("sample",)
    variables: Mapping[str, str] = field(default_factory=dict)
    scale: Mapping[str, int] = field(default_factory=dict)
    port: int = 8080

    @property
    def url(self) -> str:
        """Airflow's address."""
        return f"http://127.0.0.1:{self.port}"

    def api(self) -> AirflowApi:
        """REST client."""
        return AirflowApi(self.url, USER, admin_password())

    def build(self) -> None:
        """Build all images. :raises StackError: one cannot be built."""
        self._run("build", "--quiet", timeout=1800)

    def up(self) -> None:
        """Create and start everything, and wait until all is healthy. :raises StackError: something is not."""
        scale = [part for service, number in self.scale.items() for part in ("--scale", f"{service}={number}")]
        # airflow-init and sample-init end, which --wait takes for a failure where nothing depends on them.
        self._run("up", "--detach", "--no-build", *scale, timeout=UP_TIMEOUT)

    def down(self) -> None:
        """Remove containers, networks and volumes. Idempotent."""
        self._run("down", "--volumes", "--timeout", "5", "--remove-orphans", timeout=180)

    def containers(self, service: str | None = None) -> list[Container]:
        """All containers, or those of a service, also those that have ended; by name."""
        lines = self._run("ps", "--all", "--no-trunc", "--format", "json").splitlines()
        found = [json.loads(line) for line in lines if line.strip()]
        listed = [
            Container(one["ID"], one["Service"], one["Name"], one["State"], one["Health"], one["ExitCode"])
            for one in found
            if service in (None, one["Service"])
        ]
        return sorted(listed, key=lambda one: one.name)

    def unhealthy(self) -> list[str]:
        """What is not as it should be: a sentence about each container."""
        wrong = []
        for one in self.containers():
            ended_well = one.state == "exited" and one.exit_code == 0 and one.service.endswith("-init")
            if not ended_well and (one.state != "running" or one.health != "healthy"):
                wrong.append(f"{one.name} is {one.state} {one.health}".strip())
        return wrong

    def execute(self, service: str, *command: str, index: int = 1, timeout: float = 60) -> str:
        """Output of a command in a running container. :raises StackError: it failed."""
        return self._run("exec", "-T", "--index", str(index), service, *command, timeout=timeout)

    def shell(self, script: str) -> str:
        """Output of commands as somebody types them, ``docker compose …`` among them, which mean this project.

        :raises StackError: one of them failed.
        """
        environment = {"COMPOSE_PROJECT_NAME": self.project, "COMPOSE_PROFILES": ",".join(self.profiles)}
        return _output(["bash", "-euo", "pipefail", "-c", script], self._environment() | environment, UP_TIMEOUT)

    def kill(self, container: Container) -> None:
        """Kill a container as a machine that is switched off: it does not come back by itself."""
        docker("kill", container.identifier)

    def start(self, container: Container) -> None:
        """Start a container that was killed."""
        docker("start", container.identifier)

    def master(self, what: str, **query: str | int) -> Any:
        """An answer of the REST interface of Alluxio's master. :raises StackError: it does not answer."""
        url = f"http://localhost:19999/api/v1/master/{what}?{urllib.parse.urlencode(query)}"
        return json.loads(self.execute("alluxio-master", "curl", "-fsS", url))

    def spark(self) -> Any:
        """What the master of the Spark cluster knows of its workers and applications."""
        return json.loads(self.execute("spark-master", "curl", "-fsS", "http://spark-master:8080/json/"))

    def files(self, folder: str) -> Iterator[dict[str, Any]]:
        """Every file of the store in ``folder`` and below."""
        return files_below(self.master, folder)

    def rows(self, query: str) -> list[list[str]]:
        """What the sample source answers to a query."""
        command = (
            'PGPASSWORD="$(cat /run/secrets/sample-owner)" exec psql -h localhost -U "$OWNER" -AtF "|" -c "$0" "$1"'
        )
        output = self.execute("sample-source", "bash", "-c", command, query, "nycflights")
        return [line.split("|") for line in output.splitlines()]

    def _run(self, *arguments: str, timeout: float = 120) -> str:
        profiles = [part for profile in self.profiles for part in ("--profile", profile)]
        command = ["docker", "compose", "--project-name", self.project, *profiles, *arguments]
        return _output(command, self._environment(), timeout)

    def _environment(self) -> dict[str, str]:
        return os.environ | {"AIRFLOW_PORT": str(self.port)} | dict(self.variables)


def docker(*arguments: str, timeout: float = 60) -> str:
    """Output of a docker command. :raises StackError: it failed."""
    return _output(["docker", *arguments], dict(os.environ), timeout)


def _output(command: list[str], environment: Mapping[str, str], timeout: float) -> str:
    shown = " ".join(command[:8])
    try:
        done = subprocess.run(
            command, cwd=REPOSITORY, env=dict(environment), capture_output=True, text=True, timeout=timeout, check=False
        )
    except FileNotFoundError as error:
        raise StackError("there is no docker; install Docker with its compose plugin") from error
    except subprocess.TimeoutExpired as error:
        raise StackError(f"`{shown} …` has not ended in {timeout:.0f} s") from error
    if done.returncode:
        raise StackError(f"`{shown} …` ended with {done.returncode}: {(done.stderr or done.stdout).strip()[-1500:]}")
    return done.stdout
