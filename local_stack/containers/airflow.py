"""Airflow's processes, ``airflow <arguments of the airflow command>``, and this project's commands, ``warehouse …``.

``airflow.cfg`` is written into a tmpfs from the secrets that this service has: a worker, which runs drivers, has
neither the metadata database's password nor the key of the connections in it. ``AIRFLOW__<SECTION>__<OPTION>`` in
the environment goes before it, as always.
"""

from __future__ import annotations

import os
import sys
from collections.abc import Callable, Mapping, Sequence
from pathlib import Path

from local_stack.airflow_settings import SETTINGS, Sections, database, passwords_text, settings_text
from local_stack.containers.memory_guard import ensure_memory_only
from local_stack.containers.metrics import STATSD_PORT
from local_stack.containers.network import address_towards
from local_stack.containers.spark import MASTER, PORT, SHARED_MEMORY
from local_stack.containers.together import become
from local_stack.secret_files import write_private

HOME = Path("/run/airflow")
"""``AIRFLOW_HOME``, a tmpfs."""
WAREHOUSE = Path("/opt/warehouse")
LOGS = Path("/var/log/airflow")
SECRETS = Path("/run/secrets")
API_SERVER = "http://airflow-api-server:8080"
DATABASE = "airflow"
OWNER = "warehouse_owner"
POSTGRES = "postgres:5432"
REDIS = "redis:6379"
PARALLELISM = 16
DRIVER_ADDRESS = ("SPARK_LOCAL_IP", "SPARK_LOCAL_HOSTNAME")
HEARTBEAT_TIMEOUT = 60
"""Seconds after which the task of a worker that is gone is tried again."""


def main(arguments: Sequence[str]) -> None:
    """Write the settings and become ``airflow <arguments>``.

    :raises StackError: this is a worker, and a row could reach a disk, or there is no Spark.
    """
    write_settings()
    environment = dict(os.environ)
    if list(arguments[:2]) == ["celery", "worker"]:
        ensure_memory_only(scratch=str(SHARED_MEMORY))
        environment |= driver_address(environment, lambda: address_towards(MASTER, PORT))
    become([sys.executable, "-m", "airflow", *arguments], env=environment, cwd=HOME)


def driver_address(environment: Mapping[str, str], private_address: Callable[[], str]) -> dict[str, str]:
    """Variables that tell Spark where executors reach the drivers of this container.

    Its own name means its address on any of its networks. Not by a folder of settings: it would come into the class
    path, which then is not that of the archive.

    :param environment: of the container. A site that has said it, for executors outside of the stack, is believed.
    :param private_address: asked only where the site said nothing: without a Spark of the stack there is no answer.
    """
    if any(environment.get(name) for name in DRIVER_ADDRESS):
        return {}
    return dict.fromkeys(DRIVER_ADDRESS, private_address())


def run_warehouse(arguments: Sequence[str]) -> None:
    """Write the settings and become ``python -m logical_warehouse <arguments>``, in the folder with ``dags/``."""
    write_settings()
    become([sys.executable, "-m", "logical_warehouse", *arguments], cwd=WAREHOUSE)


def write_settings() -> None:
    """Write ``airflow.cfg``, and the passwords of the UI where this service has them."""
    if password := _secret("airflow-admin"):
        write_private(HOME / "passwords.json", passwords_text(password))
    write_private(HOME / "airflow.cfg", settings_text(SETTINGS, _sections()))


def _sections() -> Sections:
    sections: dict[str, dict[str, object]] = {
        "core": {
            "dags_folder": WAREHOUSE / "dags",
            "plugins_folder": WAREHOUSE / "plugins",
            "executor": "CeleryExecutor",
            "parallelism": PARALLELISM,
            "simple_auth_manager_passwords_file": HOME / "passwords.json",
            "execution_api_server_url": f"{API_SERVER}/execution/",
        },
        "api": {"host": "0.0.0.0", "port": 8080},  # noqa: S104 - in its container
        "logging": {"base_log_folder": LOGS},
        "dag_processor": {"min_file_process_interval": 60},
        "scheduler": {
            "enable_health_check": True,
            "task_instance_heartbeat_timeout": HEARTBEAT_TIMEOUT,
            "orphaned_tasks_check_interval": HEARTBEAT_TIMEOUT,
        },
        "metrics": {"statsd_on": True, "statsd_host": "airflow-metrics", "statsd_port": STATSD_PORT},
        # Longer than any task: a message that is not acknowledged by then is delivered once more.
        "celery_broker_transport_options": {"visibility_timeout": 7 * 86400},
    }
    if password := _secret("postgres-owner"):
        sections["database"] = database(f"{OWNER}:{password}@{POSTGRES}/{DATABASE}")
    if password := _secret("redis"):
        address = f"redis://:{password}@{REDIS}"
        sections["celery"] = {"broker_url": f"{address}/0", "result_backend": f"{address}/1"}
    if key := _secret("airflow-fernet"):
        sections["core"]["fernet_key"] = key
    if key := _secret("airflow-api"):
        sections["api"]["secret_key"] = key
    if key := _secret("airflow-jwt"):
        sections["api_auth"] = {"jwt_secret": key}
    return sections


def _secret(name: str) -> str:
    """A secret of this service, or nothing where it has it not."""
    file = SECRETS / name
    return file.read_text().strip() if file.exists() else ""
