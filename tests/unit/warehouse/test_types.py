"""How columns are captured, by type: the documentation is what the code does, and every kind asked for is answered."""

from __future__ import annotations

import re
from dataclasses import replace
from pathlib import Path

import pytest
from warehouse.capture_failures import UnsupportedColumn
from warehouse.dialects import DIALECTS
from warehouse.dialects.columns import capture_columns
from warehouse.dialects.dialect import CaptureRefused
from warehouse.dialects.mariadb_types import capture_mariadb
from warehouse.dialects.postgresql_types import capture_postgresql
from warehouse.dialects.type_reference import ASKED, ENGINES, with_types
from warehouse.kinds import Kind, parse_kind
from warehouse.table_spec import ColumnSpec

DOCUMENT = Path(__file__).parents[3] / "docs" / "types.md"


def test_the_document_is_current_and_has_every_engine() -> None:
    text = DOCUMENT.read_text(encoding="utf-8")
    assert with_types(text) == text
    assert set(re.findall(r"<!-- types of (\w+) -->", text)) == set(ENGINES)


@pytest.mark.parametrize("engine", ENGINES)
@pytest.mark.parametrize("asked", [None, *ASKED])
def test_every_type_is_captured_as_what_is_asked_for_or_refused(engine: str, asked: str | None) -> None:
    examples, capture = ENGINES[engine]
    for type_name, _ in examples:
        column = ColumnSpec("c", type_name, as_kind=asked)
        try:
            captured = capture('"c"', column)
        except CaptureRefused as error:
            assert asked != "text", "every type has a text"
            assert str(error) and "c" in error.hint
            continue
        assert asked is None or captured.kind == parse_kind(asked)
        assert (captured.refused_sql is None) == (captured.refused_as == "")
        if captured.refused_sql is not None:
            assert captured.sql != '"c"', "what is refused must not break the reading"


@pytest.mark.parametrize(
    ("type_name", "kind"),
    [
        ("numeric(38,38)", "decimal(38,38)"),
        ("numeric(36,-2)", "decimal(38,0)"),
        ("numeric(3,38)", "decimal(38,38)"),
        ("numeric(1,0)", "decimal(1,0)"),
        ("timestamp(3) without time zone", "timestamp_ntz"),
        ("timestamp(0) with time zone", "timestamp"),
        ("public.mood", "text"),
        ("numeric(12,2)[]", "text"),
        ("date[]", "text"),
    ],
)
def test_types_of_postgresql(type_name: str, kind: str) -> None:
    assert str(capture_postgresql('"c"', ColumnSpec("c", type_name)).kind) == kind


@pytest.mark.parametrize("type_name", ["numeric", "numeric(39,0)", "numeric(37,-2)", "numeric(3,39)"])
def test_numbers_of_postgresql_that_no_decimal_holds(type_name: str) -> None:
    with pytest.raises(CaptureRefused, match="so that no decimal of the store holds all of its values"):
        capture_postgresql('"c"', ColumnSpec("c", type_name))


@pytest.mark.parametrize(
    ("type_name", "kind"),
    [
        ("tinyint(1) unsigned", "integer"),
        ("mediumint(8) unsigned", "integer"),
        ("int(10) unsigned zerofill", "long"),
        ("bigint(20) unsigned", "decimal(20,0)"),
        ("int", "integer"),
        ("decimal(38,38)", "decimal(38,38)"),
        ("float(7,2) unsigned", "float"),
        ("double unsigned zerofill", "double"),
        ("datetime", "timestamp_ntz"),
        ("timestamp", "timestamp"),
        ("enum('a) character set x','b''c')", "text"),
        ("mediumblob", "binary"),
        ("geometrycollection", "text"),
    ],
)
def test_types_of_mariadb(type_name: str, kind: str) -> None:
    assert str(capture_mariadb("`c`", ColumnSpec("c", type_name)).kind) == kind


@pytest.mark.parametrize("type_name", ["vector(3)", "xmltype", "row", "decimal(39,2)", "int(11) unsigned x"])
def test_types_of_mariadb_that_are_refused(type_name: str) -> None:
    with pytest.raises(CaptureRefused):
        capture_mariadb("`c`", ColumnSpec("c", type_name))


def test_only_foreign_character_sets_are_converted_back() -> None:
    assert capture_mariadb("`c`", ColumnSpec("c", "text")).refused_sql is None
    refused = capture_mariadb("`c`", ColumnSpec("c", "enum('a','b') character set gbk")).refused_sql
    assert refused is not None
    assert "USING gbk" in refused


def test_a_dialect_with_own_kinds_only_does_not_pass_over_what_is_asked_for() -> None:
    column = ColumnSpec("c", "integer")
    assert capture_columns(DIALECTS["generic"], "t", [replace(column, as_kind="integer")])[0].kind == Kind("integer")
    with pytest.raises(UnsupportedColumn, match="cannot be captured as text from generic; take c out"):
        capture_columns(DIALECTS["generic"], "t", [replace(column, as_kind="text")])
