"""Generating the DAGs of 1,000 tables from a manifest against constructing the same bare DAGs by hand."""

from __future__ import annotations

import json
import os
import subprocess
import sys
from functools import partial
from pathlib import Path

from bench.measure import alternate, ratio, seconds_and_spread
from bench.report import Section
from bench.stage import Stage
from bench.submit import ROOT

TABLES = 1_000
SIDES = {
    "bare": "the same bare DAGs by hand",
    "generated": "this project, from the manifest's text to DAGs",
    "of_which_manifest": "of which reading and checking the manifest",
}


def measure(stage: Stage) -> list[Section]:
    """Seconds of each side, every run in a process of its own."""
    folder = stage.scratch / "dags"
    folder.mkdir(exist_ok=True)
    manifest = folder / "warehouse.yaml"
    manifest.write_text(manifest_of(TABLES))
    measured = alternate(
        {side: partial(_run, side, manifest, folder) for side in ("generated", "bare")},
        stage.options.runs,
    )
    seconds = {name: [run[name] for runs in measured.values() for run in runs if name in run] for name in SIDES}
    rows = tuple(
        (SIDES[name], seconds_and_spread(values), ratio(values, seconds["bare"])) for name, values in seconds.items()
    )
    return [
        Section(
            f"DAGs of {TABLES:,} tables",
            "Three tasks, an asset and a param each, in a new process after Airflow was imported. The bare DAGs have "
            "Airflow's own operators. The aim is 1.5 times at most.",
            ("side", "seconds", "against bare"),
            rows,
        )
    ]


def manifest_of(tables: int) -> str:
    """A manifest with that many daily tables, each its own group."""
    head = (
        "version: 1\n"
        "sources:\n  main: {connection: main, budget: 3, time_zone: UTC}\n"
        "store: {uri: 'alluxio://localhost:19998/warehouse', web: 'http://localhost:19999', "
        "s3: 'http://localhost:39999/api/v1/s3'}\n"
        "spark: {connection: spark_default, jars: /opt/jars}\n"
        "defaults: {source: main, owner: data-engineering, schedule: '@daily', start: 2013-06-01, end: 2013-12-31}\n"
        "tables:\n"
    )
    return head + "".join(
        f"  table_{number:04}:\n"
        f"    table: public.table_{number:04}\n"
        f"    description: The table of number {number}.\n"
        "    tags: [bench]\n"
        "    history: {interval: {column: changed_at}}\n"
        "    retention: {days: 60}\n"
        "    checks: {min_rows: 1}\n"
        for number in range(tables)
    )


def _run(side: str, manifest: Path, folder: Path) -> dict[str, float]:
    environment = {name: value for name, value in os.environ.items() if not name.startswith("AIRFLOW")}
    environment |= {
        "PYTHONPATH": f"{ROOT / 'plugins'}:{ROOT / 'spark_jobs'}:{ROOT}",
        "AIRFLOW_HOME": str(folder),
        "AIRFLOW__CORE__LOAD_EXAMPLES": "False",
        "AIRFLOW__CORE__UNIT_TEST_MODE": "False",
    }
    done = subprocess.run(
        [sys.executable, "-m", "bench.dag_side", side, str(manifest)],
        env=environment,
        cwd=ROOT,
        capture_output=True,
        text=True,
        check=False,
    )
    if done.returncode:
        raise RuntimeError(f"the {side} DAGs failed:\n{done.stderr[-2000:]}")
    measured: dict[str, float] = json.loads(done.stdout.splitlines()[-1])
    return measured
