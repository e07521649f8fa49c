"""Imports point one way: pure core ← Airflow adapter, pure core ← Spark adapter (contracts in pyproject.toml)."""

from __future__ import annotations

import subprocess
import sys
import tomllib
from pathlib import Path

import pytest

ROOT = Path(__file__).parents[2]
CONTRACTS = tomllib.loads((ROOT / "pyproject.toml").read_text())["tool"]["importlinter"]["contracts"]
(PURE,) = (each["source_modules"] for each in CONTRACTS if each["name"] == "The pure core knows neither")


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
