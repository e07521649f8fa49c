"""How rows come onto a run branch: data files in a folder of the try, in an Iceberg schema beside the current one.

Spark writes a table's current schema only, and shows it to everyone. A capture with other columns must change nothing
for readers before it is published, nor for runs of other dates beside it. So its schema is added to the table's
metadata without being made current; its data files are written through a transaction that is never committed; and one
commit puts them onto the run branch, in an Iceberg snapshot of that schema, with which it is read ever after.
Publishing makes the schema current where ``main`` then needs it.

The transaction has a setting that the table has not: the folder of its data files, named as the run branch. So each
file says whose it is from its first byte on, whatever becomes of the driver that writes it (see ``leftovers``).
"""

from __future__ import annotations

import json
from contextlib import suppress
from typing import TYPE_CHECKING, Any

from py4j.protocol import Py4JJavaError
from pyspark.sql.types import StructType

from warehouse.iceberg_api import MAIN, branch_head, commit_with_retries, load_existing_table
from warehouse.jvm import jvm_of
from warehouse.kinds import Kind, kind_stored_as
from warehouse.records import records_of
from warehouse.schema_failures import ColumnsMoved
from warehouse.sensitive_columns import metrics_of_gone_columns
from warehouse.source_read import AS_OF_COLUMN
from warehouse.store_failures import BranchGone
from warehouse.store_spec import StoreSpec

if TYPE_CHECKING:
    from pyspark.sql import DataFrame, SparkSession


OWNER = "warehouse.owner"
"""Of the summary of a whole state's Iceberg snapshot: name of the folder in which all of its data files are."""


def kinds_of(session: SparkSession, schema: Any) -> dict[str, Kind]:
    """Kinds of the columns of an ``org.apache.iceberg.Schema`` by name, in its order; without the label."""
    converted = jvm_of(session).org.apache.iceberg.spark.SparkSchemaUtil.convert(schema)
    fields = StructType.fromJson(json.loads(converted.json())).fields
    return {field.name: kind_stored_as(field.dataType.simpleString()) for field in fields if field.name != AS_OF_COLUMN}


def add_schema(session: SparkSession, store: StoreSpec, table_name: str, wanted: StructType) -> int:
    """Add a schema with the columns ``wanted``, and the label if the table has it; returns its id.

    A column keeps its id where its type stays or widens, also if only another run's schema has it yet: both runs'
    files then agree. Any other is a new column, whatever had its name before.
    """

    def change() -> int:
        table = load_existing_table(session, store, table_name)
        base = table.operations().current()
        schema = _with_ids(session, table, base, wanted)
        changed = jvm_of(session).org.apache.iceberg.TableMetadata.buildFrom(base).addSchema(schema).build()
        if len(changed.schemas()) != len(base.schemas()):
            table.operations().commit(base, changed)
        return next(int(one.schemaId()) for one in changed.schemas() if one.sameSchema(schema))

    return commit_with_retries(change)


def data_folder(table: Any) -> str:
    """URI of the folder with the data files of a loaded table."""
    return f"{table.location()}/data"


def uncommitted_table(session: SparkSession, table: Any, schema_id: int, owner: str) -> Any:
    """A loaded table as a writer is to see it: in one of its schemas, its data files in a folder named ``owner``."""
    schema = table.schemas().get(schema_id)
    transaction = begin(session, table, schema)
    # Else an append would read what lists the files of ``main``, which may be lost.
    set_reference(session, transaction, MAIN, None)
    properties = transaction.updateProperties().set("write.data.path", f"{data_folder(table)}/{owner}")
    for name in metrics_of_gone_columns(table.properties(), [field.name() for field in schema.columns()]):
        properties.remove(name)
    properties.commit()
    return transaction.table()


def write_files(session: SparkSession, table: Any, schema_id: int, frame: DataFrame, owner: str) -> list[Any]:
    """Write ``frame`` in a schema of a loaded table as data files of ``owner`` that nothing refers to yet."""
    jvm = jvm_of(session)
    uncommitted = uncommitted_table(session, table, schema_id, owner)
    # What DataFrameWriterV2.append() does, for a table that no catalog has.
    none = jvm.scala.Option.empty()
    relation = jvm.org.apache.spark.sql.execution.datasources.v2.DataSourceV2Relation.create(
        jvm.org.apache.iceberg.spark.source.SparkTable(uncommitted), none, none
    )
    options = jvm.org.apache.spark.api.python.PythonUtils.toScalaMap({})
    append = jvm.org.apache.spark.sql.catalyst.plans.logical.AppendData.byName(
        relation, frame._jdf.queryExecution().analyzed(), options
    )
    jvm.org.apache.spark.sql.classic.Dataset.ofRows(session._jsparkSession, append)
    written = uncommitted.currentSnapshot()
    if written is None:
        return []
    changes = jvm.org.apache.iceberg.SnapshotChanges.builderFor(uncommitted).snapshot(written).build()
    files = list(changes.addedDataFiles())
    # The transaction's own manifests are of no more use, and would stay in memory.
    for manifest in written.allManifests(uncommitted.io()):
        uncommitted.io().deleteFile(manifest.path())
    uncommitted.io().deleteFile(written.manifestListLocation())
    return files


def replace_on_branch(
    session: SparkSession,
    store: StoreSpec,
    branch: str,
    table_name: str,
    *,
    files: list[Any],
    schema_id: int,
    as_of: str | None,
) -> int:
    """Put data files of the schema ``schema_id`` onto ``branch``: instead of the interval ``as_of``, or of all rows.

    :returns: id of the Iceberg snapshot at which the branch then stands.
    :raises BranchGone: a later try of the run replaced the branch; then the files are gone, too.
    """
    expressions = jvm_of(session).org.apache.iceberg.expressions.Expressions

    def change() -> int:
        table = load_existing_table(session, store, table_name)
        if branch_head(table, branch) is None:
            raise BranchGone(table_name, branch)
        base = table.operations().current()
        transaction = begin(session, table, table.schemas().get(schema_id))
        if as_of is None:
            _put_state(session, transaction, branch, files)
        else:
            overwrite = transaction.newOverwrite().toBranch(branch)
            overwrite.overwriteByRowFilter(expressions.equal(AS_OF_COLUMN, as_of))
            for file in files:
                overwrite.addFile(file)
            overwrite.commit()
        head = int(transaction.table().refs().get(branch).snapshotId())
        end(session, table, base, transaction, base.schema())
        return head

    try:
        return commit_with_retries(change)
    except BranchGone:
        # Who removed the branch may have looked for files before these were there.
        file_io = load_existing_table(session, store, table_name).io()
        for file in files:
            file_io.deleteFile(file.location())
        raise


def _put_state(session: SparkSession, transaction: Any, branch: str, files: list[Any]) -> None:
    """Within ``transaction`` a snapshot of these files on ``branch``, made from no other one.

    A whole state needs nothing of another, and what lists the files of that may be lost. Iceberg takes the head of the
    branch for the parent of a new snapshot, or else that of ``main``: so both are away while it is made.
    """
    main = transaction.table().refs().get(MAIN)
    for name in (branch, MAIN):
        set_reference(session, transaction, name, None)
    append = transaction.newFastAppend().toBranch(branch).set(OWNER, branch)
    for file in files:
        append.appendFile(file)
    append.commit()
    if main is not None:
        set_reference(session, transaction, MAIN, main)


def schema_to_publish(session: SparkSession, table: Any, name: str, schema_id: int, *, is_interval: bool) -> Any | None:
    """The schema that a loaded table needs for ``main`` to show what was written in ``schema_id``; None: the current.

    That of an interval table has all columns of its intervals.

    :raises ColumnsMoved: another run published another column under the name of one of an interval table.
    """
    current, written = table.schema(), table.schemas().get(schema_id)
    if written.schemaId() == current.schemaId():
        return None
    if not is_interval or not records_of(table):
        return written
    # By the name as Spark compares it.
    fields = {field.name().lower(): field for field in current.columns()}
    for field in written.columns():
        known = fields.setdefault(field.name().lower(), field)
        if known.fieldId() != field.fieldId() or known.name() != field.name():
            raise ColumnsMoved(name, field.name())
        if _widens(session, known.type(), field.type()):
            fields[field.name().lower()] = field
        elif not _widens(session, field.type(), known.type()):
            raise ColumnsMoved(name, field.name())
    merged = jvm_of(session).org.apache.iceberg.Schema(list(fields.values()))
    return None if merged.sameSchema(current) else merged


def begin(session: SparkSession, table: Any, schema: Any) -> Any:
    """A transaction of ``table`` in which ``schema`` is the current one; finish it with :func:`end`."""
    transaction = table.newTransaction()
    use_schema(session, transaction, schema)
    return transaction


def use_schema(session: SparkSession, transaction: Any, schema: Any) -> None:
    """Make ``schema`` the current one within a transaction of :func:`begin`: that of the snapshots it makes next."""
    operations = transaction.table().operations()
    current = operations.current()
    operations.commit(current, _with_current(session, current, schema))


def set_reference(session: SparkSession, transaction: Any, name: str, reference: Any | None) -> None:
    """Within ``transaction`` let a branch or tag be ``reference``, an ``org.apache.iceberg.SnapshotRef``, or not be.

    Iceberg's own ``manageSnapshots`` never lets ``main`` go.
    """
    operations = transaction.table().operations()
    current = operations.current()
    builder = jvm_of(session).org.apache.iceberg.TableMetadata.buildFrom(current)
    changed = builder.removeRef(name) if reference is None else builder.setRef(name, reference)
    operations.commit(current, changed.build())


def end(session: SparkSession, table: Any, base: Any, transaction: Any, schema: Any) -> None:
    """Commit what ``transaction`` holds, with ``schema`` as the table's current one, if it still stands at ``base``.

    Not by ``commitTransaction``: where another writer was faster, that replays its updates, but not the schema. This
    fails with ``CommitFailedException`` then.
    """
    staged = transaction.table().operations().current()
    try:
        table.operations().commit(base, _with_current(session, staged, schema))
    except Py4JJavaError:
        with suppress(Py4JJavaError):  # the commit's own failure is the one to tell
            _discard(table, base, staged)
        raise


def _discard(table: Any, base: Any, staged: Any) -> None:
    """Delete the manifests of snapshots that could not be committed, as Iceberg does for its own transactions.

    Only where another writer has taken the place after ``base``: else the commit failed in some other way, and may yet
    turn out to have been made.
    """
    current, file_io = table.operations().refresh(), table.io()
    if current.metadataFileLocation() == base.metadataFileLocation():
        return
    for snapshot in staged.snapshots():
        snapshot_id = snapshot.snapshotId()
        if base.snapshot(snapshot_id) is None and current.snapshot(snapshot_id) is None:
            for manifest in snapshot.allManifests(file_io):
                if manifest.snapshotId() == snapshot_id:
                    file_io.deleteFile(manifest.path())
            file_io.deleteFile(snapshot.manifestListLocation())


def _with_ids(session: SparkSession, table: Any, base: Any, wanted: StructType) -> Any:
    jvm = jvm_of(session)
    optional = getattr(jvm.org.apache.iceberg.types, "Types$NestedField").optional
    as_java = jvm.org.apache.spark.sql.types.StructType.fromJson(wanted.json())
    types = {
        field.name(): field.type() for field in jvm.org.apache.iceberg.spark.SparkSchemaUtil.convert(as_java).columns()
    }
    current = {field.name(): field for field in table.schema().columns()}
    if AS_OF_COLUMN in current:
        # In the order in which publishing leaves them, since a digest of rows depends on it.
        stored = {
            name: types.get(name, field.type()) for name, field in current.items() if name in (*types, AS_OF_COLUMN)
        }
        types = stored | types
    next_id, fields = int(base.lastColumnId()) + 1, []
    for name, kind in types.items():
        known = current.get(name)
        if known is None or not (known.type().equals(kind) or _widens(session, known.type(), kind)):
            known = _field_of_any_schema(base, name, kind)
        field_id = next_id if known is None else int(known.fieldId())
        next_id += known is None
        fields.append(optional(field_id, name, kind))
    return jvm.org.apache.iceberg.Schema(fields)


def _field_of_any_schema(base: Any, name: str, kind: Any) -> Any | None:
    for schema in base.schemas():
        field = schema.findField(name)
        if field is not None and field.type().equals(kind):
            return field
    return None


def _widens(session: SparkSession, before: Any, after: Any) -> bool:
    return bool(jvm_of(session).org.apache.iceberg.types.TypeUtil.isPromotionAllowed(before, after.asPrimitiveType()))


def _with_current(session: SparkSession, metadata: Any, schema: Any) -> Any:
    """``metadata`` with ``schema`` as the current one, added where it has none like it."""
    builder = jvm_of(session).org.apache.iceberg.TableMetadata.buildFrom(metadata)
    last_column = max(int(metadata.lastColumnId()), int(schema.highestFieldId()))
    return builder.setCurrentSchema(schema, last_column).build()
