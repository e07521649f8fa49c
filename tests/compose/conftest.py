"""The stack of docker-compose.yaml, built and brought up once for all of its tests."""

from __future__ import annotations

import json
import time
from collections.abc import Callable, Iterator

import pytest

from local_stack.airflow_api import AirflowApi, Json
from local_stack.compose import ComposeStack, docker
from local_stack.compose_files import write_compose_files
from local_stack.errors import StackError
from local_stack.ports import free_port
from tests.e2e.runs import eventually

SCALE = {"alluxio-worker": 3, "spark-worker": 2, "airflow-worker": 2}
COPIES = 2
LINEAGE = "lineage-receiver"


@pytest.fixture(scope="session", autouse=True)
def _session_time() -> Iterator[None]:
    started = time.monotonic()
    yield
    print(f"\nall of it, with building and taking down: {(time.monotonic() - started) / 60:.1f} minutes", flush=True)


@pytest.fixture(scope="session")
def stack() -> Iterator[ComposeStack]:
    write_compose_files()
    started = ComposeStack(
        project="logical-warehouse-test",
        scale=SCALE,
        port=free_port(),
        variables={
            "WAREHOUSE_REPLICATION": str(COPIES),
            "OPENLINEAGE_URL": f"http://{LINEAGE}:5000",
            # One executor an application, one task a worker: each is a JVM that has to start on two cores.
            "SPARK_APPLICATION_CORES": "1",
            "AIRFLOW_WORKER_CONCURRENCY": "1",
            # For each `up` that does not say it (docs/operations-guide.md has some).
            **{f"{service.partition('-')[0].upper()}_WORKERS": str(number) for service, number in SCALE.items()},
        },
    )
    _timed("images", started.build)
    started.down()
    try:
        _timed("up", started.up)
        _timed("healthy", lambda: eventually("health", lambda: not started.unhealthy(), timeout=240))
        yield started
    except (StackError, AssertionError) as error:
        print(error, *started.unhealthy(), sep="\n", flush=True)
        raise
    finally:
        _timed("down", started.down)


@pytest.fixture(scope="session")
def lineage(stack: ComposeStack) -> Iterator[Callable[[], list[Json]]]:
    """A receiver of OpenLineage events outside the stack, where drivers reach sources; returns what came."""
    network = f"{stack.project}-sources"
    name = f"{stack.project}-{LINEAGE}"
    docker(
        "run", "--detach", "--rm", "--name", name, "--network", network, "--network-alias", LINEAGE,
        "--entrypoint", "python3", "logical-warehouse-alluxio:local", "-u", "-c", _RECEIVER,
    )  # fmt: skip
    yield lambda: [json.loads(line) for line in docker("logs", name).splitlines()]
    docker("rm", "--force", name)


@pytest.fixture(scope="session")
def api(stack: ComposeStack) -> AirflowApi:
    return stack.api()


def _timed(what: str, work: object) -> None:
    assert callable(work)
    started = time.monotonic()
    work()
    print(f"\n{what}: {time.monotonic() - started:.0f} s", flush=True)


_RECEIVER = """
import http.server, threading
lock = threading.Lock()
class Receiver(http.server.BaseHTTPRequestHandler):
    def do_POST(self):
        event = self.rfile.read(int(self.headers["Content-Length"])).decode()
        with lock:  # a line is text and its end
            print(event)
        self.send_response(201)
        self.end_headers()
    def log_message(self, *args):
        pass
http.server.ThreadingHTTPServer(("", 5000), Receiver).serve_forever()
"""
