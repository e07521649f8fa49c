"""Which changes of a source's columns a table takes, by history and policy, and what the refusal says."""

from __future__ import annotations

import pytest
from warehouse.kinds import Kind, kind_stored_as, parse_kind
from warehouse.schema_change import changes_between, ensure_allowed, widens
from warehouse.schema_failures import SchemaChanged
from warehouse.table_spec import HistoryMode, SchemaPolicy

STORED = {"id": "long", "at": "timestamp", "price": "decimal(10,2)", "note": "text"}


def kinds(columns: dict[str, str]) -> dict[str, Kind]:
    return {name: parse_kind(text) for name, text in columns.items()}


def without(name: str) -> dict[str, str]:
    return {column: kind for column, kind in STORED.items() if column != name}


ADDED = {**STORED, "extra": "integer"}
DROPPED = without("note")
RENAMED = {**DROPPED, "remark": "text"}
WIDENED = {**STORED, "price": "decimal(12,2)"}
RETYPED = {**STORED, "price": "double"}
REORDERED = dict(reversed(STORED.items()))
CASE = {**DROPPED, "Note": "text"}

# wanted, then whether policy fail, additive, evolve takes it: of an interval table, of a full-state table
TABLE: list[tuple[str, dict[str, str], str, str]] = [
    ("nothing", STORED, "yes yes yes", "yes yes yes"),
    ("reordered", REORDERED, "yes yes yes", "yes yes yes"),
    ("added", ADDED, "no yes yes", "no yes yes"),
    ("dropped", DROPPED, "no no yes", "no no yes"),
    ("renamed", RENAMED, "no no yes", "no no yes"),
    ("widened", WIDENED, "no no yes", "no no yes"),
    ("retyped", RETYPED, "no no no", "no no yes"),
    ("another case", CASE, "no no no", "no no yes"),
    ("added and retyped", {**RETYPED, "extra": "integer"}, "no no no", "no no yes"),
]
POLICIES: tuple[SchemaPolicy, ...] = ("fail", "additive", "evolve")
CASES = [
    pytest.param(wanted, mode, policy, answer == "yes", id=f"{name}-{mode}-{policy}")
    for name, wanted, interval, full_state in TABLE
    for mode, answers in (
        ("interval", interval),
        ("valid_between", full_state),
        ("time_travel", full_state),
        ("current", full_state),
    )
    for policy, answer in zip(POLICIES, answers.split(), strict=True)
]


@pytest.mark.parametrize(("wanted", "mode", "policy", "taken"), CASES)
def test_what_a_table_takes(wanted: dict[str, str], mode: HistoryMode, policy: SchemaPolicy, taken: bool) -> None:
    stored = kinds(STORED)
    changes = changes_between(stored, kinds(wanted))
    if taken:
        ensure_allowed("events", changes, stored, mode, policy)
        return
    with pytest.raises(SchemaChanged) as caught:
        ensure_allowed("events", changes, stored, mode, policy)
    assert caught.value.differences[: len(changes)] == tuple(map(str, changes))
    assert "\n" not in str(caught.value)


def refusal(wanted: dict[str, str], mode: HistoryMode = "interval", policy: SchemaPolicy = "additive") -> str:
    stored = kinds(STORED)
    with pytest.raises(SchemaChanged) as caught:
        ensure_allowed("events", changes_between(stored, kinds(wanted)), stored, mode, policy)
    return str(caught.value)


def test_the_refusal_of_a_new_column() -> None:
    assert refusal(ADDED, policy="fail") == (
        "table events no longer has the columns of its published snapshots: column 'extra' (integer) is new; leave it "
        "out with columns.exclude: [extra], or let the table change with schema: evolve; older intervals keep their "
        "values, or give the table a new name in the manifest, which begins a new history"
    )


def test_the_refusal_of_a_rename_names_both_columns() -> None:
    text = refusal(RENAMED, "current")
    assert (
        "column 'note' (text) is no longer captured, perhaps renamed to 'remark', column 'remark' (text) is new" in text
    )
    assert "schema: evolve; older snapshots keep their columns" in text and "columns.exclude" not in text


def test_the_refusal_of_another_type_says_how_to_keep_the_old_one() -> None:
    text = refusal(RETYPED, policy="evolve")
    assert "column 'price' is double, was decimal(10,2)" in text
    assert "columns.types: {price: decimal(10,2)}" in text and "schema: evolve" not in text and "new name" in text


def test_the_refusal_of_another_case() -> None:
    text = refusal(CASE, policy="evolve")
    assert "'Note' differs from the stored 'note' in case only" in text and "schema: evolve" not in text


@pytest.mark.parametrize(
    ("before", "after", "in_place"),
    [
        ("integer", "long", True),
        ("float", "double", True),
        ("decimal(10,2)", "decimal(38,2)", True),
        ("long", "integer", False),
        ("double", "float", False),
        ("decimal(10,2)", "decimal(12,3)", False),
        ("decimal(12,2)", "decimal(10,2)", False),
        ("integer", "double", False),
        ("integer", "text", False),
        ("date", "timestamp_ntz", False),
        ("timestamp_ntz", "timestamp", False),
    ],
)
def test_widening(before: str, after: str, in_place: bool) -> None:
    assert widens(parse_kind(before), parse_kind(after)) is in_place


@pytest.mark.parametrize(
    ("wanted", "renamed"),
    [
        (["id", "c", "b"], "c"),  # in place of a, of its type
        (["id", "b", "c"], None),  # at the end
        (["id", "n", "b"], None),  # in its place, of another type
        (["id", "b"], None),
    ],
)
def test_a_possible_rename_has_the_same_type_and_place(wanted: list[str], renamed: str | None) -> None:
    types = {"id": "long", "a": "text", "b": "text", "c": "text", "n": "long"}
    stored = kinds({name: types[name] for name in ("id", "a", "b")})
    changes = changes_between(stored, kinds({name: types[name] for name in wanted}))
    assert [change.renamed for change in changes if change.change == "dropped"] == [renamed]


@pytest.mark.parametrize("kind", ["boolean", "integer", "long", "decimal(38,10)", "text", "timestamp_ntz", "double"])
def test_a_stored_type_is_of_one_kind(kind: str) -> None:
    assert str(kind_stored_as(parse_kind(kind).spark_type)) == kind
