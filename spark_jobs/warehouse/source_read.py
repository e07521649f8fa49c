"""The read seam: how a table is read in the held state, and its rows as Spark's JDBC source has them.

Another reader takes the place of :func:`read_table` and goes by the same :class:`SourceRead`: ``copy_write``,
``holder_read``.
"""

from __future__ import annotations

from dataclasses import dataclass, replace
from typing import TYPE_CHECKING

from pyspark.sql import functions as sf
from pyspark.sql.types import DataType, StructField, StructType

from warehouse.capture_failures import (
    IntervalNotExpressible,
    MissingColumn,
    MissingTable,
    NoPrivilege,
    StateNotHeld,
    UnsupportedColumn,
)
from warehouse.consistent_read import SourceState, connection_properties
from warehouse.dialects import DialectError
from warehouse.dialects.columns import capture_columns
from warehouse.dialects.dialect import Captured, all_of
from warehouse.history_sql import history_rows
from warehouse.mask_check import verify_masks
from warehouse.retention import AS_OF_COLUMN as AS_OF_COLUMN
from warehouse.run_spec import IntervalSpec
from warehouse.split_choice import divide
from warehouse.splits import SPLIT_KEY, Division
from warehouse.table_spec import ColumnSpec, TableSpec
from warehouse.vendor_errors import source_errors

if TYPE_CHECKING:
    from pyspark.sql import Column, DataFrame, SparkSession

SMALL_ROWS = 50_000
"""Estimated rows below which one connection is faster than several (a connection costs about 50 ms)."""


NOT_DIVIDED = Division("")
THROUGH_HOLDER = Division(", the one that holds the state")


@dataclass(frozen=True)
class SourceRead:
    """How one table is read, over how many connections by ``division``.

    ``through_holder``: no other connection can read the rows as they have to be read.
    ``captured``: for each of ``columns`` how it is read. ``where_sql``: the table's filter and interval, in the
    source's SQL.
    """

    table: TableSpec
    relation: str
    columns: tuple[ColumnSpec, ...]
    captured: tuple[Captured, ...]
    where_sql: str | None
    division: Division
    estimated_rows: int | None
    estimated_bytes: int | None
    through_holder: bool = False

    @property
    def connections(self) -> int:
        """Connections at once: Spark runs one task for each condition."""
        return max(1, len(self.division.conditions))

    @property
    def row_bytes(self) -> float | None:
        """Estimated bytes of a row in the source."""
        return self.estimated_bytes / self.estimated_rows if self.estimated_bytes and self.estimated_rows else None

    @property
    def schema(self) -> StructType:
        """The columns as they are stored: names of the source, every one nullable."""
        return StructType(
            [
                StructField(column.name, DataType.fromDDL(captured.kind.spark_type))
                for column, captured in zip(self.columns, self.captured, strict=True)
            ]
        )

    @property
    def expressions(self) -> dict[str, str]:
        """Alias → SQL expression, in the order of ``columns``.

        The aliases are our own, so that a name with quotes or dots needs quoting in one place only.
        """
        return {f"c{index}": captured.sql for index, captured in enumerate(self.captured)}


def plan_read(state: SourceState, table: TableSpec, interval: IntervalSpec) -> SourceRead:
    """Look the table up in the held state and decide how to read it; no row is read.

    :raises JobError: missing table or column, no privilege, a type that cannot be captured, an impossible split.
    """
    dialect = state.dialect
    columns = _columns_in_source(state, table)
    by_name = {column.name: column for column in columns}
    try:
        asked = history_rows(
            dialect,
            table.source_schema,
            table.source_table,
            history=table.history,
            interval=interval,
            columns=by_name,
            time_zone=state.source.time_zone,
        )
    except DialectError as error:
        raise IntervalNotExpressible(table.name, str(error)) from error
    relation = asked.relation
    if state.snapshot is not None and table.history.mode != "time_travel":
        relation = dialect.in_state(relation, state.snapshot)
    where_sql = all_of(table.filter, asked.condition)
    wanted = tuple(replace(by_name[column.name], as_kind=column.as_kind, mask=column.mask) for column in table.columns)
    captured = capture_columns(dialect, table.name, wanted)
    verify_masks(state, table)
    read = SourceRead(table, relation, wanted, captured, where_sql, NOT_DIVIDED, None, None)
    estimate = dialect.estimate_sql(dialect.select(read.expressions, relation, where_sql))
    if estimate is not None:
        rows, width = dialect.read_estimate(state.value(estimate, table.name) or "")
        if not width and (row_bytes := dialect.row_bytes_sql(table.source_schema, table.source_table)) is not None:
            width = int(state.value(row_bytes, table.name) or 0)
        read = replace(read, estimated_rows=rows, estimated_bytes=rows * width)
    if not state.one_connection:
        read = replace(read, division=divide(state, read, by_name, small_rows=SMALL_ROWS))
    else:
        _refuse_unheld(state, table)
        if table.history.mode == "time_travel":
            # A past instant is the same for every connection.
            read = replace(read, division=divide(state, read, by_name, small_rows=SMALL_ROWS))
        if read.connections == 1:
            read = replace(read, division=THROUGH_HOLDER, through_holder=True)
    print(f"{table.name}: {read.connections} connection{'s'[: read.connections > 1]}{read.division.why}", flush=True)
    return read


def _refuse_unheld(state: SourceState, table: TableSpec) -> None:
    refusal = state.dialect.state_refusal_sql(table.source_schema, table.source_table)
    if refusal is not None and (reason := state.value(refusal, table.name)) is not None:
        raise StateNotHeld(table.name, reason)


def read_table(session: SparkSession, state: SourceState, read: SourceRead) -> DataFrame:
    """The table's rows in the held state, with the schema ``read.schema``; nothing is read yet.

    :raises JobError: the source refused the probe of the schema.
    """
    source, dialect = state.source, state.dialect
    columns = read.expressions
    if read.division.expression is not None:
        columns[SPLIT_KEY] = read.division.expression
    query = dialect.select(columns, read.relation, read.where_sql)
    properties = {
        **connection_properties(source, dialect, state.keys.values()),
        "driver": source.driver,
        # Without a fetch size the driver leaves autocommit on: it would ignore the imported snapshot in silence and
        # hold the whole split in memory.
        "fetchsize": str(source.fetch_size),
        # What arrives is decided by the dialect, not guessed from what the driver says of an expression.
        "customSchema": ", ".join(
            f"{alias} {_travelling_type(captured)}"
            for alias, captured in zip(read.expressions, read.captured, strict=True)
        ),
        # Rows are counted as they are in the source: nothing else may be pushed down or away.
        "pushDownPredicate": "false",
    }
    imports = dialect.import_statements(state.snapshot) if state.snapshot is not None else ()
    if statements := [*dialect.session_settings, *imports]:
        properties["sessionInitStatement"] = "; ".join(statements)
    conditions = list(read.division.conditions) or ["1 = 1"]
    with source_errors(source.name, source.user, read.table.name):
        frame = session.read.jdbc(source.url, f"({query}) source_rows", predicates=conditions, properties=properties)
    return frame.select(
        *(
            _decoded(frame[alias], captured).alias(column.name)
            for alias, column, captured in zip(read.expressions, read.columns, read.captured, strict=True)
        )
    )


def _travelling_type(captured: Captured) -> str:
    return {"plain": captured.kind.spark_type, "epoch_days": "int", "epoch_micros": "bigint"}[captured.encoding]


def _decoded(column: Column, captured: Captured) -> Column:
    """The value of ``captured.kind`` from what travelled. The session's time zone is UTC."""
    if captured.encoding == "epoch_days":
        column = sf.date_from_unix_date(column)
    elif captured.encoding == "epoch_micros":
        column = sf.timestamp_micros(column)
    return column.cast(captured.kind.spark_type)


def _columns_in_source(state: SourceState, table: TableSpec) -> tuple[ColumnSpec, ...]:
    rows = state.columns(table)
    if not rows:
        raise MissingTable(table.name, table.source_name, state.source.name)
    found = {name: (type_name, nullable, readable) for name, type_name, nullable, readable in rows if name is not None}
    wanted = [column.name for column in table.columns]
    wanted += [*table.history.columns, *([table.split.column] if table.split.column is not None else [])]
    if missing := tuple(dict.fromkeys(name for name in wanted if name not in found)):
        raise MissingColumn(table.name, table.source_name, missing, tuple(found))
    if any(found[name][2] != "true" for name in wanted):
        raise NoPrivilege(table.name, table.source_name, state.source.user)
    seen: set[str] = set()
    for column in table.columns:
        type_name = found[column.name][0] or ""
        # Spark does not tell upper from lower case.
        if column.name.lower() in seen:
            raise UnsupportedColumn(table.name, column.name, type_name, "differs from another one in case only")
        if column.name.lower() == AS_OF_COLUMN:
            raise UnsupportedColumn(table.name, column.name, type_name, "has the name of the store's label column")
        seen.add(column.name.lower())
    return tuple(ColumnSpec(name, kind or "", nullable == "true") for name, (kind, nullable, _) in found.items())
