"""PostgreSQL's rows onto a run branch without becoming rows of the JVM: the fast way of a snapshot.

One thread for each connection reads Arrow batches (``copy_read``) and writes Parquet files into the job's scratch,
which is in memory (``copy_files``); the driver's JVM puts each complete file into the store, and one commit takes them
all onto the run branch. All of it happens in the driver, so it is the way of local masters: on a cluster Spark's
executors read over JDBC.
"""

from __future__ import annotations

import os
import tempfile
from collections.abc import Callable, Sequence
from concurrent.futures import FIRST_EXCEPTION, Future, ThreadPoolExecutor, wait
from contextlib import suppress
from dataclasses import dataclass
from pathlib import Path
from threading import Event, Lock
from typing import TYPE_CHECKING, Any

import pyarrow as pa
from py4j.protocol import Py4JError

from warehouse.branch_schema import replace_on_branch, uncommitted_table
from warehouse.consistent_read import SourceState, connection_properties
from warehouse.copy_connection import connection_uri
from warehouse.copy_files import Compression, ParquetFile, parquet_files, stored_field
from warehouse.copy_read import Split, SplitReader, arrow_type, decoded, sent_sql
from warehouse.iceberg_api import load_existing_table, properties_of
from warehouse.iceberg_tables import Written
from warehouse.jvm import java_array, jvm_of
from warehouse.progress import Work, progress_of
from warehouse.side_by_side import Cancelled
from warehouse.source_read import AS_OF_COLUMN, SourceRead
from warehouse.splits import SPLIT_KEY
from warehouse.vendor_errors import store_errors

if TYPE_CHECKING:
    from pyspark.sql import SparkSession

    from warehouse.snapshot_spec import SnapshotJob


POLL_SECONDS = 0.5
"""Within which it is noticed that the reading is cancelled, or that the JVM is gone."""


@dataclass(frozen=True)
class _Column:
    """A stored column; ``sql`` is what the server sends for it, None for the label."""

    field: pa.Field
    sql: str | None


def write_by_copy(
    session: SparkSession,
    job: SnapshotJob,
    state: SourceState,
    read: SourceRead,
    schema_id: int,
    *,
    cancelled: Event | None = None,
) -> Written:
    """Read the table in the held state and write it to the run branch, as ``write_run_branch`` does with a frame.

    :param schema_id: the Iceberg schema to write in.
    :param cancelled: ends the reading soon where another thread sets it.
    :raises JobError: the source refused or is gone, or the store did not take a file; nothing is left of the files.
    """
    name, source, label = read.table.name, state.source, job.interval.as_of
    table = load_existing_table(session, job.store, name)
    columns = _columns(table.schemas().get(schema_id), read)
    schema = pa.schema([column.field for column in columns])
    compression = _compression(session, table)
    files = _StoredFiles(session, uncommitted_table(session, table, schema_id, job.run.branch), schema_id, label)
    readers = [
        SplitReader(split, source=source.name, user=source.user, table=name) for split in _splits(state, read, columns)
    ]
    rows, ended = [0] * len(readers), [False] * len(readers)

    def copy(index: int) -> None:
        def stored() -> Any:
            for batch in readers[index].batches():
                rows[index] += batch.num_rows
                yield _as_stored(batch, columns, label)

        with tempfile.TemporaryDirectory(prefix="copy-", dir=_scratch(session)) as folder:
            for file in parquet_files(stored(), schema, Path(folder), compression):
                with store_errors(job.store.uri, name):
                    files.take(file)
        ended[index] = True

    try:
        with progress_of(name, lambda: Work(sum(ended), len(ended), sum(rows)), read.row_bytes):
            # As many at once as Spark would run tasks: who gave the job two cores wants no more of the source.
            at_once = int(session.sparkContext.defaultParallelism)
            _run_all(copy, readers, at_once=at_once, cancelled=cancelled or Event())
        with store_errors(job.store.uri, name):
            head = replace_on_branch(
                session,
                job.store,
                job.run.branch,
                name,
                files=files.added,
                schema_id=schema_id,
                as_of=label if any(column.sql is None for column in columns) else None,
            )
    except BaseException:
        files.remove()
        raise
    return Written(head, sum(rows), files.bytes)


def _columns(schema: Any, read: SourceRead) -> list[_Column]:
    captured = {column.name: one for column, one in zip(read.columns, read.captured, strict=True)}
    columns = []
    for field in schema.columns():
        name, field_id = str(field.name()), int(field.fieldId())
        if name == AS_OF_COLUMN:
            columns.append(_Column(stored_field(name, pa.string(), field_id), None))
        else:
            one = captured[name]
            columns.append(_Column(stored_field(name, arrow_type(one.kind), field_id), sent_sql(one)))
    return columns


def _compression(session: SparkSession, table: Any) -> Compression:
    """What Iceberg's own writer would take, by the session's settings and the table's."""
    of_session = jvm_of(session).org.apache.iceberg.spark.SparkWriteConf(session._jsparkSession, table)
    properties = properties_of(table) | dict(of_session.writeProperties())
    level = properties.get("write.parquet.compression-level")
    return Compression(
        properties.get("write.parquet.compression-codec", "zstd").lower(), None if level is None else int(level)
    )


def _splits(state: SourceState, read: SourceRead, columns: Sequence[_Column]) -> list[Split]:
    dialect, division = state.dialect, read.division
    uri = connection_uri(state.source.url, connection_properties(state.source, dialect, state.keys.values()))
    statements = list(dialect.session_settings)
    if state.snapshot is not None:
        statements += ["BEGIN", *dialect.import_statements(state.snapshot)]
    sent = {f"c{index}": column.sql for index, column in enumerate(columns) if column.sql is not None}
    inner = sent if division.expression is None else {**sent, SPLIT_KEY: division.expression}
    query = dialect.select(inner, read.relation, read.where_sql)
    aliases = {alias: dialect.quote(alias) for alias in sent}
    return [
        Split(uri, tuple(statements), dialect.select(aliases, f"({query}) source_rows", condition))
        for condition in (division.conditions or [None])
    ]


def _as_stored(batch: pa.RecordBatch, columns: Sequence[_Column], label: str) -> list[pa.Array]:
    sent = iter(decoded(batch, [column.field.type for column in columns if column.sql is not None]))
    return [pa.repeat(label, batch.num_rows) if column.sql is None else next(sent) for column in columns]


def _scratch(session: SparkSession) -> str:
    """The JVM's folder for temporary files, which was probed: Python runs on the same host."""
    return str(jvm_of(session).java.lang.System.getProperty("java.io.tmpdir"))


def _run_all(copy: Callable[[int], None], readers: Sequence[SplitReader], *, at_once: int, cancelled: Event) -> None:
    """``copy`` of every reader's number; where one fails the others are ended, and its failure is raised.

    :raises Cancelled: all were ended, since ``cancelled`` was set.
    :raises ConnectionError: the JVM that started this Python has ended: nobody would take the files any more.
    """
    parent = os.getppid()
    with ThreadPoolExecutor(max_workers=min(len(readers), at_once), thread_name_prefix="copy") as threads:
        running = [threads.submit(copy, index) for index in range(len(readers))]
        try:
            while wait(running, timeout=POLL_SECONDS, return_when=FIRST_EXCEPTION).not_done:
                if failures := _failures(running):
                    raise failures[0]
                if cancelled.is_set():
                    raise Cancelled
                if os.getppid() != parent:
                    raise ConnectionError("the JVM of this job has ended")
            if failures := _failures(running):
                raise failures[0]
        finally:
            _end(running, readers)


def _end(running: Sequence[Future[None]], readers: Sequence[SplitReader]) -> None:
    """Return when no reader runs any more. One that waits in the source, for a lock say, may do so for ever, and the
    server passes over what is cancelled between two statements: so each is asked until it has ended."""
    for one in running:
        one.cancel()
    while left := [(one, reader) for one, reader in zip(running, readers, strict=True) if not one.done()]:
        for _, reader in left:
            reader.cancel()
        wait([one for one, _ in left], timeout=POLL_SECONDS)


def _failures(running: Sequence[Future[None]]) -> list[BaseException]:
    return [error for one in running if one.done() and (error := one.exception()) is not None]


class _StoredFiles:
    """Data files of one table in the store that no snapshot refers to yet; safe from several threads."""

    def __init__(self, session: SparkSession, table: Any, schema_id: int, label: str) -> None:
        self._session, self._table = session, table
        iceberg = jvm_of(session).org.apache.iceberg
        spec = table.spec()
        self._partition = None
        if spec.isPartitioned():
            self._partition = iceberg.PartitionKey(spec, table.schemas().get(schema_id))
            self._partition.set(0, label)
        self._factory = iceberg.io.OutputFileFactory.builderFor(table, 0, 0).format(iceberg.FileFormat.PARQUET).build()
        self._lock = Lock()
        self._locations: list[str] = []
        self.added: list[Any] = []
        """``org.apache.iceberg.DataFile`` of each."""
        self.bytes = 0

    def take(self, file: ParquetFile) -> None:
        """Move a file into the store."""
        jvm, size = jvm_of(self._session), file.path.stat().st_size
        with self._lock:
            output = (
                self._factory.newOutputFile(self._table.spec(), self._partition)
                if self._partition is not None
                else self._factory.newOutputFile()
            )
            location = str(output.encryptingOutputFile().location())
            self._locations.append(location)
        target = jvm.org.apache.hadoop.fs.Path(location)
        system = target.getFileSystem(self._session._jsc.hadoopConfiguration())
        system.copyFromLocalFile(True, True, jvm.org.apache.hadoop.fs.Path(file.path.as_uri()), target)
        added = self._described(location, size, file)
        with self._lock:
            self.added.append(added)
            self.bytes += size

    def remove(self) -> None:
        """Delete all of them, as far as the store still answers."""
        for location in self._locations:
            with suppress(Py4JError):
                self._table.io().deleteFile(location)

    def _described(self, location: str, size: int, file: ParquetFile) -> Any:
        jvm = jvm_of(self._session)
        iceberg = jvm.org.apache.iceberg
        metrics = iceberg.parquet.ParquetUtil.fileMetrics(
            self._table.io().newInputFile(location), iceberg.MetricsConfig.forTable(self._table)
        )
        begins = java_array(self._session, jvm.long, len(file.row_groups))
        for index, begin in enumerate(file.row_groups):
            begins[index] = begin
        builder = (
            iceberg.DataFiles.builder(self._table.spec())
            .withPath(location)
            .withFormat(iceberg.FileFormat.PARQUET)
            .withFileSizeInBytes(size)
            .withMetrics(metrics)
            .withSplitOffsets(jvm.java.util.Arrays.stream(begins).boxed().toList())
        )
        return (builder if self._partition is None else builder.withPartition(self._partition)).build()
