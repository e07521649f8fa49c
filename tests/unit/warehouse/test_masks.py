"""Masks: their definition, their SQL in each engine, and what never comes into it."""

# ruff: noqa: E501 - an expression is one line

from __future__ import annotations

import hashlib
import hmac
import json
import re
from dataclasses import replace
from typing import Any

import pytest
from warehouse.capture_failures import UnsupportedColumn
from warehouse.dialects import DIALECTS
from warehouse.dialects.columns import capture_columns
from warehouse.dialects.mask_sql import sample_sql
from warehouse.kinds import Kind
from warehouse.mask_check import verify_masks
from warehouse.mask_failures import KeyChanged, KeyMissing, KeyNotInSession, MaskNotAsDefined
from warehouse.masks import (
    MASK_PATTERN,
    SECRETS_VARIABLE,
    Mask,
    MaskKey,
    connections_of,
    keys_from_environment,
    masked_text,
    parse_mask,
    secrets_environment,
    setting_of,
)
from warehouse.table_spec import ColumnSpec

from tests.unit.records import table_spec

KEYS = [
    MaskKey("k", secret) for secret in ("short", "x" * 64, "longer than a block of 64 bytes: " + "é" * 80, "ž\"'\\%")
]
HR = setting_of("hr")
INNER, OUTER = (f"(SELECT decode(current_setting('warehouse.{HR}_{pad}'), 'hex'))" for pad in ("inner", "outer"))


@pytest.mark.parametrize("text", ["hash", "redact", "truncate(4)", "truncate(1000)", "hmac(hr-key_2.a)"])
def test_a_mask_is_written_in_one_way(text: str) -> None:
    assert str(parse_mask(text)) == text
    assert re.fullmatch(MASK_PATTERN, text)


@pytest.mark.parametrize(
    "text",
    ["", "hashed", "hash(4)", "HASH", "truncate", "truncate(0)", "truncate(-1)", "truncate(4", "hmac", "hmac()",
     "hmac(a b)", "hmac(a');--)", "redact(x)", "truncate(99999)", "hash\n"],
)  # fmt: skip
def test_what_is_no_mask(text: str) -> None:
    with pytest.raises(ValueError, match="none of hash, hmac"):
        parse_mask(text)


@pytest.mark.parametrize("key", KEYS, ids=range(len(KEYS)))
@pytest.mark.parametrize("text", ["", "DE89 3704", "Ünï€😀"])
def test_the_blocks_of_a_key_are_those_of_hmac(key: MaskKey, text: str) -> None:
    by_hand = hashlib.sha256(key.outer + hashlib.sha256(key.inner + text.encode()).digest()).hexdigest()
    assert by_hand == hmac.new(key.secret.encode(), text.encode(), hashlib.sha256).hexdigest()
    assert by_hand == masked_text(Mask("hmac", connection="k"), text, {"k": key})


def test_the_other_masks() -> None:
    assert masked_text(Mask("hash"), "é", {}) == hashlib.sha256(b"\xc3\xa9").hexdigest()
    assert masked_text(Mask("truncate", characters=2), "😀é!", {}) == "😀é"
    assert masked_text(Mask("redact"), "anything", {}) == "***"


def test_nothing_shows_a_key(monkeypatch: pytest.MonkeyPatch) -> None:
    key = MaskKey("hr", 'a "long" secret\\')
    monkeypatch.setenv(SECRETS_VARIABLE, secrets_environment({"hr": key.secret, "other": "x"})[SECRETS_VARIABLE])
    assert keys_from_environment({"hr": key.check}) == {"hr": key}
    assert repr(key) == "MaskKey('hr')" and key.secret not in f"{key}" + json.dumps(key.check)
    with pytest.raises(KeyChanged, match="'hr'") as changed:
        keys_from_environment({"hr": MaskKey("hr", "another").check})
    with pytest.raises(KeyMissing, match=r"hmac\(gone\)") as missing:
        keys_from_environment({"gone": "1234"})
    assert key.secret not in str(changed.value) + str(missing.value)
    assert secrets_environment({}) == {}
    assert connections_of(["hash", "hmac(b)", "hmac(a)", "hmac(b)"]) == ("b", "a")


MASKED = [
    ("postgresql", "text", "hash", "encode(sha256(convert_to((\"c\"), 'UTF8')), 'hex')"),
    ("postgresql", "integer", "hash", "encode(sha256(convert_to((\"c\")::text, 'UTF8')), 'hex')"),
    ("postgresql", "boolean", "hash", "encode(sha256(convert_to((\"c\")::integer::text, 'UTF8')), 'hex')"),
    ("postgresql", "bytea", "hash", "encode(sha256((\"c\")), 'hex')"),
    ("postgresql", "numeric(12,2)", "hash", "encode(sha256(convert_to(round(nullif(\"c\", 'NaN'::numeric), 2)::text, 'UTF8')), 'hex')"),
    ("postgresql", "text", "hmac(hr)", f"encode(sha256({OUTER} || sha256({INNER} || convert_to((\"c\"), 'UTF8'))), 'hex')"),
    ("postgresql", "character varying(9)", "truncate(4)", 'left(("c"::text), 4)'),
    ("postgresql", "point", "redact", "E'***'::text"),
    ("mariadb", "varchar(9)", "hash", "SHA2(CAST(CONVERT(CONVERT(`c` USING utf8mb4) USING utf8mb4) AS BINARY), 256)"),
    ("mariadb", "int(11)", "hash", "SHA2(CAST(CONVERT(CAST((`c` + 0) AS CHAR) USING utf8mb4) AS BINARY), 256)"),
    ("mariadb", "decimal(12,2)", "hash", "SHA2(CAST(CONVERT(CAST(CAST(`c` AS DECIMAL(12, 2)) AS CHAR) USING utf8mb4) AS BINARY), 256)"),
    ("mariadb", "varbinary(9)", "hash", "SHA2((`c`), 256)"),
    ("mariadb", "varbinary(9)", "hmac(hr)", f"SHA2(concat(@warehouse_{HR}_outer, unhex(SHA2(concat(@warehouse_{HR}_inner, (`c`)), 256))), 256)"),
    ("mariadb", "varchar(9)", "truncate(4)", "left(CONVERT(`c` USING utf8mb4), 4)"),
    ("mariadb", "varchar(9)", "redact", "'***'"),
    ("mysql", "int", "hmac(hr)", f"SHA2(concat(@warehouse_{HR}_outer, unhex(SHA2(concat(@warehouse_{HR}_inner, CAST(CONVERT(CAST((`c` + 0) AS CHAR) USING utf8mb4) AS BINARY)), 256))), 256)"),
    ("oracle", "varchar2", "hash", "CASE WHEN convert(\"c\", 'AL32UTF8') IS NOT NULL THEN lower(rawtohex(standard_hash(convert(\"c\", 'AL32UTF8'), 'SHA256'))) END"),
    ("oracle", "number(5,2)", "truncate(2)", "substr(to_char(\"c\", 'FM990.00'), 1, 2)"),
    ("oracle", "number(10,0)", "truncate(2)", "substr(to_char(\"c\", 'FM9999999990'), 1, 2)"),
    ("oracle", "number(2,2)", "truncate(2)", "substr(to_char(\"c\", 'FM0.00'), 1, 2)"),
    ("oracle", "clob", "redact", "'***'"),
    ("sqlserver", "nvarchar", "hash", "lower(convert(char(64), hashbytes('SHA2_256', CAST(CAST(CAST([c] AS nvarchar(max)) COLLATE Latin1_General_100_CI_AS_SC_UTF8 AS varchar(max)) AS varbinary(max))), 2))"),
    ("sqlserver", "bit", "hash", "lower(convert(char(64), hashbytes('SHA2_256', CAST(CAST(CAST(CAST([c] AS int) AS nvarchar(max)) COLLATE Latin1_General_100_CI_AS_SC_UTF8 AS varchar(max)) AS varbinary(max))), 2))"),
    ("sqlserver", "varchar", "truncate(4)", "left(CAST([c] AS nvarchar(max)) COLLATE Latin1_General_100_CI_AS_SC_UTF8, 4)"),
    ("sqlserver", "bigint", "redact", "CAST(N'***' AS nvarchar(max))"),
    ("generic", "varchar(9)", "truncate(4)", '{fn SUBSTRING("c", 1, 4)}'),
    ("generic", "blob", "redact", "'***'"),
]  # fmt: skip


@pytest.mark.parametrize(("engine", "type_name", "mask", "sql"), MASKED)
def test_the_sql_of_each_engine(engine: str, type_name: str, mask: str, sql: str) -> None:
    (captured,) = capture_columns(DIALECTS[engine], "t", [ColumnSpec("c", type_name, mask=mask)])
    assert (captured.sql, captured.kind, captured.encoding) == (sql, Kind("text"), "plain")


@pytest.mark.parametrize(
    ("engine", "type_name", "mask", "words"),
    [
        ("postgresql", "double precision", "hash", "captured as double, which engines write differently"),
        ("postgresql", "real", "hmac(hr)", "set columns.types to {c: text}"),
        ("postgresql", "date", "truncate(4)", "captured as date, of which truncate(4) would not be what people expect"),
        ("postgresql", "bytea", "truncate(4)", "captured as binary"),
        ("mariadb", "float", "hash", "captured as float"),
        ("oracle", "varchar2", "hmac(hr)", "cannot be masked by hmac, since this engine's session takes no key"),
        ("oracle", "date", "hash", "text is not known to be that of others; mask it by redact"),
        ("oracle", "clob", "hash", "captured as text, of which this engine's text is not known"),
        ("sqlserver", "nvarchar", "hmac(hr)", "mask it by hash"),
        ("sqlserver", "date", "hash", "captured as date"),
        ("generic", "varchar(9)", "hash", "this engine has no function that is known"),
        ("generic", "varchar(9)", "hmac(hr)", "cannot be masked by hmac"),
        ("generic", "integer", "truncate(1)", "captured as integer"),
        ("postgresql", "numeric", "hash", "has no precision"),
    ],
)
def test_what_an_engine_cannot_mask_is_refused(engine: str, type_name: str, mask: str, words: str) -> None:
    with pytest.raises(UnsupportedColumn) as caught:
        capture_columns(DIALECTS[engine], "t", [ColumnSpec("c", type_name, mask=mask)])
    assert words in str(caught.value) and str(caught.value).startswith("table t: column 'c'")


def test_a_mask_is_over_the_kind_that_was_asked_for() -> None:
    (captured,) = capture_columns(
        DIALECTS["postgresql"], "t", [ColumnSpec("c", "date", as_kind="text", mask="truncate(4)")]
    )
    assert captured.sql == 'left(("c"::text), 4)'


@pytest.mark.parametrize(("type_name", "mask", "refused"), [("date", "hash", True), ("date", "redact", False)])
def test_what_cannot_be_stored_exact_is_refused_under_a_hash_too(type_name: str, mask: str, refused: bool) -> None:
    (captured,) = capture_columns(DIALECTS["postgresql"], "t", [ColumnSpec("c", type_name, mask=mask)])
    assert (captured.refused_sql is not None) is refused


@pytest.mark.parametrize("engine", ["postgresql", "mariadb", "mysql"])
def test_a_key_is_in_the_properties_of_a_connection_and_in_no_statement(engine: str) -> None:
    dialect, key = DIALECTS[engine], MaskKey("hr", "a long enough key")
    properties = dialect.masks.properties(dialect.properties, [key])
    (name,) = {"postgresql": ["options"]}.get(engine, ["sessionVariables"])
    assert key.inner.hex() in properties[name] and key.outer.hex() in properties[name]
    assert {**properties, name: None} == {**dialect.properties, name: None}
    assert dialect.masks.properties(dialect.properties, []) == dialect.properties
    statement = sample_sql(dialect, Mask("hmac", connection="hr"))
    assert statement is not None and key.setting in statement
    assert key.inner.hex() not in statement and key.secret not in statement


class Answering:
    """A held state whose every answer is ``answer``."""

    def __init__(self, engine: str, answer: str | None, keys: dict[str, MaskKey]) -> None:
        self.dialect, self.answer, self.keys, self.asked = DIALECTS[engine], answer, keys, list[str]()
        self.source: Any = type("Source", (), {"name": "bank"})

    def value(self, sql: str, table: str) -> str | None:
        self.asked.append(sql)
        return self.answer


def test_a_source_that_masks_otherwise_is_refused() -> None:
    table = table_spec([ColumnSpec("a", "text", mask="hash"), ColumnSpec("b", "text", mask="hash")])
    right = Answering("postgresql", hashlib.sha256(b"sample 1").hexdigest(), {})
    verify_masks(right, table)  # type: ignore[arg-type]
    assert len(right.asked) == 1
    for wrong in (None, hashlib.sha256(b"sample 1").hexdigest().upper()):
        with pytest.raises(MaskNotAsDefined, match="source bank does not compute the mask hash as it is defined"):
            verify_masks(Answering("postgresql", wrong, {}), table)  # type: ignore[arg-type]
    keyed = table_spec([ColumnSpec("a", "text", mask="hmac(hr)")])
    with pytest.raises(KeyMissing):
        verify_masks(Answering("mariadb", None, {}), keyed)  # type: ignore[arg-type]
    with pytest.raises(KeyNotInSession, match=r"hmac\(hr\) did not reach the session of source bank: take session"):
        verify_masks(Answering("mariadb", None, {"hr": MaskKey("hr", "a long enough key")}), keyed)  # type: ignore[arg-type]
    nothing = Answering("generic", None, {})
    verify_masks(nothing, replace(keyed, columns=(ColumnSpec("a", "text", mask="truncate(3)"),)))  # type: ignore[arg-type]
    assert nothing.asked == []
