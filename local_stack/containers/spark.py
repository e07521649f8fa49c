"""A standalone Spark cluster: ``spark master`` and ``spark worker``. Drivers run where their Airflow tasks run."""

from __future__ import annotations

import os
from collections.abc import Sequence
from importlib.util import find_spec
from pathlib import Path

from local_stack.containers.memory_guard import ensure_memory_only
from local_stack.containers.network import address_towards
from local_stack.containers.together import become
from local_stack.errors import StackError

MASTER = "spark-master"
PORT = 7077
WEB_PORT = 8080
WORKER_WEB_PORT = 8081
SCRATCH = Path("/scratch")
"""A tmpfs: what executors shuffle and spill, their working folders and logs."""
SHARED_MEMORY = Path("/dev/shm")  # noqa: S108 - where drivers and executors have their temporary files
DAEMON_MEMORY = "192m"

_PACKAGE = "org.apache.spark.deploy"
_METRICS = """\
*.sink.prometheusServlet.class=org.apache.spark.metrics.sink.PrometheusServlet
*.sink.prometheusServlet.path=/metrics/prometheus
master.sink.prometheusServlet.path=/metrics/master/prometheus
applications.sink.prometheusServlet.path=/metrics/applications/prometheus
"""


def main(arguments: Sequence[str]) -> None:
    """Become the server that ``arguments`` names.

    :raises StackError: there is no such server, or a row could reach a disk.
    """
    for folder in ("conf", "local", "work", "temporary"):
        (SCRATCH / folder).mkdir(exist_ok=True)
    (SCRATCH / "conf" / "metrics.properties").write_text(_METRICS)
    match list(arguments):
        case ["master"]:
            become([_spark_class(), *master_command()], env=_environment(_master_options()), cwd=SCRATCH)
        case ["worker"]:
            ensure_memory_only(scratch=str(SCRATCH), temporary=str(SHARED_MEMORY))
            address = address_towards(MASTER, PORT)
            become([_spark_class(), *worker_command(address)], env=_environment(_worker_options()), cwd=SCRATCH)
        case _:
            raise StackError(f"Spark has no server {' '.join(arguments)!r} here")


def master_command() -> list[str]:
    """Class and arguments of the master."""
    return [f"{_PACKAGE}.master.Master", "--host", MASTER, "--port", str(PORT), "--webui-port", str(WEB_PORT)]


def worker_command(address: str) -> list[str]:
    """Class and arguments of a worker. ``address``: of the private network; executors listen there, too."""
    cores, memory = os.environ.get("SPARK_WORKER_CORES", "2"), os.environ.get("SPARK_WORKER_MEMORY", "2g")
    return [
        f"{_PACKAGE}.worker.Worker", "--host", address, "--webui-port", str(WORKER_WEB_PORT),
        "--cores", cores, "--memory", memory, "--work-dir", str(SCRATCH / "work"),
        f"spark://{MASTER}:{PORT}",
    ]  # fmt: skip


def _master_options() -> str:
    # Else the first application would take all cores, and the next would wait for its end.
    return f"-Dspark.deploy.defaultCores={os.environ.get('SPARK_APPLICATION_CORES', '2')}"


def _worker_options() -> str:
    # The work folders of applications that have ended are memory, too.
    return "-Dspark.worker.cleanup.enabled=true -Dspark.worker.cleanup.interval=60 -Dspark.worker.cleanup.appDataTtl=60"


def _environment(options: str) -> dict[str, str]:
    java = (
        f"-XX:+UseSerialGC -XX:TieredStopAtLevel=1 -XX:-UsePerfData -Djava.io.tmpdir={SCRATCH / 'temporary'} "
        f"-Dspark.metrics.conf={SCRATCH / 'conf' / 'metrics.properties'} {options}"
    )
    return {
        **os.environ,
        "SPARK_HOME": str(_spark_home()),
        "SPARK_DAEMON_MEMORY": DAEMON_MEMORY,
        "SPARK_DAEMON_JAVA_OPTS": java,
        "SPARK_LOCAL_DIRS": str(SCRATCH / "local"),
    }


def _spark_home() -> Path:
    pyspark = find_spec("pyspark")
    if pyspark is None or pyspark.origin is None:
        raise StackError("pyspark is not installed in this image")
    return Path(pyspark.origin).parent


def _spark_class() -> Path:
    return _spark_home() / "bin" / "spark-class"
