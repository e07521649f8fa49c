"""Records of published snapshots, and specs of tables, of which a test cares for a few fields only."""

from __future__ import annotations

import json
from collections.abc import Sequence
from pathlib import Path
from typing import Any

from warehouse.snapshot_record import SnapshotRecord
from warehouse.spec_json import to_json
from warehouse.table_spec import ChecksSpec, ColumnSpec, HistorySpec, RetentionSpec, SplitSpec, TableSpec

ORDERS = """\
version: 1
sources: {{shop: {{connection: shop}}}}
store: {{uri: 'file://{store}'}}
defaults: {{source: shop, schedule: "@daily", start: 2013-06-01}}
tables:
  orders: {{table: public.orders, history: {{interval: {{column: at}}}}}}
trainings:
  churn: {{application: a.py, inputs: {{orders: {{window: 1}}}}}}
"""
"""A manifest with the table ``orders``, of which a training reads each date; ``store``: its folder."""


def snapshot_record(table: str, as_of: str, start: str, end: str, **others: Any) -> SnapshotRecord:
    """A record of one row in one file, captured and published at the end of its interval."""
    fields: dict[str, Any] = {
        "history": "interval",
        "rows": 1,
        "source_rows": 1,
        "bytes": 1,
        "files": 1,
        "digest": "",
        "captured_at": end,
        "published_at": end,
        "source": "shop",
        "source_position": "",
        "consistency": "snapshot",
        "late": False,
        "schedule": "@daily",
        "dag_id": "d",
        "run_id": "r",
        "branch": "b",
        "iceberg_snapshot_id": 1,
    }
    return SnapshotRecord(table=table, as_of=as_of, start=start, end=end, **(fields | others))


def write_metadata(store: Path, table: str, *records: SnapshotRecord, version: int = 1, **properties: str) -> None:
    """The current metadata of a table in a store that is a folder, as far as they are read without Spark."""
    metadata = store / "snapshots" / table / "metadata"
    metadata.mkdir(parents=True, exist_ok=True)
    properties |= {one.property_name: to_json(one) for one in records}
    (metadata / f"v{version}.metadata.json").write_text(json.dumps({"properties": properties}))
    (metadata / "version-hint.text").write_text(str(version))


def table_spec(columns: Sequence[ColumnSpec], **others: Any) -> TableSpec:
    """Spec of ``public.accounts``, captured as it is now."""
    fields: dict[str, Any] = {
        "history": HistorySpec("current"),
        "split": SplitSpec(),
        "checks": ChecksSpec(),
        "retention": RetentionSpec(),
        "schedule": "@daily",
        "start": "2013-06-01T00:00:00Z",
    }
    return TableSpec("accounts", "public", "accounts", tuple(columns), **(fields | others))
