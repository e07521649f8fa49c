"""All services for tests that go through Airflow, on free ports, and a reader's Spark session beside them."""

from __future__ import annotations

import shutil
import sys
import tempfile
from collections.abc import Iterator, Mapping
from contextlib import contextmanager
from pathlib import Path

import pytest
from pyspark.sql import SparkSession
from warehouse.spark_conf import spark_conf
from warehouse.store_spec import StoreSpec

from local_stack.ports import Ports
from local_stack.stack import Stack, running_stack
from tests.support import driver_switches

ROOT = Path(__file__).parents[2]
NOTIFIERS = ROOT / "tests" / "support" / "notifiers"
STORE_MEMORY = 512 << 20


@contextmanager
def airflow_stack(
    name: str, manifest: Path, switches: Path, settings: Mapping[str, str] | None = None
) -> Iterator[Stack]:
    """PostgreSQL, Alluxio and Airflow for the length of the block.

    :param name: of the tests, for the state folder.
    :param switches: folder by which the tests stop Spark drivers, see ``driver_switches``.
    :param settings: more environment of Airflow's processes.
    """
    # Not pytest's folder: other accounts may not enter that, and PostgreSQL does not run as root.
    state = Path(tempfile.mkdtemp(prefix=f"warehouse-{name}-", dir="/var/tmp"))
    state.chmod(0o755)
    variables = {
        "WAREHOUSE_MANIFEST": str(manifest),
        driver_switches.VARIABLE: str(switches),
        "PYTHONPATH": ":".join(map(str, (ROOT / "plugins", ROOT / "spark_jobs", driver_switches.FOLDER, NOTIFIERS))),
        **(settings or {}),
    }
    with running_stack(Stack(state=state, ports=Ports.free(), memory=STORE_MEMORY, variables=variables)) as started:
        yield started


@contextmanager
def reader_session(stack: Stack, store: StoreSpec) -> Iterator[SparkSession]:
    """A reader of the store beside Airflow, as a data scientist's session would be."""
    scratch = Path(tempfile.mkdtemp(prefix="warehouse-reader-", dir="/dev/shm"))
    arguments = ["--master", "local[1]", "--driver-memory", "768m"]
    arguments += ["--driver-class-path", f"{stack.environment['WAREHOUSE_JARS']}/*"]
    for key, value in spark_conf(store, scratch_dir=str(scratch)).items():
        arguments += ["--conf", f"'{key}={value}'"]
    try:
        with pytest.MonkeyPatch.context() as patch:
            patch.setenv("PYSPARK_SUBMIT_ARGS", " ".join([*arguments, "pyspark-shell"]))
            patch.setenv("PYSPARK_PYTHON", sys.executable)
            session = SparkSession.builder.appName("end-to-end tests").getOrCreate()
            yield session
            session.stop()
    finally:
        shutil.rmtree(scratch, ignore_errors=True)
