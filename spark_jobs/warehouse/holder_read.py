"""Rows through the holder's own connection: for engines whose state no other connection can read.

Spark opens connections of its own, so its JDBC source is no way here. Instead the driver's JVM streams the holder's
result set, row by row and by Spark's own getters, into one Parquet file of the run branch: neither Python nor the heap
sees more than the file's current row group and one fetch of rows.
"""

from __future__ import annotations

from contextlib import suppress
from typing import TYPE_CHECKING, Any

from py4j.protocol import Py4JError
from pyspark.sql.types import DataType, IntegerType, LongType, StringType, StructField, StructType

from warehouse.branch_schema import replace_on_branch, uncommitted_table
from warehouse.consistent_read import SourceState
from warehouse.iceberg_api import load_existing_table
from warehouse.iceberg_tables import Written
from warehouse.jvm import jvm_of, scala_object
from warehouse.progress import Work, progress_of
from warehouse.source_read import AS_OF_COLUMN, SourceRead
from warehouse.vendor_errors import source_errors, store_errors

if TYPE_CHECKING:
    from pyspark.sql import SparkSession

    from warehouse.snapshot_spec import SnapshotJob


def write_from_holder(
    session: SparkSession, job: SnapshotJob, state: SourceState, read: SourceRead, schema_id: int
) -> Written:
    """Read the table through the holder and write it to the run branch, as ``write_run_branch`` does with a frame.

    :param schema_id: the Iceberg schema to write in.
    :raises JobError: the source ended the connection, or the store refused the file.
    """
    store, as_of = job.store, job.interval.as_of
    name, source = read.table.name, state.source
    table = load_existing_table(session, store, name)
    schema = table.schemas().get(schema_id)
    stored = [str(field.name()) for field in schema.columns()]
    sql, travelling = _statement(state, read, stored, as_of)
    metrics = jvm_of(session).org.apache.spark.executor.InputMetrics()
    with (
        store_errors(store.uri, name),
        source_errors(source.name, source.user, name),
        state.stream(sql) as answer,
        progress_of(name, lambda: Work(0, 1, int(metrics.recordsRead())), read.row_bytes),
    ):
        own = uncommitted_table(session, table, schema_id, job.run.branch)
        file = _write_file(session, own, schema, _internal_rows(session, state, answer, travelling, metrics), as_of)
    rows = int(file.recordCount())

    try:
        with store_errors(store.uri, name):
            head = replace_on_branch(
                session,
                store,
                job.run.branch,
                name,
                files=[file] if rows else [],
                schema_id=schema_id,
                as_of=as_of if AS_OF_COLUMN in stored else None,
            )
    finally:
        if not rows:
            table.io().deleteFile(file.location())
    return Written(head, rows, int(file.fileSizeInBytes()) if rows else 0)


def _statement(state: SourceState, read: SourceRead, stored: list[str], as_of: str) -> tuple[str, StructType]:
    """The rows in the order of the stored columns, and the types in which the driver is to hand them out.

    Dates and timestamps travel as the whole numbers that Spark's rows hold for them: only the type's name differs.
    """
    travelling: dict[str, DataType] = {"epoch_days": IntegerType(), "epoch_micros": LongType()}
    columns = {column.name: captured for column, captured in zip(read.columns, read.captured, strict=True)}
    expressions, fields = {}, []
    for index, name in enumerate(stored):
        if name == AS_OF_COLUMN:
            sql = state.dialect.literal(as_of)
            type_: DataType = StringType()
        else:
            captured = columns[name]
            sql = captured.sql
            type_ = travelling.get(captured.encoding) or DataType.fromDDL(captured.kind.spark_type)
        expressions[f"c{index}"] = sql
        fields.append(StructField(f"c{index}", type_))
    return state.dialect.select(expressions, read.relation, read.where_sql), StructType(fields)


def _internal_rows(session: SparkSession, state: SourceState, answer: Any, travelling: StructType, metrics: Any) -> Any:
    """A Java ``Iterable`` over the result set as Spark's internal rows; it can be walked once.

    The row is one object that changes, so that it must be written before the next is asked for.
    """
    jvm = jvm_of(session)
    utils = scala_object(session, "org.apache.spark.sql.execution.datasources.jdbc.JdbcUtils")
    schema = session._jsparkSession.parseDataType(travelling.json())
    spark_dialect = jvm.org.apache.spark.sql.jdbc.JdbcDialects.get(state.source.url)
    rows = utils.resultSetToSparkInternalRows(answer, spark_dialect, schema, metrics, jvm.scala.Option.empty())
    iterator = jvm.scala.jdk.javaapi.CollectionConverters.asJava(rows)
    # Iceberg's writer takes an Iterable, of which the JDK has none over a given iterator.
    classes = jvm.java.lang.Class
    handle = jvm.java.lang.invoke.MethodHandles.constant(classes.forName("java.util.Iterator"), iterator)
    return jvm.java.lang.invoke.MethodHandleProxies.asInterfaceInstance(classes.forName("java.lang.Iterable"), handle)


def _write_file(session: SparkSession, table: Any, schema: Any, rows: Any, as_of: str) -> Any:
    """One data file with all rows, not yet committed; nothing stays of it when the write fails."""
    iceberg = jvm_of(session).org.apache.iceberg
    parquet, spec = iceberg.FileFormat.PARQUET, table.spec()
    partition = iceberg.PartitionKey(spec, schema) if spec.isPartitioned() else None
    if partition is not None:
        partition.set(0, as_of)
    files = iceberg.io.OutputFileFactory.builderFor(table, 0, 0).format(parquet).build()
    output = files.newOutputFile(spec, partition) if partition is not None else files.newOutputFile()
    row_class = jvm_of(session).java.lang.Class.forName("org.apache.spark.sql.catalyst.InternalRow")
    writer = (
        iceberg.formats.FormatModelRegistry.dataWriteBuilder(parquet, row_class, output)
        .schema(schema)
        .engineSchema(iceberg.spark.SparkSchemaUtil.convert(schema))
        .setAll(table.properties())
        .metricsConfig(iceberg.MetricsConfig.forTable(table))
        .spec(spec)
        .partition(partition)
        .overwrite()
        .build()
    )
    try:
        writer.write(rows)
        writer.close()
        return writer.toDataFile()
    except BaseException:
        with suppress(Py4JError):
            writer.close()
        with suppress(Py4JError):
            table.io().deleteFile(output.encryptingOutputFile().location())
        raise
