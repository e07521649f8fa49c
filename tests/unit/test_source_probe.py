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
from warehouse.failures import MissingColumn, UnsupportedColumn
from warehouse.job_spec import ColumnSpec

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
