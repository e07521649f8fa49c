"""What a stored table says of its sensitive columns, when that must stay the same, and by what is never split."""

# ruff: noqa: E501 - a sentence is one line

from __future__ import annotations

import json
from dataclasses import replace
from typing import Any

import pytest
from logical_warehouse.connections import mask_secrets
from warehouse.capture_failures import SplitImpossible
from warehouse.dialects import DIALECTS
from warehouse.dialects.columns import capture_columns
from warehouse.mask_failures import KeyUnusable, Unclassified
from warehouse.run_spec import IntervalSpec
from warehouse.schema_failures import TableRedefined
from warehouse.sensitive_columns import mask_differences, sensitive_changes, sensitive_properties
from warehouse.split_choice import divide
from warehouse.table_origin import ensure_same_table, origin_of
from warehouse.table_spec import ColumnSpec, SplitSpec, TableSpec

from tests.unit.records import snapshot_record, table_spec

ID, NOTE = ColumnSpec("id", "integer"), ColumnSpec("note", "text", classification="internal")
IBAN = ColumnSpec("iban", "text", mask="hash", classification="confidential")
TAX = ColumnSpec("tax", "text", mask="hmac(hr)")
TABLE = table_spec([ID, NOTE, IBAN, TAX], key_checks={"hr": "0a1b2c3d"})
PROPERTIES = sensitive_properties(TABLE)
SCHEMA = ["id", "note", "iban", "tax"]


def other(*columns: ColumnSpec, key: str = "0a1b2c3d") -> dict[str, str]:
    return sensitive_properties(replace(TABLE, columns=columns, key_checks={"hr": key}))


def test_what_a_table_states() -> None:
    assert PROPERTIES == {
        "warehouse.masks": '{"iban": "hash", "id": "", "note": "", "tax": "hmac(hr) under key 0a1b2c3d"}',
        "warehouse.classification.note": "internal",
        "warehouse.classification.iban": "confidential",
    }
    assert TABLE.masked == {"iban": "hash", "tax": "hmac(hr)"}
    assert TABLE.classification == {"note": "internal", "iban": "confidential"}


@pytest.mark.parametrize(
    ("wanted", "differences"),
    [
        (PROPERTIES, ()),
        (other(ID, IBAN), ()),
        (other(ID, IBAN, TAX, ColumnSpec("new", "text", mask="redact")), ()),
        (other(replace(IBAN, classification="public")), ()),
        (other(replace(IBAN, mask="truncate(4)")), ("its column 'iban' is masked by truncate(4), was masked by hash",)),
        (other(replace(IBAN, mask=None)), ("its column 'iban' is in clear, was masked by hash",)),
        (other(replace(ID, mask="hash")), ("its column 'id' is masked by hash, was in clear",)),
        (other(TAX, key="ffffffff"), ("its column 'tax' is masked by hmac(hr) under key ffffffff, was masked by hmac(hr) under key 0a1b2c3d",)),
    ],
)  # fmt: skip
def test_a_column_keeps_its_mask(wanted: dict[str, str], differences: tuple[str, ...]) -> None:
    assert mask_differences(PROPERTIES, wanted) == differences


def test_what_was_published_before_there_were_masks_was_in_clear() -> None:
    assert mask_differences({}, other(ID, NOTE)) == ()
    assert mask_differences({}, other(ID, IBAN)) == ("its column 'iban' is masked by hash, was in clear",)


def test_another_mask_needs_another_name_once_something_is_published() -> None:
    stored = origin_of(TABLE, "bank", "UTC")
    now = origin_of(replace(TABLE, columns=(replace(IBAN, mask="redact"),)), "bank", "UTC")
    days = [IntervalSpec(f"2013-06-0{n}", f"2013-06-0{n}T00:00:00Z", f"2013-06-0{n + 1}T00:00:00Z") for n in (1, 2)]
    published = snapshot_record("accounts", days[0].as_of, days[0].start, days[0].end)
    ensure_same_table("accounts", stored, now, [], days[1])
    with pytest.raises(TableRedefined, match="'iban' is masked by redact, was masked by hash; give it a new name"):
        ensure_same_table("accounts", stored, now, [published], days[1])


def test_publishing_states_what_changed_and_forgets_what_nobody_captures() -> None:
    metrics = {"write.metadata.metrics.column.iban": "counts", "write.metadata.metrics.column.tax": "counts"}
    assert sensitive_changes({}, PROPERTIES, SCHEMA, first=True) == {**PROPERTIES, **metrics}
    stored = {**PROPERTIES, **metrics, "write.metadata.metrics.column._as_of": "full", "owner": "me"}
    assert sensitive_changes(stored, PROPERTIES, [*SCHEMA, "_as_of"], first=False) == {}
    # The older snapshots of a table have its dropped columns still.
    fewer = other(ID, replace(NOTE, classification=None))
    assert sensitive_changes(stored, fewer, ["id", "note", "_as_of"], first=False) == {
        "warehouse.classification.note": None,
        "write.metadata.metrics.column.iban": None,
        "write.metadata.metrics.column.tax": None,
    }
    assert sensitive_changes(stored, fewer, ["id", "note", "_as_of"], first=True) == {
        "warehouse.masks": '{"id": "", "note": ""}',
        "warehouse.classification.note": None,
        "warehouse.classification.iban": None,
        "write.metadata.metrics.column.iban": None,
        "write.metadata.metrics.column.tax": None,
    }
    more = other(ID, NOTE, IBAN, TAX, ColumnSpec("new", "text", mask="hash"))
    changed = sensitive_changes(stored, more, [*SCHEMA, "new", "_as_of"], first=False)
    assert set(changed) == {"warehouse.masks", "write.metadata.metrics.column.new"}
    assert json.loads(changed["warehouse.masks"] or "")["new"] == "hash"


# By what a table is split


class Indexed:
    """A held state of an engine without places, in which every column has a unique index; it notes what it is asked."""

    snapshot = None

    def __init__(self, indexed: list[str]) -> None:
        self.dialect = DIALECTS["mariadb"]
        self.indexed, self.asked = indexed, list[str]()

    def query(self, sql: str, table: str) -> list[tuple[str | None, ...]]:
        self.asked.append(sql)
        if "information_schema.statistics" in sql:
            return [(name, "true") for name in self.indexed]
        return [("1", "1", "4"), ("3", "3", "4")]

    def value(self, sql: str, table: str) -> str | None:
        raise AssertionError(sql)


def read_of(table: TableSpec) -> Any:
    read: Any = type("Read", (), {})()
    read.table, read.columns, read.estimated_rows = table, table.columns, 1_000_000
    read.relation, read.where_sql = "`t`", None
    read.captured = capture_columns(DIALECTS["mariadb"], "t", table.columns)
    return read


COLUMNS = {name: ColumnSpec(name, "int(11)") for name in ("iban", "id", "tax", "left_out")}


def test_borders_are_never_made_of_what_must_not_leave_the_source() -> None:
    columns = (replace(COLUMNS["iban"], mask="hash"), COLUMNS["id"], replace(COLUMNS["tax"], mask="redact"))
    state = Indexed(["iban", "left_out", "tax", "id"])
    division = divide(state, read_of(table_spec(columns)), COLUMNS, small_rows=0)  # type: ignore[arg-type]
    assert division.expression == "`id`" and len(state.asked) > 1
    assert not any(name in sql for sql in state.asked[1:] for name in ("iban", "left_out", "tax"))

    hidden = Indexed(["iban", "left_out"])
    division = divide(hidden, read_of(table_spec(columns)), COLUMNS, small_rows=0)  # type: ignore[arg-type]
    assert division.expression is None and len(hidden.asked) == 1


@pytest.mark.parametrize("column", ["iban", "left_out"])
def test_a_split_column_that_must_not_leave_the_source_is_refused(column: str) -> None:
    columns = (replace(COLUMNS["iban"], mask="hash"), COLUMNS["id"])
    table = table_spec(columns, split=SplitSpec(2, column))
    state = Indexed([])
    with pytest.raises(SplitImpossible, match=f"'{column}' is masked or not captured"):
        divide(state, read_of(table), COLUMNS, small_rows=0)  # type: ignore[arg-type]
    assert state.asked == []


def test_keys_are_the_passwords_of_connections() -> None:
    passwords = {"hr": "x" * 16, "short": "x" * 15, "empty": None}

    def find(connection: str) -> Any:
        return type("Connection", (), {"password": passwords[connection]})

    assert mask_secrets("t", ["hash", "hmac(hr)", "redact"], find) == {"hr": "x" * 16}
    for connection in ("short", "empty"):
        with pytest.raises(KeyUnusable, match=f"connection '{connection}'"):
            mask_secrets("t", ["hmac(hr)", f"hmac({connection})"], find)


def test_the_failures_name_what_to_do() -> None:
    assert str(Unclassified("t", ("a", "b"))).endswith(
        "set columns.classification to {a: …, b: …} too, or exclude them"
    )
    assert "connection 'hr', which is the key of a mask, is empty or shorter than 16" in str(KeyUnusable("t", "hr", 16))
