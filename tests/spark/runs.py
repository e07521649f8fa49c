"""Jobs as Airflow would ask for them, run in the tests' session, and what the store then holds."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass, replace
from datetime import date, timedelta

from pyspark.sql import DataFrame, SparkSession
from warehouse.capture import snapshot_tables
from warehouse.iceberg_api import branch_head, load_existing_table, reference_names
from warehouse.iceberg_tables import quoted
from warehouse.jvm import jvm_of
from warehouse.publish import data_files
from warehouse.records import read_records
from warehouse.run_spec import IntervalSpec, RunSpec
from warehouse.snapshot_record import SnapshotRecord
from warehouse.snapshot_spec import SnapshotJob, SnapshotResult
from warehouse.spark_conf import spark_conf
from warehouse.store_spec import StoreSpec
from warehouse.table_spec import ChecksSpec, HistorySpec, RetentionSpec, SplitSpec, TableSpec
from warehouse.validate_spec import PublishedTable, ValidateJob, ValidateResult
from warehouse.validation import validate_snapshots

from tests.spark.databases import Database

DAG = "snapshot_tests"


def add_catalog(session: SparkSession, store: StoreSpec) -> dict[str, str]:
    """Give a session that is there already the catalog of a store; all properties that a job would have."""
    conf = spark_conf(store, scratch_dir="")
    for name, value in conf.items():
        if name.startswith(f"spark.sql.catalog.{store.catalog}"):
            session.conf.set(name, value)
    return conf


def interval(day: str, days: int = 1) -> IntervalSpec:
    end = date.fromisoformat(day) + timedelta(days=days)
    return IntervalSpec(day, f"{day}T00:00:00Z", f"{end}T00:00:00Z")


@dataclass(frozen=True)
class Runs:
    """One test's source and store."""

    session: SparkSession
    store: StoreSpec
    database: Database

    def events(self, days: Sequence[str], rows_per_day: int = 10) -> None:
        """Table ``events (id, at, amount)`` with so many rows on each day."""
        self.database.run("CREATE TABLE events (id bigint, at timestamptz NOT NULL, amount numeric(12,2), note text)")
        for number, day in enumerate(days):
            first = number * rows_per_day
            self.database.run(
                f"INSERT INTO events SELECT n, '{day} 00:00+00'::timestamptz + (n - {first}) * interval '1 minute', "
                f"n / 4.0, 'note ' || n FROM generate_series({first}, {first + rows_per_day - 1}) n"
            )

    def table(
        self,
        name: str = "events",
        *,
        mode: str = "interval",
        column: str | None = "at",
        split: SplitSpec | None = None,
        checks: ChecksSpec | None = None,
        retention: RetentionSpec | None = None,
        filter: str | None = None,  # noqa: A002 - the spec's name
        lateness_seconds: int | None = None,
        history: HistorySpec | None = None,
    ) -> TableSpec:
        """Spec of a source table with all of its columns; ``history`` is instead of ``mode`` and what belongs to it."""
        return TableSpec(
            name=name,
            source_schema=self.database.schema,
            source_table=name,
            columns=self.database.columns(name),
            history=history or HistorySpec(mode, column if mode == "interval" else None, lateness_seconds),  # type: ignore[arg-type]
            split=split or SplitSpec(2),
            checks=checks or ChecksSpec(),
            retention=retention or RetentionSpec(),
            schedule="@daily",
            start="2013-06-01T00:00:00Z",
            filter=filter,
        )

    def snapshot_job(self, tables: Sequence[TableSpec], day: str, *, run: str = "", attempt: int = 1) -> SnapshotJob:
        spec = RunSpec(DAG, run or f"run {day}", attempt)
        path = self.store.run_path(spec, "snapshot")
        return SnapshotJob(spec, self.store, self.database.source(), interval(day), tuple(tables), path)

    def snapshot(
        self,
        tables: Sequence[TableSpec],
        day: str,
        *,
        run: str = "",
        attempt: int = 1,
        consistency: str = "snapshot",
        reader: str = "auto",
    ) -> SnapshotResult:
        job = self.snapshot_job(tables, day, run=run, attempt=attempt)
        source = replace(job.source, consistency=consistency, reader=reader)  # type: ignore[arg-type]
        job = replace(job, source=source)
        return snapshot_tables(self.session, job)

    def validate_job(
        self,
        tables: Sequence[TableSpec],
        day: str,
        captured: SnapshotResult,
        *,
        run: str = "",
        attempt: int = 1,
        grace: int = 3600,
    ) -> ValidateJob:
        spec = RunSpec(DAG, run or f"run {day}", attempt)
        path = self.store.run_path(spec, "validate")
        return ValidateJob(
            spec, self.store, "tests", interval(day), tuple(tables), captured.captures, path, reader_grace_seconds=grace
        )

    def validate(
        self,
        tables: Sequence[TableSpec],
        day: str,
        captured: SnapshotResult,
        *,
        run: str = "",
        attempt: int = 1,
        grace: int = 3600,
    ) -> ValidateResult:
        job = self.validate_job(tables, day, captured, run=run, attempt=attempt, grace=grace)
        return validate_snapshots(self.session, job)

    def publish(self, table: TableSpec, day: str, *, run: str = "", grace: int = 3600) -> PublishedTable:
        """Both jobs for one table."""
        captured = self.snapshot([table], day, run=run)
        return self.validate([table], day, captured, run=run, grace=grace).published[0]

    def records(self, name: str = "events") -> dict[str, SnapshotRecord]:
        return read_records(self.session, self.store, name)

    def rows(self, name: str = "events", *, tag: str | None = None, snapshot: int | None = None) -> DataFrame:
        """Everything readable: ``main``, a tag, or one Iceberg snapshot."""
        reader = self.session.read
        if tag is not None or snapshot is not None:
            reader = reader.option("versionAsOf", tag or str(snapshot))
        return reader.table(quoted(self.store.identifier(name)))

    def ids(self, name: str = "events", *, tag: str | None = None, snapshot: int | None = None) -> list[int]:
        return sorted(row.id for row in self.rows(name, tag=tag, snapshot=snapshot).select("id").collect())

    def references(self, name: str = "events") -> set[str]:
        return set(reference_names(load_existing_table(self.session, self.store, name)))

    def branch(self, captured: SnapshotResult, name: str = "events") -> str:
        """Spark identifier of a run branch."""
        return f"{quoted(self.store.identifier(name))}.`branch_{captured.captures[0].branch}`"

    def files(self, name: str = "events") -> dict[str, bytes]:
        """Path → contents of every file of a table in the store."""
        return self._files(f"{self.store.uri}/{self.store.namespace}/{name}")

    def answers(self) -> dict[str, bytes]:
        """Path → contents of what the jobs of all tests so far left beside the tables: answers and fingerprints."""
        return self._files(f"{self.store.uri}/_runs")

    def _files(self, folder: str) -> dict[str, bytes]:
        jvm = jvm_of(self.session)
        root = jvm.org.apache.hadoop.fs.Path(folder)
        system = root.getFileSystem(self.session._jsc.hadoopConfiguration())
        found, listing = {}, system.listFiles(root, True)
        while listing.hasNext():
            path = listing.next().getPath()
            stream = system.open(path)
            try:
                found[str(path.toString())] = bytes(stream.readAllBytes())
            finally:
                stream.close()
        return found

    def data_files(self, name: str = "events") -> set[str]:
        """Names of the Parquet files in the store."""
        return {path.rpartition("/")[2] for path in self.files(name) if path.endswith(".parquet")}

    def live_files(self, name: str = "events", *references: str) -> set[str]:
        """Names of the Parquet files that some branch or tag refers to, of all where none is given."""
        table = load_existing_table(self.session, self.store, name)
        heads = {branch_head(table, reference) for reference in references or reference_names(table)}
        files = [file for head in heads if head for file in data_files(self.session, table, head, None)]
        return {str(file.location()).rpartition("/")[2] for file in files}
