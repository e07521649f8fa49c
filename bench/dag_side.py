"""One side of the DAG benchmark in a process of its own: ``generated`` or ``bare``, and a manifest."""

from __future__ import annotations

import json
import sys
import time
from pathlib import Path

from airflow.providers.apache.spark.operators.spark_submit import SparkSubmitOperator
from airflow.providers.standard.operators.empty import EmptyOperator
from airflow.sdk import DAG, Asset, Param
from airflow.sdk.definitions.timetables.interval import CronDataIntervalTimetable
from logical_warehouse.dag_builder import build_dags, dags_of
from logical_warehouse.manifest import load_manifest
from logical_warehouse.plan import make_plan
from pendulum import datetime as moment

from bench.dags import TABLES


def generated(manifest: Path) -> dict[str, float]:
    """What a DAG file does, with its two halves timed."""
    started = time.perf_counter()
    loaded = load_manifest(manifest)
    assert loaded.manifest is not None
    read = time.perf_counter()
    dags = dags_of(make_plan(loaded.manifest))
    ended = time.perf_counter()
    assert not loaded.problems, loaded.problems[0]
    assert len(dags) == TABLES + 1  # That of the monitor comes with every store.
    assert build_dags(manifest).keys() == dags.keys()
    return {"generated": ended - started, "of_which_manifest": read - started}


def bare(_manifest: Path) -> dict[str, float]:
    """As many DAGs of as many tasks, with Airflow's own classes and constants only."""
    started = time.perf_counter()
    dags = [_bare_dag(f"table_{number:04}") for number in range(TABLES)]
    ended = time.perf_counter()
    assert len(dags) == TABLES
    return {"bare": ended - started}


def _bare_dag(name: str) -> DAG:
    with DAG(
        f"snapshot_{name}",
        description="A table.",
        doc_md="A table.",
        schedule=CronDataIntervalTimetable("0 0 * * *", timezone="UTC"),
        start_date=moment(2013, 6, 1),
        end_date=moment(2013, 12, 31),
        catchup=False,
        tags=["bench"],
        default_args={"owner": "data-engineering", "retries": 2},
        params={"as_of": Param(None, type=["null", "string"])},
    ) as dag:
        check = EmptyOperator(task_id="check")
        snapshot = SparkSubmitOperator(task_id="snapshot", application="snapshot_tables.py", pool="main")
        validate = SparkSubmitOperator(
            task_id="validate", application="validate_snapshots.py", outlets=[Asset(name=name, uri=f"store://{name}")]
        )
        check >> snapshot >> validate
    return dag


if __name__ == "__main__":
    side, path = sys.argv[1:]
    print(json.dumps({"generated": generated, "bare": bare}[side](Path(path))))
