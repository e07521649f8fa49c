"""This project's Spark applications, as files of this machine."""

from __future__ import annotations

import shutil
from pathlib import Path

SPARK_JOBS = Path(__file__).resolve().parents[2] / "spark_jobs"


def package_library(folder: Path) -> str:
    """Zip ``spark_jobs/warehouse`` for ``--py-files``, so that drivers and executors import this very version."""
    return shutil.make_archive(str(folder / "warehouse"), "zip", root_dir=SPARK_JOBS, base_dir="warehouse")
