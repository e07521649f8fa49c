"""The whole thing, once for all end-to-end tests: PostgreSQL, Alluxio, Airflow with its scheduler, on free ports."""

from __future__ import annotations

import threading
from collections.abc import Iterator
from pathlib import Path

import pytest
from pyspark.sql import SparkSession
from warehouse.store_spec import StoreSpec

from local_stack import nycflights
from local_stack.airflow_api import AirflowApi, Connection
from local_stack.stack import Stack
from tests.e2e.runs import eventually
from tests.faults.ledger import Ledger
from tests.support.airflow_stack import airflow_stack, reader_session
from tests.support.driver_switches import DriverSwitches

HERE = Path(__file__).parent
NOTICED_SECONDS = 60
"""After which Airflow misses the heartbeat of a task whose worker was killed; by default that takes five minutes."""
MASK_KEY = "a-mask-key-of-the-end-to-end-tests"


@pytest.fixture(scope="session")
def drivers(tmp_path_factory: pytest.TempPathFactory) -> DriverSwitches:
    """Stops Spark drivers at chosen points."""
    return DriverSwitches(tmp_path_factory.mktemp("drivers"))


@pytest.fixture(scope="session")
def told(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """What Airflow's notifiers were told, a line each."""
    file = tmp_path_factory.mktemp("told") / "told.txt"
    file.touch()
    return file


@pytest.fixture(scope="session")
def stack(drivers: DriverSwitches, told: Path) -> Iterator[Stack]:
    settings = {
        "AIRFLOW__SCHEDULER__TASK_INSTANCE_HEARTBEAT_TIMEOUT": str(NOTICED_SECONDS),
        "WAREHOUSE_TOLD": str(told),
    }
    with airflow_stack("e2e", HERE / "warehouse.yaml", drivers.folder, settings) as started:
        _prepare(started)
        yield started


def _prepare(stack: Stack) -> None:
    with stack.source.connect(nycflights.DATABASE) as connection, connection.cursor() as cursor:
        cursor.execute(
            "CREATE VIEW public.too_big AS SELECT now() AS happened, repeat('x', 100) AS filler "
            "FROM generate_series(1, 1000000000) AS g(n)"
        )
        cursor.execute(
            "CREATE TABLE public.prices (article text, price integer, valid_from timestamptz, valid_to timestamptz);"
            "INSERT INTO public.prices VALUES "
            "('bread', 1, '2013-05-01 00:00Z', '2013-06-02 00:00Z'), ('bread', 2, '2013-06-02 00:00Z', NULL), "
            "('milk', 3, '2013-06-03 23:59:59.999999Z', NULL), ('tea', 4, '2013-06-04 00:00Z', NULL), "
            "('salt', 5, '2013-01-01 00:00Z', '2013-06-03 12:00Z');"
            "CREATE TABLE public.notes (id integer, at timestamptz NOT NULL);"
            "INSERT INTO public.notes SELECT n, '2013-06-01 00:00Z'::timestamptz + n * interval '6 hours' "
            "FROM generate_series(0, 11) n"
        )
        for table in ("too_big", "prices", "notes"):
            cursor.execute(f"GRANT SELECT ON public.{table} TO {nycflights.READER}")
    Ledger(stack.source).create()
    api = stack.airflow.api()
    api.put_connection(
        Connection(
            "unreachable",
            "jdbc",
            host="jdbc:postgresql://127.0.0.1:1/nycflights",
            login="reader",
            password="unreachable-secret",
        )
    )
    api.put_connection(
        Connection(
            "wrong_password", "jdbc", host=stack.source_url, login=nycflights.READER, password="not-this-one-at-all"
        )
    )
    api.put_connection(Connection("mask_key", "generic", password=MASK_KEY))
    api.call("DELETE", "/pools/warehouse_no_pool")
    api.call(
        "PATCH",
        "/pools/warehouse_small_pool?update_mask=slots",
        {"pool": "warehouse_small_pool", "slots": 1, "include_deferred": False},
    )
    eventually("all DAGs", lambda: {"snapshot_flights", "training_both_sides"} <= api.dag_ids())
    # Unpausing these is for tests of their own.
    for dag_id in api.dag_ids() - {"snapshot_reference", "warehouse_monitor"}:
        api.set_paused(dag_id, False)


@pytest.fixture(scope="session")
def api(stack: Stack) -> AirflowApi:
    return stack.airflow.api()


@pytest.fixture(scope="session")
def store(stack: Stack) -> StoreSpec:
    return StoreSpec(stack.alluxio.uri, memory_only=stack.memory_only)


@pytest.fixture(scope="session")
def spark(stack: Stack, store: StoreSpec) -> Iterator[SparkSession]:
    with reader_session(stack, store) as session:
        yield session


class ArgumentWatch:
    """Reads the arguments of every process again and again, and keeps what held a secret."""

    def __init__(self, secrets: list[str]) -> None:
        self.secrets = [secret.encode() for secret in secrets]
        self.found: set[str] = set()
        self.spark_submits = 0
        self._stop = threading.Event()
        self._thread = threading.Thread(target=self._watch, daemon=True)

    def __enter__(self) -> ArgumentWatch:
        self._thread.start()
        return self

    def __exit__(self, *_: object) -> None:
        self._stop.set()
        self._thread.join()

    def _watch(self) -> None:
        while not self._stop.wait(0.2):
            for entry in Path("/proc").iterdir():
                if entry.name.isdigit():
                    self._read(entry / "cmdline")

    def _read(self, file: Path) -> None:
        try:
            arguments = file.read_bytes()
        except OSError:
            return  # the process has ended
        self.spark_submits += b"org.apache.spark.deploy.SparkSubmit" in arguments
        if any(secret in arguments for secret in self.secrets):
            self.found.add(arguments.replace(b"\0", b" ").decode(errors="replace"))


@pytest.fixture(scope="session", autouse=True)
def argument_watch(stack: Stack) -> Iterator[ArgumentWatch]:
    with ArgumentWatch(
        [nycflights.reader_password(stack.source), "not-this-one-at-all", stack.source.password, MASK_KEY]
    ) as watch:
        yield watch
