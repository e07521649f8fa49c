"""One spark-submit outside Airflow, configured as this project's jobs are."""

from __future__ import annotations

import os
import subprocess
import sys
import tempfile
from collections.abc import Mapping, Sequence
from pathlib import Path

# The other half of the project: spark_jobs/ is on the path in the Makefile and in pytest's settings.
from warehouse.spark_conf import LOCAL_ADDRESS, LOCAL_ENVIRONMENT, spark_conf
from warehouse.store_spec import StoreSpec

from local_stack.alluxio import SHARED_MEMORY
from local_stack.errors import StackError
from local_stack.jars import ensure_jars
from local_stack.java import java_home

_SPARK_JOBS = Path(__file__).resolve().parent.parent / "spark_jobs"
TIMEOUT = 300
"""Seconds."""


def submit(
    application: Path,
    arguments: Sequence[str],
    *,
    store: str,
    jars: Path | None = None,
    class_data_archive: Path | None = None,
    java_options: str = "",
    environment: Mapping[str, str] | None = None,
) -> str:
    """Run an application with ``local[2]``; returns its standard output.

    :param store: URI of the store that is the catalog's warehouse.
    :param jars: folder with Iceberg and the store's client; that of the lock unless given.
    :param java_options: more options for the driver's JVM.
    :param environment: more variables, where passwords belong.
    :raises StackError: it failed, with the end of its error output.
    """
    scripts = Path(sys.prefix) / "bin"
    with tempfile.TemporaryDirectory(prefix="warehouse-scratch-", dir=SHARED_MEMORY) as scratch:
        archive = str(class_data_archive) if class_data_archive else None
        conf = spark_conf(StoreSpec(store), scratch_dir=scratch, class_data_archive=archive, small=True)
        conf["spark.driver.extraJavaOptions"] += f" {java_options}"
        command = [str(scripts / "spark-submit"), "--master", "local[2]"]
        command += ["--driver-class-path", f"{jars or ensure_jars('spark')}/*"]
        command += [part for key, value in (conf | LOCAL_ADDRESS).items() for part in ("--conf", f"{key}={value}")]
        base = {
            "PATH": os.pathsep.join([str(scripts), os.environ.get("PATH", os.defpath)]),
            "HOME": str(Path.home()),
            "JAVA_HOME": str(java_home()),
            "PYTHONPATH": str(_SPARK_JOBS),
        } | LOCAL_ENVIRONMENT
        done = subprocess.run(
            [*command, str(application), *arguments],
            env=base | dict(environment or {}), cwd=scratch, capture_output=True, text=True, check=False,
            timeout=TIMEOUT,
        )  # fmt: skip
    if done.returncode:
        raise StackError(f"the Spark application {application.name} failed: {done.stderr.strip()[-1500:]}")
    return done.stdout
