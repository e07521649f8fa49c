"""Spark applications of commands: on this machine, outside of Airflow, so that no value comes into a log or an XCom."""

from __future__ import annotations

import os
import subprocess
import sys
import tempfile
from collections.abc import Callable, Collection, Mapping
from pathlib import Path
from typing import Any, TypeVar

from warehouse.command_spec import IMPOSSIBLE
from warehouse.masks import secrets_environment
from warehouse.source_spec import PASSWORD_VARIABLE
from warehouse.spark_conf import LOCAL_ENVIRONMENT
from warehouse.spec_json import from_json, spec_argument, to_json

from logical_warehouse.applications import SPARK_JOBS, application_conf
from logical_warehouse.plan import SnapshotPlan
from logical_warehouse.scratch import SCRATCH_ROOT, scratch_folder

Result = TypeVar("Result")


def result_of(
    plan: SnapshotPlan, application: str, result_type: type[Result], job: Callable[[str], Any]
) -> Result | None:
    """Run an application of this project that writes its result to a file; None after it has said why there is none.

    :param job: makes its spec from the path of that file.
    """
    with scratch_folder(SCRATCH_ROOT) as scratch:
        path = scratch / "result.json"
        argument = to_json(job(str(path)))
        if submit_here(plan, application, argument, scratch=scratch, known=(0, IMPOSSIBLE)) != 0:
            return None
        return from_json(result_type, path.read_text(encoding="utf-8"))


def submit_here(
    plan: SnapshotPlan,
    application: str,
    argument: str,
    *,
    scratch: Path,
    known: Collection[int],
    password: str | None = None,
    secrets: Mapping[str, str] | None = None,
) -> int:
    """Run an application of this project; its exit code.

    What it prints goes to the terminal; Spark's own log only where the exit code is none that is ``known``.

    :param scratch: folder in memory, gone afterwards.
    :param secrets: keys of masks by the connection that has them.
    """
    # Said outright, as by the operators: a site's Spark may default to cluster mode, which no local master has.
    command = [str(Path(sys.executable).with_name("spark-submit")), "--master", "local[*]", "--deploy-mode", "client"]
    if plan.spark.jars:
        command += ["--driver-class-path", f"{plan.spark.jars}/*"]
    for name, value in application_conf(plan, scratch, small=True, local=True).items():
        command += ["--conf", f"{name}={value}"]
    command += [str(SPARK_JOBS / application), spec_argument(scratch, argument)]
    environment = os.environ | {"PYTHONPATH": str(SPARK_JOBS), "PYSPARK_PYTHON": sys.executable}
    environment |= LOCAL_ENVIRONMENT | secrets_environment(secrets or {})
    if password is not None:
        environment[PASSWORD_VARIABLE] = password
    with tempfile.TemporaryFile("w+", dir=scratch) as log:
        ended = subprocess.run(command, env=environment, stderr=log, check=False)
        if ended.returncode not in known:
            log.seek(0)
            sys.stderr.write(log.read())
    return ended.returncode
