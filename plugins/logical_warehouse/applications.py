"""This project's Spark applications, as files of this machine."""

from __future__ import annotations

import shutil
from pathlib import Path

from warehouse.spark_conf import LOCAL_ADDRESS, spark_conf

from logical_warehouse.plan import SnapshotPlan, TrainingPlan, store_spec

SPARK_JOBS = Path(__file__).resolve().parents[2] / "spark_jobs"


def application_conf(plan: SnapshotPlan | TrainingPlan, scratch: Path, *, small: bool, local: bool) -> dict[str, str]:
    """Spark's properties for an application of a plan; the manifest's own come last.

    :param small: see :func:`warehouse.spark_conf.spark_conf`.
    :param local: the driver has all of Spark in it.
    """
    own = spark_conf(
        store_spec(plan.store), scratch_dir=str(scratch), class_data_archive=plan.spark.class_data_archive, small=small
    )
    of_manifest = {name: str(value) for name, value in plan.spark.conf.items()}
    return own | (LOCAL_ADDRESS if local else {}) | of_manifest


def package_library(folder: Path) -> str:
    """Zip ``spark_jobs/warehouse`` for ``--py-files``, so that drivers and executors import this very version."""
    return shutil.make_archive(str(folder / "warehouse"), "zip", root_dir=SPARK_JOBS, base_dir="warehouse")
