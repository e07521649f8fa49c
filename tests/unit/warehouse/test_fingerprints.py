"""Fingerprints as values: canonical texts of both sides, comparing, digests, and what a message may say."""

from __future__ import annotations

import json
from dataclasses import replace
from decimal import Decimal

import pytest
from warehouse.capture_failures import RefusedValues
from warehouse.fingerprint_report import comparison_table, report_json
from warehouse.fingerprints import (
    ColumnFingerprint,
    Difference,
    TableFingerprint,
    canonical,
    canonical_sum,
    column_fingerprint,
    compare,
    digest,
    sums_text,
)
from warehouse.kinds import parse_kind
from warehouse.spec_json import from_json, to_json
from warehouse.validation_failures import MOST_DIFFERENCES, FingerprintMismatch


def column(name: str = "amount", kind: str = "long", **changes: object) -> ColumnFingerprint:
    found = ColumnFingerprint(name, kind, nulls=3, minimum="-4111", maximum="9222", sum="77333")
    return replace(found, **changes)  # type: ignore[arg-type]


TABLE = TableFingerprint(10, (column(), column("note", "text", sum="1")), "crc32", "5-6")


@pytest.mark.parametrize(
    ("kind", "source", "stored", "same"),
    [
        ("long", "-9223372036854775808", -(2**63), "-9223372036854775808"),
        ("boolean", "1", 1, "1"),
        ("decimal(12,2)", "-0.10", Decimal("-0.1"), "-0.10"),
        ("decimal(20,20)", "0.00000000000000000001", Decimal("1E-20"), "0.00000000000000000001"),
        ("decimal(38,0)", "9" * 38, Decimal("9" * 38), "9" * 38),
        ("double", "0.1", 0.1, (0.1).hex()),
        ("double", "-0", 0.0, (0.0).hex()),
        ("double", "NaN", float("nan"), "nan"),
        ("double", "-Infinity", float("-inf"), "-inf"),
        ("float", "0.1", 0.10000000149011612, (0.10000000149011612).hex()),
        ("text", *["d41d8cd98f00b204e9800998ecf8427e"] * 3),
        ("date", None, None, None),
    ],
)  # fmt: skip
def test_both_sides_have_one_text(kind: str, source: object, stored: object, same: str | None) -> None:
    assert canonical(parse_kind(kind), source) == canonical(parse_kind(kind), stored) == same


@pytest.mark.parametrize(
    ("kind", "source", "stored", "same"),
    [
        ("long", str(2**63 * 6_000_000_000), 2**63 * 6_000_000_000, str(2**63 * 6_000_000_000)),
        ("decimal(28,2)", f"{'9' * 36}.10", Decimal(f"{'9' * 36}.1"), f"{'9' * 36}.10"),
        ("decimal(38,2)", "123", 123, "123"),
        ("double", "-18442240474082181120", -18442240474082181120, "-18442240474082181120"),
        ("text", None, None, None),
    ],
)
def test_both_sides_have_one_sum(kind: str, source: object, stored: object, same: str | None) -> None:
    assert canonical_sum(parse_kind(kind), source) == canonical_sum(parse_kind(kind), stored) == same


@pytest.mark.parametrize(("kind", "hashed"), [("decimal(28,4)", False), ("decimal(29,4)", True), ("text", True)])
def test_sums_that_could_exceed_38_digits_are_of_hashes(kind: str, hashed: bool) -> None:
    assert sums_text(parse_kind(kind)) is hashed


def test_a_fingerprint_survives_its_json_and_has_one_digest() -> None:
    assert from_json(TableFingerprint, to_json(TABLE)) == TABLE
    assert digest(from_json(TableFingerprint, to_json(TABLE))) == digest(TABLE)
    assert digest(replace(TABLE, row_hash="5-7")) != digest(TABLE) != digest(replace(TABLE, rows=11))


def test_equal_sides() -> None:
    comparison = compare("t", "2013-06-01", "rows", TABLE, TABLE)
    assert comparison.differences == () and comparison.rows_equal is True
    assert [one.compared for one in comparison.columns] == [("nulls", "range", "sum"), ("nulls", "range", "hash")]


@pytest.mark.parametrize(
    ("changes", "what"),
    [
        ({"nulls": 4}, ("nulls",)),
        ({"minimum": "-5"}, ("range",)),
        ({"maximum": None}, ("range",)),
        ({"sum": "77334"}, ("sum",)),
        ({"sum": "0", "nulls": 0, "minimum": "0"}, ("nulls", "range", "sum")),
    ],
)
def test_what_differs_is_named(changes: dict[str, object], what: tuple[str, ...]) -> None:
    stored = replace(TABLE, columns=(replace(TABLE.columns[0], **changes), TABLE.columns[1]))  # type: ignore[arg-type]
    assert compare("t", "2013-06-01", "columns", TABLE, stored).differences == (Difference("amount", what),)  # type: ignore[arg-type]


def test_rows_that_differ_as_a_whole() -> None:
    stored = replace(TABLE, row_hash="6-5", rows=9)
    assert compare("t", "2013-06-01", "rows", TABLE, stored).differences == (Difference(None, ("rows", "hash")),)


def test_what_one_side_cannot_compute_is_not_compared() -> None:
    source = replace(
        TABLE, columns=(TABLE.columns[0], column("note", "text", sum=None, minimum=None, measures=("nulls",)))
    )
    comparison = compare("t", "2013-06-01", "columns", source, TABLE)
    assert comparison.differences == () and comparison.columns[1].compared == ("nulls",)


@pytest.mark.parametrize(
    "stored",
    [
        replace(TABLE, columns=TABLE.columns[:1]),
        replace(TABLE, columns=TABLE.columns[::-1]),
        replace(TABLE, text_hash="md5"),
        replace(TABLE, row_hash=None),
    ],
)
def test_sides_that_were_made_in_different_ways_are_not_compared(stored: TableFingerprint) -> None:
    with pytest.raises(ValueError, match=r"the two fingerprints (are|were) not"):
        compare("t", "2013-06-01", "columns", TABLE, stored)


def test_neither_message_nor_report_has_a_value_of_the_data() -> None:
    stored = replace(
        TABLE, columns=(column(sum="88444", minimum="-4112"), column("note", "text", sum="88444", nulls=12))
    )
    comparison = compare("t", "2013-06-01", "columns", TABLE, replace(stored, row_hash="99555-6"))
    message = str(FingerprintMismatch("t", comparison.as_of, comparison.differences))
    assert message == (
        "table t as of 2013-06-01: the rows differ in hash; column 'amount' differs in range and sum; "
        "column 'note' differs in nulls and hash; nothing was published"
    )
    told = message + report_json([comparison]) + comparison_table(comparison)
    assert not [value for value in ("4111", "4112", "9222", "77333", "88444", "99555") if value in told]
    assert json.loads(report_json([comparison]))[0]["differences"][1] == {"column": "amount", "what": ["range", "sum"]}


def test_a_wide_table_does_not_flood_the_message() -> None:
    differences = tuple(Difference(f"c{index}", ("sum",)) for index in range(200))
    message = str(FingerprintMismatch("t", "2013-06-01", differences))
    assert f"'c{MOST_DIFFERENCES - 1}'" in message and f"'c{MOST_DIFFERENCES}'" not in message
    assert f"so do {200 - MOST_DIFFERENCES} more columns" in message


def test_the_table_in_the_log() -> None:
    stored = replace(TABLE, columns=(column(sum="1"), TABLE.columns[1]))
    lines = comparison_table(compare("t", "2013-06-01", "rows", TABLE, stored)).splitlines()
    assert [line.split() for line in lines[1:]] == [
        ["t", "as", "of", "2013-06-01", "10", "10", "rows", "count", "and", "hash", "equal"],
        ["amount", "long", "3", "3", "nulls", "sum", "DIFFERS"],
        ["note", "text", "3", "3", "nulls", "nulls,", "range,", "hash", "equal"],
    ]


def test_refused_values_say_what_to_do() -> None:
    message = str(RefusedValues("t", "at", "timestamp", 2, "infinite"))
    assert "column 'at' of type timestamp has 2 values" in message
    assert "(infinite)" in message and "columns.types" in message and "columns.exclude" in message


def test_a_fingerprint_from_raw_answers() -> None:
    found = column_fingerprint("a", "decimal(5,1)", nulls=0, minimum="1.0", maximum=Decimal("2"), total=Decimal("3"))
    assert (found.minimum, found.maximum, found.sum) == ("1.0", "2.0", "3.0")
