"""Imports point one way: pure core ← Airflow adapter, pure core ← Spark adapter (contracts in pyproject.toml)."""

from __future__ import annotations

import subprocess
import sys
from pathlib import Path

import pytest

ROOT = Path(__file__).parents[2]
PURE = (
    "logical_warehouse.manifest",
    "logical_warehouse.intervals",
    "logical_warehouse.as_of",
    "logical_warehouse.history",
    "logical_warehouse.plan",
    "logical_warehouse.memory_settings",
    "logical_warehouse.host_check",
    "logical_warehouse.losses",
    "warehouse.run_spec",
    "warehouse.store_spec",
    "warehouse.source_spec",
    "warehouse.table_spec",
    "warehouse.access_spec",
    "warehouse.snapshot_record",
    "warehouse.snapshot_spec",
    "warehouse.validate_spec",
    "warehouse.model_folders",
    "warehouse.train_spec",
    "warehouse.job_answer",
    "warehouse.failures",
    "warehouse.source_failures",
    "warehouse.capture_failures",
    "warehouse.store_failures",
    "warehouse.schema_failures",
    "warehouse.validation_failures",
    "warehouse.access_failures",
    "warehouse.disk_failures",
    "warehouse.mask_failures",
    "warehouse.host_memory",
    "warehouse.schema_change",
    "warehouse.table_origin",
    "warehouse.spark_conf",
    "warehouse.retention",
    "warehouse.lost_marks",
    "warehouse.promises",
    "warehouse.clean_spec",
    "warehouse.command_spec",
    "warehouse.compare_spec",
    "warehouse.expire_spec",
    "warehouse.forget_spec",
    "logical_warehouse.capacity",
    "warehouse.dialects",
    "warehouse.sql_states",
)


@pytest.mark.parametrize("module", PURE)
def test_a_pure_module_loads_neither_airflow_nor_spark(module: str) -> None:
    """Also what it loads in turn, and what it loads by a function call at import."""
    code = f"import sys, {module}; print(*({{'airflow', 'pyspark', 'py4j'}} & set(sys.modules)))"
    paths = f"{ROOT / 'plugins'}:{ROOT / 'spark_jobs'}"
    done = subprocess.run(
        [sys.executable, "-c", code], env={"PYTHONPATH": paths}, capture_output=True, text=True, check=True
    )
    assert done.stdout.split() == []


def test_the_linters_contracts_hold() -> None:
    done = subprocess.run(
        [str(Path(sys.executable).with_name("lint-imports")), "--no-cache"],
        cwd=ROOT,
        env={"PYTHONPATH": f"{ROOT / 'plugins'}:{ROOT / 'spark_jobs'}"},
        capture_output=True,
        text=True,
        check=False,
    )
    assert done.returncode == 0, done.stdout
