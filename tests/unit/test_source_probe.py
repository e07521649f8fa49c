"""What ``check`` asks of the source about a table's columns, and how it refuses them; the source is a recorder."""

from __future__ import annotations

import re
from contextlib import contextmanager
from pathlib import Path
from typing import TYPE_CHECKING, Any

import pytest
from logical_warehouse.connections import JdbcAddress
from logical_warehouse.manifest import Source, Table, load_manifest
from logical_warehouse.source_probe import SourceProbe
from warehouse.capture_failures import MissingColumn, UnsupportedColumn
from warehouse.mask_failures import Unclassified
from warehouse.table_spec import ColumnSpec

from tests.unit.manifest.conftest import HEALTHY

if TYPE_CHECKING:
    from collections.abc import Iterator

FOUND = [("day", "date"), ("amount", "numeric"), ("note", "text"), ("share", "numeric(50,2)")]


class Answering:
    """A connection whose every answer is ``rows``."""

    def __init__(self, rows: list[tuple[str, str, str, str]]) -> None:
        self.rows = rows

    @contextmanager
    def cursor(self) -> Iterator[Answering]:
        yield self

    def execute(self, statement: str) -> None:
        assert "pg_attribute" in statement

    def fetchall(self) -> list[tuple[str, str, str, str]]:
        return self.rows


@pytest.fixture
def columns(tmp_path: Path) -> Any:
    """``columns(of the manifest)``: what the probe freezes for the table, with a source that has ``FOUND``."""

    def found(written: str) -> tuple[ColumnSpec, ...]:
        path = tmp_path / "m.yaml"
        path.write_text(f"{HEALTHY}    columns: {written}\n", encoding="utf-8")
        manifest = load_manifest(path, {}).manifest
        assert manifest is not None
        source: Source = manifest.sources["nyc"]
        table: Table = manifest.tables["flights"]
        probe = SourceProbe(source, JdbcAddress("jdbc:postgresql://host:1/x", "reader"), None)
        probe._connection = Answering([(name, kind, "true", "true") for name, kind in FOUND])
        return probe.columns(table)

    return found


def test_the_kinds_of_the_manifest_are_frozen(columns: Any) -> None:
    assert columns('{types: {share: text, amount: "decimal(38, 10)"}}') == (
        ColumnSpec("day", "date"),
        ColumnSpec("amount", "numeric", as_kind="decimal(38,10)"),
        ColumnSpec("note", "text"),
        ColumnSpec("share", "numeric(50,2)", as_kind="text"),
    )


def test_all_columns_that_cannot_be_captured_are_named(columns: Any) -> None:
    with pytest.raises(UnsupportedColumn, match=re.escape("'amount' of type numeric has no precision")) as caught:
        columns("{exclude: [note]}")
    assert str(caught.value).endswith("; nor can 'share' be captured")


def test_a_kind_that_the_type_does_not_have(columns: Any) -> None:
    with pytest.raises(UnsupportedColumn, match="column 'note' of type text cannot be captured as long; take note out"):
        columns("{include: [day, note], types: {note: long}}")


@pytest.mark.parametrize("written", ["{types: {amont: text}}", "{exclude: [amont]}", "{include: [day, amont]}"])
def test_a_column_that_there_is_none_of(columns: Any, written: str) -> None:
    with pytest.raises(MissingColumn, match="has no column 'amont'; did you mean 'amount'\\?"):
        columns(written)


def test_masks_and_labels_are_frozen(columns: Any) -> None:
    written = "{exclude: [share, amount], mask: {note: truncate(2)}, classification: {note: confidential}}"
    assert columns(written) == (
        ColumnSpec("day", "date"),
        ColumnSpec("note", "text", mask="truncate(2)", classification="confidential"),
    )


def test_a_mask_of_a_column_that_is_not_there_is_refused(columns: Any) -> None:
    with pytest.raises(MissingColumn, match="has no column 'noet'; did you mean 'note'"):
        columns("{exclude: [share, amount], mask: {noet: hash}}")


def test_a_column_that_cannot_be_masked_so_is_refused(columns: Any) -> None:
    with pytest.raises(UnsupportedColumn, match="column 'amount' of type numeric has no precision"):
        columns("{exclude: [note, share], mask: {amount: hash}}")
    assert columns("{exclude: [note, share], mask: {amount: redact}}")[1].mask == "redact"


def test_a_column_without_a_label_is_refused_where_labels_are_required(columns: Any) -> None:
    labels = "classification: {day: public, note: internal}"
    required = "\n    require_classification: true"
    with pytest.raises(Unclassified, match="'amount', 'share' have no label, and require_classification is set"):
        columns(f"{{types: {{share: text, amount: text}}, {labels}}}{required}")
    found = columns(f"{{exclude: [share, amount], {labels}}}{required}")
    assert [column.classification for column in found] == ["public", "internal"]
