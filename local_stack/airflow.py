"""Airflow 3 on this machine: scheduler, dag-processor, triggerer and api-server over an embedded PostgreSQL.

All settings and keys are in ``airflow.cfg`` (mode 0600) under ``AIRFLOW_HOME``, none in the environment, where every
task and every spark-submit would inherit them. Option names: Airflow 3.3's ``config.yml``.
"""

from __future__ import annotations

import os
import subprocess
import sys
from collections.abc import Mapping
from dataclasses import dataclass, field
from pathlib import Path

from local_stack.airflow_api import AirflowApi, Connection
from local_stack.airflow_settings import (
    SETTINGS,
    USER,
    Sections,
    database,
    fernet_key,
    jwt_secret,
    passwords_text,
    settings_text,
)
from local_stack.errors import StackError
from local_stack.java import java_home
from local_stack.ports import LOOPBACK, Ports
from local_stack.postgres import PostgresServer
from local_stack.processes import Service, wait_for
from local_stack.secret_files import secret, write_private

REPOSITORY = Path(__file__).resolve().parent.parent
DATABASE = "airflow"
PARALLELISM = 3

_COMMANDS = {
    "scheduler": ("scheduler", "--skip-serve-logs"),
    "dag-processor": ("dag-processor",),
    "triggerer": ("triggerer", "--skip-serve-logs"),
    "api-server": ("api-server",),
}
# Kept from the caller's environment; anything else (AIRFLOW_*, SPARK_*, passwords) would change what is tested.
_INHERITED = ("HOME", "USER", "LANG", "TERM", "SSL_CERT_FILE", "SSL_CERT_DIR", "REQUESTS_CA_BUNDLE", "XDG_CACHE_HOME")


@dataclass(frozen=True)
class Airflow:
    """One Airflow, with its home under ``state/airflow``. ``variables``: environment for the manifest."""

    state: Path
    ports: Ports
    metadata: PostgresServer
    variables: Mapping[str, str] = field(default_factory=dict)
    dags: Path = REPOSITORY / "dags"
    plugins: Path = REPOSITORY / "plugins"

    @property
    def home(self) -> Path:
        """``AIRFLOW_HOME``."""
        return self.state / "airflow"

    @property
    def url(self) -> str:
        """Address of the UI and of the REST interface."""
        return f"http://{LOOPBACK}:{self.ports.airflow}"

    @property
    def password(self) -> str:
        """Of the user :data:`USER`."""
        return secret(self.state, "airflow-admin")

    @property
    def services(self) -> dict[str, Service]:
        """The four processes by their names."""
        return {name: Service(f"airflow-{name}", self.state / "run") for name in _COMMANDS}

    @property
    def environment(self) -> dict[str, str]:
        """Environment of Airflow's processes and of its commands; it holds no secret."""
        environment = {name: os.environ[name] for name in _INHERITED if name in os.environ}
        scripts = Path(sys.prefix) / "bin"  # spark-submit is here
        return environment | {
            "AIRFLOW_HOME": str(self.home),
            "PYTHONPATH": os.pathsep.join(str(REPOSITORY / folder) for folder in ("plugins", "spark_jobs")),
            "PATH": os.pathsep.join([str(scripts), os.environ.get("PATH", os.defpath)]),
            "JAVA_HOME": str(java_home()),
            "PYTHONUNBUFFERED": "1",
            # Several Python processes with little to do each: no thread pools as wide as the machine.
            "OMP_NUM_THREADS": "1",
            "TZ": "UTC",
            **self.variables,
        }

    def api(self) -> AirflowApi:
        """REST client, logged in on first use."""
        return AirflowApi(self.url, USER, self.password)

    def prepare(self) -> None:
        """Write the settings and bring the metadata database to this version; quick when that is done.

        :raises StackError: the migration failed.
        """
        self.home.mkdir(parents=True, exist_ok=True)
        write_private(self.home / "airflow.cfg", self._settings())
        write_private(self.home / "passwords.json", passwords_text(self.password))
        created = self.metadata.create_database(DATABASE)
        marker = self.home / "migrated"
        from importlib.metadata import version  # noqa: PLC0415 - airflow itself takes seconds to import

        if not created and marker.exists() and marker.read_text() == version("apache-airflow"):
            return
        self.run("db", "migrate", timeout=300)
        marker.write_text(version("apache-airflow"))

    def start(self) -> None:
        """Start what does not run and wait until all four are healthy.

        :raises StackError: a process ended or did not become healthy.
        """
        self.launch()
        self.wait_healthy()

    def launch(self) -> None:
        """Start what does not run, without waiting."""
        self.prepare()
        for name, arguments in _COMMANDS.items():
            service = self.services[name]
            if not service.is_running():
                service.start([*_airflow(), *arguments], env=self.environment, cwd=self.home)

    def wait_healthy(self, timeout: float = 180) -> None:
        """Wait until the api-server answers and sees the other three alive."""
        wait_for(
            lambda: self.api().is_healthy(), "Airflow's health", timeout=timeout,
            services=self.services.values(), interval=0.5,
        )  # fmt: skip

    def stop(self) -> None:
        """End all processes and the tasks that they run. Idempotent."""
        for service in self.services.values():
            service.stop(grace=8)

    def is_running(self) -> bool:
        """Whether all four processes are alive."""
        return all(service.is_running() for service in self.services.values())

    def create_connections(self, source_url: str, user: str, password: str) -> None:
        """The connections ``nycflights`` and ``spark_default``, by REST: a password is in no argument and no file."""
        api = self.api()
        api.put_connection(Connection("nycflights", "jdbc", host=source_url, login=user, password=password))
        api.put_connection(Connection("spark_default", "spark", host="local[2]"))

    def create_pools(self) -> str:
        """One pool per source, as the manifest says; returns what was created."""
        return self.run_warehouse("pools")

    def run_warehouse(self, *arguments: str, timeout: float = 120) -> str:
        """Run a command of ``python -m logical_warehouse`` on the manifest of this Airflow; returns its output.

        :raises StackError: it failed, with the end of its output.
        """
        manifest = self.environment.get("WAREHOUSE_MANIFEST", str(self.dags / "warehouse.yaml"))
        done = self._run(
            [sys.executable, "-m", "logical_warehouse", *arguments, "--manifest", manifest], timeout=timeout
        )
        if done.returncode:
            raise StackError(f"logical_warehouse {' '.join(arguments)} failed: {done.stderr.strip()[-800:]}")
        return done.stdout

    def run(self, *arguments: str, timeout: float = 120) -> str:
        """Run an ``airflow`` command; returns its output.

        :raises StackError: it failed, with the end of its output.
        """
        done = self._run([*_airflow(), *arguments], timeout=timeout)
        if done.returncode:
            raise StackError(f"airflow {' '.join(arguments)} failed: {(done.stderr or done.stdout).strip()[-800:]}")
        return done.stdout

    def _run(self, command: list[str], timeout: float) -> subprocess.CompletedProcess[str]:
        return subprocess.run(
            command, env=self.environment, cwd=self.home, capture_output=True, text=True, timeout=timeout, check=False
        )

    def _settings(self) -> str:
        owner, ports = self.metadata, self.ports
        sections: Sections = {
            "core": {
                "dags_folder": self.dags,
                "plugins_folder": self.plugins,
                "executor": "LocalExecutor",
                "parallelism": PARALLELISM,
                "fernet_key": secret(self.state, "airflow-fernet", fernet_key),
                "simple_auth_manager_passwords_file": self.home / "passwords.json",
                "execution_api_server_url": f"{self.url}/execution/",
            },
            "database": database(f"{owner.owner}:{owner.password}@{LOOPBACK}:{owner.port}/{DATABASE}"),
            "api": {
                "host": LOOPBACK,
                "port": ports.airflow,
                "base_url": self.url,
                "secret_key": secret(self.state, "airflow-api"),
            },
            "api_auth": {"jwt_secret": secret(self.state, "airflow-jwt", jwt_secret)},
            "logging": {"base_log_folder": self.home / "logs"},
        }
        return settings_text(SETTINGS, sections)


def _airflow() -> list[str]:
    return [sys.executable, "-m", "airflow"]
