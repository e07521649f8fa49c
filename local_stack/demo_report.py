"""What the demo prints: snapshots, trainings, and the same rows read from the store and from the source."""

from __future__ import annotations

import json
from collections.abc import Sequence
from dataclasses import dataclass
from functools import partial
from pathlib import Path

from rich.console import Console
from rich.table import Table

# The contract travels with spark_jobs/, which is on the path of Airflow's processes and of the Makefile's.
from warehouse.snapshot_spec import SnapshotResult
from warehouse.source_spec import PASSWORD_VARIABLE
from warehouse.spec_json import from_json
from warehouse.train_spec import TrainResult
from warehouse.validate_spec import ValidateResult

from local_stack import nycflights
from local_stack.airflow_api import AirflowApi
from local_stack.alluxio_servers import files_below, master_answer
from local_stack.class_data import ensure_class_data_archive
from local_stack.errors import StackError
from local_stack.spark import submit
from local_stack.stack import Stack

_NAMESPACE = "snapshots"


@dataclass(frozen=True)
class InMemory:
    """Of the data files below a folder of the store: how many, and how much of the least held one is in memory."""

    files: int
    percentage: float


def in_memory(stack: Stack, folder: str) -> InMemory:
    """Ask Alluxio about every file below ``folder``, a path in it.

    :raises OSError: Alluxio does not answer.
    """
    files = list(files_below(partial(master_answer, stack.alluxio.web, timeout=10), folder))
    held = [float(file["inAlluxioPercentage"]) for file in files]
    return InMemory(len(files), min(held, default=0.0))


def print_snapshots(console: Console, stack: Stack, api: AirflowApi, runs: Sequence[tuple[str, str]]) -> None:
    """A line per snapshot that the runs, pairs of DAG and run id, published.

    :raises StackError: a snapshot has other rows than its source, or is not in memory as a whole.
    """
    table = Table(title="Snapshots")
    for heading in ("table", "as of"):
        table.add_column(heading, no_wrap=True)
    for heading in ("source rows", "stored rows", "bytes", "in memory", "seconds"):
        table.add_column(heading, justify="right")
    wrong = []
    for dag_id, run_id in runs:
        captured = from_json(SnapshotResult, api.xcom(dag_id, run_id, "snapshot"))
        capture_seconds = {capture.table: capture.seconds for capture in captured.captures}
        for published in from_json(ValidateResult, api.xcom(dag_id, run_id, "validate")).published:
            record = published.record
            # Each try has a folder, by the name of its run branch.
            held = in_memory(stack, f"/warehouse/{_NAMESPACE}/{record.table}/data/{record.branch}")
            if record.rows != record.source_rows or (record.rows and held.percentage < 100):  # noqa: PLR2004
                wrong.append(f"{record.table} as of {record.as_of}")
            table.add_row(
                record.table, record.as_of, f"{record.source_rows:,}", f"{record.rows:,}", f"{record.bytes:,}",
                f"{held.percentage:.0f} %", f"{capture_seconds[record.table] + published.seconds:.1f}",
            )  # fmt: skip
    console.print(table)
    if wrong:
        raise StackError(f"not all rows of the source are in memory: {', '.join(wrong)}")


def print_trainings(console: Console, api: AirflowApi, run_ids: Sequence[str]) -> None:
    """A column per training run, with its metrics."""
    results = [from_json(TrainResult, api.xcom("training_late_departures", run_id, "train")) for run_id in run_ids]
    table = Table("training", title="Trainings")
    for result in results:
        table.add_column(result.as_of, justify="right", no_wrap=True)
    for name in sorted({name for result in results for name in result.metrics}):
        values = [f"{result.metrics[name]:,.4g}" if name in result.metrics else "" for result in results]
        table.add_row(name.replace("_", " "), *values)
    table.add_row("seconds", *(f"{result.seconds:.1f}" for result in results))
    console.print(table)


def print_read_timing(console: Console, stack: Stack, name: str, as_of: str) -> None:
    """How long the same full read takes from the store and from the source."""
    output = submit(
        Path(__file__).with_name("read_timing.py"),
        [stack.alluxio.uri, name, as_of, stack.source_url, nycflights.READER],
        store=stack.alluxio.uri,
        class_data_archive=ensure_class_data_archive(),
        environment={PASSWORD_VARIABLE: nycflights.reader_password(stack.source)},
    )
    timing = json.loads(output.strip().splitlines()[-1])
    source, store = timing["source_seconds"], timing["store_seconds"]
    console.print(
        f"  {name} as of {as_of}, {timing['rows']:,} rows, every column:\n"
        f"  from the source {source:.2f} s (Spark JDBC, 2 connections), from Alluxio {store:.2f} s\n"
        "  so few rows are all overhead, and the source is idle and local: docs/benchmarks.md reads 6 million"
    )
