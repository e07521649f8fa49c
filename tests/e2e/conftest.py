"""The whole thing, once for all end-to-end tests: PostgreSQL, Alluxio, Airflow with its scheduler, on free ports."""

from __future__ import annotations

import secrets
import time
from collections.abc import Iterator
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import pytest
from pyspark.sql import SparkSession
from warehouse.store_spec import StoreSpec

from local_stack import nycflights
from local_stack.airflow_api import AirflowApi, Connection
from local_stack.stack import Stack
from tests.e2e.killed_run import KilledRun, kill_twice
from tests.e2e.runs import eventually, succeed
from tests.faults.ledger import Ledger
from tests.faults.matrix import World
from tests.support.airflow_stack import airflow_stack, reader_session
from tests.support.driver_switches import DriverSwitches
from tests.support.leaks import ArgumentWatch, Needle, number_needle, text_needle

HERE = Path(__file__).parent
NOTICED_SECONDS = 60
"""After which Airflow misses the heartbeat of a task whose worker was killed; by default that takes five minutes."""
MASK_KEY = "a-mask-key-of-the-end-to-end-tests"
WRONG_PASSWORD = "not-this-one-at-all"


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


@dataclass(frozen=True)
class Canaries:
    """Values of rows that nobody else could write, and when the first process of the stack was started (seconds since
    the epoch)."""

    note: str
    number: int
    since: float

    @property
    def needles(self) -> list[Needle]:
        return [text_needle("a note of an account", self.note), number_needle("a number of a flight", self.number)]


@pytest.fixture(scope="session")
def canaries() -> Canaries:
    return Canaries(f"canary-{secrets.token_hex(12)}-", secrets.randbits(61) | 1 << 60, time.time())


@pytest.fixture(scope="session")
def stack(drivers: DriverSwitches, told: Path, canaries: Canaries) -> Iterator[Stack]:
    settings = {
        "AIRFLOW__SCHEDULER__TASK_INSTANCE_HEARTBEAT_TIMEOUT": str(NOTICED_SECONDS),
        "WAREHOUSE_TOLD": str(told),
    }
    with airflow_stack("e2e", HERE / "warehouse.yaml", drivers.folder, settings) as started:
        _prepare(started, canaries)
        yield started


def _prepare(stack: Stack, canaries: Canaries) -> None:
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
    ledger = Ledger(stack.source)
    ledger.create()
    ledger.run(
        f"ALTER TABLE public.flights ADD COLUMN canary bigint NOT NULL DEFAULT {canaries.number};"
        f"ALTER TABLE public.accounts ADD COLUMN note text NOT NULL DEFAULT '{canaries.note}'"
    )
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
        Connection("wrong_password", "jdbc", host=stack.source_url, login=nycflights.READER, password=WRONG_PASSWORD)
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


@pytest.fixture(scope="session", autouse=True)
def argument_watch(stack: Stack) -> Iterator[ArgumentWatch]:
    """The arguments of every process, from the first test to the last."""
    passwords = {"the source's": nycflights.reader_password(stack.source), "its owner's": stack.source.password}
    hidden = {**passwords, "a wrong one": WRONG_PASSWORD, "the key of a mask": MASK_KEY}
    with ArgumentWatch([text_needle(name, secret) for name, secret in hidden.items()]) as watch:
        yield watch


@pytest.fixture(scope="session")
def reference(api: AirflowApi) -> dict[str, Any]:
    """Unpausing is all that is done: the scheduler makes the run of the newest complete interval."""
    api.set_paused("snapshot_reference", False)
    run = eventually("the scheduled run", lambda: api.runs("snapshot_reference"))[0]
    return succeed(api, "snapshot_reference", run["dag_run_id"])


def wait_for_backfill(api: AirflowApi, dag_id: str, backfill_id: int) -> None:
    eventually(f"the backfill of {dag_id}", lambda: api.backfill(backfill_id)["completed_at"], 600)


@pytest.fixture(scope="session")
def backfilled(api: AirflowApi, reference: dict[str, Any]) -> dict[str, list[dict[str, Any]]]:
    """Three days of flights, four of weather."""
    days = {"snapshot_flights": "2013-06-03", "snapshot_weather": "2013-06-04"}
    started = {
        dag_id: api.create_backfill(dag_id, "2013-06-01T00:00:00Z", f"{last}T00:00:00Z", max_active_runs=1)["id"]
        for dag_id, last in days.items()
    }
    for dag_id, backfill_id in started.items():
        wait_for_backfill(api, dag_id, backfill_id)
    runs = {dag_id: [run for run in api.runs(dag_id) if run["run_type"] == "backfill"] for dag_id in days}
    for dag_id, of_dag in runs.items():
        for run in of_dag:
            succeed(api, dag_id, run["dag_run_id"])
    return runs


@pytest.fixture(scope="session")
def world(stack: Stack, api: AirflowApi, spark: SparkSession, store: StoreSpec, drivers: DriverSwitches) -> World:
    return World(stack, api, Ledger(stack.source), spark, store, drivers)


@pytest.fixture(scope="session")
def killed_run(world: World) -> KilledRun:
    return kill_twice(world)
