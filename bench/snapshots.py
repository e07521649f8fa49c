"""Copying a table out of the source: this project's snapshot against other ways, and against the limit."""

from __future__ import annotations

import os
import subprocess
import sys
import time
from collections.abc import Callable
from concurrent.futures import ThreadPoolExecutor
from dataclasses import dataclass
from datetime import UTC, datetime, timedelta
from pathlib import Path
from statistics import median
from typing import Any, Literal

from warehouse.fingerprints import ValidateMode
from warehouse.run_spec import IntervalSpec, RunSpec
from warehouse.snapshot_spec import SnapshotJob
from warehouse.source_spec import SourceSpec
from warehouse.spec_json import to_json
from warehouse.table_spec import ChecksSpec, ColumnSpec, HistorySpec, RetentionSpec, SplitSpec, TableSpec

from bench import lineitem
from bench.measure import alternate, ratio, seconds_and_spread
from bench.report import Section
from bench.stage import CONNECTIONS, Stage
from bench.submit import ROOT
from local_stack.class_data import ensure_class_data_archive
from local_stack.ports import LOOPBACK
from local_stack.postgres import program

Reader = Literal["auto", "jdbc"]
AS_OF = f"{datetime.now(UTC) - timedelta(days=1):%Y-%m-%d}"

OURS = "this project, into Alluxio, count compared in one state"
OURS_BY_COLUMNS = "the same, and every column (the default)"
OURS_BY_ROWS = "the same, and a hash of all rows"
OURS_BARE = "this project, count compared, without its class-data archive"
OURS_BY_JDBC = "this project, count compared, over JDBC (`reader: jdbc`; what a cluster's executors do)"
OURS_BY_JDBC_AND_COLUMNS = "this project, every column compared (the default), over JDBC"
JDBC_STORE = "Spark JDBC to Parquet on Alluxio"
JDBC_STORE_ARCHIVED = "Spark JDBC to Parquet on Alluxio, with this project's class-data archive"
JDBC_LOCAL = "Spark JDBC to Parquet on tmpfs"
CONNECTORX = "connectorx to Parquet on tmpfs"
LIMIT = "COPY (FORMAT binary) to nowhere"


@dataclass(frozen=True)
class Copied:
    """One copy of the table; megabytes of 10^6 bytes, memory in MiB; None where the side says nothing of it."""

    seconds: float
    peak_megabytes: float | None = None
    megabytes: float | None = None
    validate_seconds: float | None = None

    def __str__(self) -> str:
        return f"{self.seconds:.2f} s"


def snapshot_job(stage: Stage, table: str, attempt: int, validate: ValidateMode, reader: Reader) -> SnapshotJob:
    """What check would freeze for ``table`` of the source, with history ``current``."""
    now = datetime.now(UTC)
    day = timedelta(days=1)
    start = datetime.fromisoformat(f"{AS_OF}T00:00:00Z")
    connection = stage.source.connect(lineitem.DATABASE)
    with connection, connection.cursor() as cursor:
        cursor.execute(
            "SELECT attname, format_type(atttypid, atttypmod) FROM pg_attribute "
            "WHERE attrelid = %s::regclass AND attnum > 0 ORDER BY attnum",
            (table,),
        )
        columns = tuple(ColumnSpec(name, kind, nullable=False) for name, kind in cursor.fetchall())
    connection.close()
    spec = TableSpec(
        name=table,
        source_schema="public",
        source_table=table,
        columns=columns,
        history=HistorySpec("current", lateness_seconds=int((now - start + day).total_seconds())),
        split=SplitSpec(parts=CONNECTIONS),
        checks=ChecksSpec(min_rows=1),
        retention=RetentionSpec(keep=1),
        schedule="@daily",
        start=f"{AS_OF}T00:00:00Z",
        validate=validate,
    )
    run = RunSpec("bench", f"bench_{table}_{attempt}", 1)
    return SnapshotJob(
        run=run,
        store=stage.store,
        source=SourceSpec(
            name="bench",
            dialect="postgresql",
            url=stage.source.jdbc_url(lineitem.DATABASE),
            user=stage.source.owner,
            driver="org.postgresql.Driver",
            time_zone="UTC",
            reader=reader,
        ),
        interval=IntervalSpec(AS_OF, f"{AS_OF}T00:00:00Z", f"{start + day:%Y-%m-%dT%H:%M:%SZ}"),
        tables=(spec,),
        result_path=stage.store.run_path(run, "snapshot"),
    )


def jdbc_request(stage: Stage, table: str) -> dict[str, Any]:
    """What the plain JDBC sides need to know."""
    return {
        "url": stage.source.jdbc_url(lineitem.DATABASE),
        "user": stage.source.owner,
        "table": table,
        "connections": CONNECTIONS,
    }


def take_snapshot(
    stage: Stage,
    table: str,
    attempt: int,
    validate: ValidateMode = "count",
    *,
    archive: Path | None = None,
    reader: Reader = "auto",
) -> Copied:
    """One run of the project's own job code, in a spark-submit of its own."""
    request = {"side": "snapshot", "job": to_json(snapshot_job(stage, table, attempt, validate, reader))}
    conf = stage.spark.project_conf(class_data_archive=archive)
    done = stage.spark.run("spark_side.py", request, conf, password=stage.source.password)
    return Copied(**done.result)


def copy_by_jdbc(stage: Stage, table: str, path: str, *, archive: Path | None = None) -> Copied:
    """One run of plain Spark JDBC to Parquet, with the same JVM, codec and memory."""
    request = {"side": "jdbc_to_parquet", "path": path, **jdbc_request(stage, table)}
    conf = stage.spark.project_conf(class_data_archive=archive)
    done = stage.spark.run("spark_side.py", request, conf, password=stage.source.password)
    return Copied(**done.result)


def copy_by_connectorx(stage: Stage, table: str) -> Copied:
    """connectorx in a process of its own, to one Parquet file with the same codec."""
    url = f"postgresql://{stage.source.owner}@{LOOPBACK}:{stage.source.port}/{lineitem.DATABASE}"
    done = subprocess.run(
        [sys.executable, "-m", "bench.connectorx_side", url, table, str(CONNECTIONS), str(stage.local / "cx.parquet")],
        cwd=ROOT,
        env=os.environ | {"PGPASSWORD": stage.source.password},
        stdout=subprocess.PIPE,
        text=True,
        check=True,
    )
    seconds, peak = map(float, done.stdout.split())
    return Copied(seconds, peak)


def copy_to_nowhere(stage: Stage, table: str) -> Copied:
    """What the source can give at all: binary COPY of each part of the table, thrown away by psql."""
    pages = lineitem.pages(stage.source, table)
    bounds = [pages * part // CONNECTIONS for part in range(CONNECTIONS)]
    conditions = [
        f"ctid >= '({low},0)'" + (f" AND ctid < '({high},0)'" if high is not None else "")
        for low, high in zip(bounds, [*bounds[1:], None], strict=True)
    ]
    started = time.monotonic()
    with ThreadPoolExecutor(CONNECTIONS) as pool:
        list(pool.map(lambda condition: _psql_copy(stage, table, condition), conditions))
    return Copied(time.monotonic() - started)


def _psql_copy(stage: Stage, table: str, condition: str) -> None:
    statement = rf"\copy (SELECT * FROM {table} WHERE {condition}) TO '/dev/null' (FORMAT binary)"  # noqa: S608 - our own names
    environment = {
        "PGHOST": LOOPBACK,
        "PGPORT": str(stage.source.port),
        "PGUSER": stage.source.owner,
        "PGPASSWORD": stage.source.password,
    }
    command = [str(program("psql")), "-q", "-X", "-d", lineitem.DATABASE, "-c", statement]
    subprocess.run(command, env=environment, check=True, capture_output=True)


def measure(stage: Stage) -> list[Section]:
    """All sides at the scale, and this project's at a tenth of it for its memory."""
    attempts = iter(range(10**6))
    archive = ensure_class_data_archive()
    in_store = f"{stage.store.uri}/_bench/jdbc"
    sides: dict[str, Callable[[], Copied]] = {
        OURS: lambda: take_snapshot(stage, "lineitem", next(attempts), archive=archive),
        OURS_BY_COLUMNS: lambda: take_snapshot(stage, "lineitem", next(attempts), "columns", archive=archive),
        OURS_BY_ROWS: lambda: take_snapshot(stage, "lineitem", next(attempts), "rows", archive=archive),
        OURS_BARE: lambda: take_snapshot(stage, "lineitem", next(attempts)),
        OURS_BY_JDBC: lambda: take_snapshot(stage, "lineitem", next(attempts), archive=archive, reader="jdbc"),
        OURS_BY_JDBC_AND_COLUMNS: lambda: take_snapshot(
            stage, "lineitem", next(attempts), "columns", archive=archive, reader="jdbc"
        ),
        JDBC_STORE: lambda: copy_by_jdbc(stage, "lineitem", in_store),
        JDBC_STORE_ARCHIVED: lambda: copy_by_jdbc(stage, "lineitem", in_store, archive=archive),
        JDBC_LOCAL: lambda: copy_by_jdbc(stage, "lineitem", f"file://{stage.local}/jdbc"),
        CONNECTORX: lambda: copy_by_connectorx(stage, "lineitem"),
        LIMIT: lambda: copy_to_nowhere(stage, "lineitem"),
    }
    measured = alternate(sides, stage.options.runs)
    tenth = alternate(
        {
            OURS: lambda: take_snapshot(stage, "lineitem_tenth", next(attempts), archive=archive),
            JDBC_STORE: lambda: copy_by_jdbc(stage, "lineitem_tenth", f"{stage.store.uri}/_bench/tenth"),
        },
        stage.options.runs,
    )
    return [_times(measured), _memory(measured, tenth, stage.options.scale)]


def _times(measured: dict[str, list[Copied]]) -> Section:
    ours = [one.seconds for one in measured[OURS]]
    rows = []
    for name, copies in measured.items():
        seconds = [one.seconds for one in copies]
        rows.append((name, seconds_and_spread(seconds), ratio(ours, seconds)))
    validated = " / ".join(
        f"{median(one.validate_seconds or 0 for one in measured[side]):.2f}"
        for side in (OURS, OURS_BY_COLUMNS, OURS_BY_ROWS)
    )
    size = median(one.megabytes or 0 for one in measured[OURS])
    return Section(
        "Copying lineitem out of PostgreSQL",
        f"{CONNECTIONS} connections to the source for every side. The Spark sides are timed inside a new JVM each, "
        "from the first statement to the last file, with the same codec (zstd), fetch size (10,000) and memory. This "
        "project reads PostgreSQL by COPY where Spark's master is local, and over JDBC elsewhere: both are shown. "
        "Comparing columns or rows has the source read the table once more, for its own answer. Its "
        "operators start their jobs with a class-data archive, plain Spark comes without one: both are shown "
        f"both ways. This project's snapshot has {size:.0f} MB; validating and publishing it took another "
        f"{validated} s, by the three ways to compare.",
        ("side", "seconds", "this project takes"),
        tuple(rows),
    )


def _memory(full: dict[str, list[Copied]], tenth: dict[str, list[Copied]], scale: float) -> Section:
    def peak(copies: list[Copied]) -> str:
        return f"{max(one.peak_megabytes or 0 for one in copies):,.0f}"

    rows = [(name, peak(copies), peak(tenth[name]) if name in tenth else "") for name, copies in full.items()]
    return Section(
        "Peak memory of the copy",
        "Largest resident memory in MiB, of all runs: for Spark that of the JVM that is driver and executor in one, "
        "with a heap of 2 GiB at most, and of the driver's Python, which holds the rows where they come by COPY.",
        ("side", f"scale {scale:g}", f"scale {scale / 10:g}"),
        tuple(row for row in rows if row[0] != LIMIT),
    )
