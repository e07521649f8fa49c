"""Records of published snapshots: one compact JSON table property per as-of date."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

from warehouse.iceberg_api import load_table, properties_of
from warehouse.retention import RETAINED_FROM as RETAINED_FROM
from warehouse.snapshot_record import RECORD_PREFIX, SnapshotRecord
from warehouse.spec_json import from_json
from warehouse.store_spec import StoreSpec

if TYPE_CHECKING:
    from pyspark.sql import SparkSession


def read_records(session: SparkSession, store: StoreSpec, table_name: str) -> dict[str, SnapshotRecord]:
    """As-of date → record of every published snapshot of a table, oldest interval first; empty for an unknown table.

    :raises SpecError: a record was written by another version of this package.
    """
    table = load_table(session, store.identifier(table_name))
    return {} if table is None else records_of(table)


def records_of(table: Any) -> dict[str, SnapshotRecord]:
    """As :func:`read_records`, of a loaded ``org.apache.iceberg.Table``."""
    records = [
        from_json(SnapshotRecord, value)
        for name, value in properties_of(table).items()
        if name.startswith(RECORD_PREFIX)
    ]
    # By start and not by label: labels of days and of minutes may stand beside each other after a change of schedule.
    return {record.as_of: record for record in sorted(records, key=lambda record: record.start)}
