"""The whole thing, once for all end-to-end tests: PostgreSQL, Alluxio, Airflow with its scheduler, on free ports."""

from __future__ import annotations

import shutil
import sys
import tempfile
import threading
from collections.abc import Iterator
from pathlib import Path

import pytest
from pyspark.sql import SparkSession
from warehouse.job_spec import StoreSpec
from warehouse.spark_conf import spark_conf

from local_stack import nycflights
from local_stack.airflow_api import AirflowApi, Connection
from local_stack.ports import Ports
from local_stack.stack import Stack, running_stack
from tests.e2e.runs import eventually

HERE = Path(__file__).parent
FAULTS = HERE / "faults"
STORE_MEMORY = 512 << 20


@pytest.fixture(scope="session")
def faults(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """Folder of switches that ``faults/sitecustomize.py`` reads in the Python driver of each Spark application."""
    return tmp_path_factory.mktemp("faults")


@pytest.fixture(scope="session")
def stack(faults: Path) -> Iterator[Stack]:
    # Not pytest's folder: other accounts may not enter that, and PostgreSQL does not run as root.
    state = Path(tempfile.mkdtemp(prefix="warehouse-e2e-", dir="/var/tmp"))
    state.chmod(0o755)
    variables = {
        "WAREHOUSE_MANIFEST": str(HERE / "warehouse.yaml"),
        "WAREHOUSE_TEST_FAULTS": str(faults),
        "PYTHONPATH": ":".join(
            str(HERE.parents[1] / folder) for folder in ("plugins", "spark_jobs", "tests/e2e/faults")
        ),
    }
    with running_stack(Stack(state=state, ports=Ports.free(), memory=STORE_MEMORY, variables=variables)) as started:
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
    api.call("DELETE", "/pools/warehouse_no_pool")
    api.call(
        "PATCH",
        "/pools/warehouse_small_pool?update_mask=slots",
        {"pool": "warehouse_small_pool", "slots": 1, "include_deferred": False},
    )
    eventually("all DAGs", lambda: {"snapshot_flights", "training_both_sides"} <= api.dag_ids())
    for dag_id in api.dag_ids() - {"snapshot_reference"}:  # unpausing that one is a test of its own
        api.set_paused(dag_id, False)


@pytest.fixture(scope="session")
def api(stack: Stack) -> AirflowApi:
    return stack.airflow.api()


@pytest.fixture(scope="session")
def store(stack: Stack) -> StoreSpec:
    return StoreSpec(stack.alluxio.uri)


@pytest.fixture(scope="session")
def spark(stack: Stack, store: StoreSpec) -> Iterator[SparkSession]:
    """A reader of the store beside Airflow, as a data scientist's session would be."""
    scratch = Path(tempfile.mkdtemp(prefix="warehouse-e2e-spark-", dir="/dev/shm"))
    arguments = ["--master", "local[1]", "--driver-memory", "768m"]
    arguments += ["--driver-class-path", f"{stack.environment['WAREHOUSE_JARS']}/*"]
    for name, value in spark_conf(store, scratch_dir=str(scratch)).items():
        arguments += ["--conf", f"'{name}={value}'"]
    with pytest.MonkeyPatch.context() as patch:
        patch.setenv("PYSPARK_SUBMIT_ARGS", " ".join([*arguments, "pyspark-shell"]))
        patch.setenv("PYSPARK_PYTHON", sys.executable)
        session = SparkSession.builder.appName("end-to-end tests").getOrCreate()
        yield session
        session.stop()
    shutil.rmtree(scratch)


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
        [nycflights.reader_password(stack.source), "not-this-one-at-all", stack.source.password]
    ) as watch:
        yield watch
