"""The command line, as a user meets it."""

from __future__ import annotations

import subprocess
import sys
from pathlib import Path

import pytest
from logical_warehouse.cli import main

ROOT = Path(__file__).parents[2]
BROKEN = """\
version: 1
sources: {a: {connection: a}}
store: {uri: 'file:///x'}
tables:
  t: {table: a.b, histroy: current}
"""


def test_lint_of_a_healthy_manifest_shows_groups_and_trainings(capsys: pytest.CaptureFixture[str]) -> None:
    assert main(["lint", str(ROOT / "dags" / "warehouse.yaml")]) == 0
    output = capsys.readouterr()
    assert output.err == ""
    for words in (
        "reference",
        "planes, airports, airlines",
        "late_departures",
        "flights (window 1)",
        "planes (latest)",
    ):
        assert words in output.out


def test_lint_of_a_broken_manifest_prints_every_problem(tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    path = tmp_path / "m.yaml"
    path.write_text(BROKEN, encoding="utf-8")
    assert main(["lint", str(path)]) == 1
    output = capsys.readouterr()
    assert output.out == ""
    first, second, summary = output.err.splitlines()
    assert first == f"{path}:5: tables.t.history: is missing"
    assert second.startswith(
        f"{path}:5: tables.t.histroy: unknown key; did you mean 'history'? allowed: table, history,"
    )
    assert summary == f"{path}: 2 problems"


def test_schema_writes_what_check_then_accepts(tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    schema, reference = tmp_path / "schema.json", tmp_path / "manifest.md"
    reference.write_text("# Keys\n<!-- keys of Split -->\n<!-- end -->\n", encoding="utf-8")
    types = tmp_path / "types.md"
    types.write_text("<!-- types of postgresql -->\n<!-- end -->\n", encoding="utf-8")
    files = ["--schema", str(schema), "--reference", str(reference), "--types", str(types)]
    assert main(["schema", "--check", *files]) == 1
    assert capsys.readouterr().err.splitlines() == [
        f"{path}: is not current; run: python -m logical_warehouse schema" for path in (schema, reference, types)
    ]
    assert not schema.exists()
    assert main(["schema", *files]) == 0
    assert "| `parts` | whole number | `2` |" in reference.read_text(encoding="utf-8")
    assert "| `date` | `date` | infinite |" in types.read_text(encoding="utf-8")
    assert main(["schema", "--check", *files]) == 0


def test_linting_loads_neither_airflow_nor_spark() -> None:
    code = (
        "import sys; from logical_warehouse.cli import main; assert main(['lint']) == 0; "
        "sys.exit(' '.join(sorted({'airflow', 'pyspark', 'sqlalchemy'} & set(sys.modules))) or 0)"
    )
    environment = {"PYTHONPATH": f"{ROOT / 'plugins'}:{ROOT / 'spark_jobs'}"}
    done = subprocess.run(
        [sys.executable, "-c", code], cwd=ROOT, env=environment, capture_output=True, text=True, check=False
    )
    assert (done.returncode, done.stderr) == (0, "")
