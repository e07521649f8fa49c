"""Masked columns on both engines: equal to Python's own hashes, and their clear values nowhere but in the source."""

from __future__ import annotations

import hashlib
import hmac
import json
from collections.abc import Callable
from dataclasses import replace
from datetime import date
from decimal import Decimal
from typing import Any

import pytest
from warehouse.compare_spec import CompareJob
from warehouse.comparing import compare_snapshot, compared_text
from warehouse.dialects import DIALECTS
from warehouse.iceberg_api import load_existing_table, properties_of
from warehouse.iceberg_tables import quoted
from warehouse.jvm import jvm_of
from warehouse.mask_failures import KeyChanged, KeyMissing
from warehouse.masks import SECRETS_VARIABLE, MaskKey
from warehouse.schema_failures import TableRedefined
from warehouse.table_spec import SplitSpec, TableSpec

from tests.spark.runs import Runs, interval

DAYS = "2013-06-01", "2013-06-02"
KEY = MaskKey("mask_key", "a long random key, longer than a block of SHA-256 has bytes: " + "0123456789" * 3)
CANARY = "CLEAR-c0ffee"
MASKS = {
    "iban": "hash",
    "customer": "hmac(mask_key)",
    "customer_text": "hmac(mask_key)",
    "branch": "hash",
    "amount": "hash",
    "born": "hash",
    "active": "hash",
    "photo": "hash",
    "phone": "truncate(4)",
    "salary": "redact",
    "note": "redact",
}
LABELS = {"iban": "confidential", "note": "restricted"}
ROWS: list[dict[str, Any]] = [
    {"id": 1, "iban": f"{CANARY} DE89 3704", "customer": 12345678901, "customer_text": "12345678901", "branch": 7,
     "amount": Decimal("12.50"), "born": date(1985, 2, 3), "active": True, "photo": b"\x00\xff", "phone": "+420 777",
     "salary": 1.5, "note": f"{CANARY} note"},
    {"id": 2, "iban": "", "customer": -1, "customer_text": "-1", "branch": -7, "amount": Decimal("0.00"),
     "born": date(1, 1, 1), "active": False, "photo": b"", "phone": "😀é€ž5", "salary": -0.0, "note": ""},
    {"id": 3, "iban": "Ünï€😀 ' \" \\ ` %", "customer": 0, "customer_text": "0", "branch": 0,
     "amount": Decimal("-9999999999.99"), "born": date(9999, 12, 31), "active": True, "photo": b"a'b", "phone": "ab",
     "salary": 3.0, "note": "x"},
    {"id": 4, **dict.fromkeys(["iban", "customer", "customer_text", "branch", "amount", "born", "active", "photo",
                               "phone", "salary", "note"])},
]  # fmt: skip
DAY_OF_1970 = date(1970, 1, 1)


def sha256(text: str | bytes) -> str:
    return hashlib.sha256(text.encode() if isinstance(text, str) else text).hexdigest()


def keyed(text: str) -> str:
    return hmac.new(KEY.secret.encode(), text.encode(), hashlib.sha256).hexdigest()


def expected(row: dict[str, Any]) -> dict[str, Any]:
    """What the store must hold, by Python alone."""
    made: dict[str, Callable[[Any], str]] = {
        "iban": sha256,
        "customer": lambda value: keyed(str(value)),
        "customer_text": keyed,
        "branch": lambda value: sha256(str(value)),
        "amount": lambda value: sha256(str(value)),
        "born": lambda value: sha256(str((value - DAY_OF_1970).days)),
        "active": lambda value: sha256(str(int(value))),
        "photo": sha256,
        "phone": lambda value: value[:4],
    }
    masked = {name: None if row[name] is None else make(row[name]) for name, make in made.items()}
    return {"id": row["id"], **masked, "salary": "***", "note": "***"}


def literal(runs: Runs, value: Any) -> str:
    dialect = DIALECTS[runs.database.source().dialect]
    match value:
        case None:
            return "NULL"
        case bytes():
            return f"'\\x{value.hex()}'" if dialect.name == "postgresql" else f"x'{value.hex()}'"
        case str():
            return dialect.literal(value)
        case date():
            return f"DATE '{value}'"
        case bool():
            return ("true" if value else "false") if dialect.name == "postgresql" else str(int(value))
        case _:
            return str(value)


def accounts(runs: Runs) -> TableSpec:
    is_postgresql = runs.database.source().dialect == "postgresql"
    runs.database.run(
        "CREATE TABLE accounts (id integer PRIMARY KEY, iban varchar(60) UNIQUE, customer bigint, "
        "customer_text varchar(20), branch integer, amount decimal(12,2), born date, "
        f"active {'boolean' if is_postgresql else 'bit(1)'}, photo {'bytea' if is_postgresql else 'varbinary(9)'}, "
        "phone varchar(20), salary double precision, note text)" + ("" if is_postgresql else " CHARACTER SET utf8mb4")
    )
    for row in [*ROWS, ROWS[0] | {"id": 100, "iban": f"{CANARY} filtered"}]:
        listed = ", ".join(literal(runs, value) for value in row.values())
        runs.database.run(f"INSERT INTO accounts ({', '.join(row)}) VALUES ({listed})")
    table = runs.table("accounts", mode="current", filter="id < 100", split=SplitSpec(2))
    as_kinds = {} if is_postgresql else {"active": "boolean"}
    columns = tuple(
        replace(
            column,
            as_kind=as_kinds.get(column.name),
            mask=MASKS.get(column.name),
            classification=LABELS.get(column.name),
        )
        for column in table.columns
    )
    return replace(table, columns=columns, validate="rows", key_checks={KEY.connection: KEY.check})


@pytest.fixture(autouse=True)
def key_at_hand(monkeypatch: pytest.MonkeyPatch, clean_environment: None) -> None:
    monkeypatch.setenv(SECRETS_VARIABLE, json.dumps({KEY.connection: KEY.secret}))


def executions(runs: Runs) -> list[Any]:
    """The statements in Spark's UI and event log, oldest first."""
    runs.session.sparkContext._jsc.sc().listenerBus().waitUntilEmpty()
    convert = jvm_of(runs.session).scala.jdk.javaapi.CollectionConverters.asJava
    return list(convert(runs.session._jsparkSession.sharedState().statusStore().executionsList()))


def sql_tab(runs: Runs, after: int) -> str:
    """All that Spark's UI and event log show of the statements whose id is above ``after``."""
    store = runs.session._jsparkSession.sharedState().statusStore()
    convert = jvm_of(runs.session).scala.jdk.javaapi.CollectionConverters.asJava
    shown = []
    for execution in [one for one in executions(runs) if one.executionId() > after]:
        nodes = convert(store.planGraph(execution.executionId()).allNodes())
        shown += [str(execution.physicalPlanDescription()), *(str(node.desc()) for node in nodes)]
    return "\n".join(shown)


def holding(files: dict[str, bytes], *wanted: str | bytes) -> list[str]:
    looked_for = [one.encode() if isinstance(one, str) else one for one in wanted]
    return [path for path, content in files.items() if any(one in content for one in looked_for)]


def test_masked_values_are_those_of_python_and_the_clear_ones_stay(
    engine_runs: Runs, capfd: pytest.CaptureFixture[str]
) -> None:
    table = accounts(engine_runs)
    last_before = max((one.executionId() for one in executions(engine_runs)), default=-1)
    first = engine_runs.publish(table, DAYS[0]).record
    stored = {row.id: row.asDict() for row in engine_runs.rows("accounts", tag=DAYS[0]).collect()}
    assert stored == {row["id"]: expected(row) for row in ROWS}
    # The same person under a number and under a text, and so across tables and engines.
    assert stored[1]["customer"] == stored[1]["customer_text"]
    assert (first.validate, first.rows, first.masked, first.classification) == ("rows", 4, MASKS, LABELS)

    # Again where compression hides nothing, and on an engine of one connection also through Spark's own ones.
    identifier = quoted(engine_runs.store.identifier("accounts"))
    engine_runs.session.sql(
        f"ALTER TABLE {identifier} SET TBLPROPERTIES ('write.parquet.compression-codec' = 'uncompressed')"
    )
    files: dict[str, bytes] = {}
    for reader in ("auto", "jdbc"):
        captured = engine_runs.snapshot([table], DAYS[1], run=reader, consistency="best_effort", reader=reader)
        files |= engine_runs.files("accounts") | engine_runs.answers()
        assert engine_runs.validate([table], DAYS[1], captured, run=reader).published[0].record.rows == 4
        assert {row.id: row.asDict() for row in engine_runs.rows("accounts", tag=DAYS[1]).collect()} == stored
        files |= engine_runs.files("accounts") | engine_runs.answers()
    assert holding(files, expected(ROWS[0])["iban"]) and holding(files, sha256("")), "the search finds what is there"
    assert any("/_runs/" in path for path in files), "fingerprints were among what is searched"
    as_parquet = ROWS[0]["customer"].to_bytes(8, "little")
    assert holding(files, CANARY, "DE89", "12345678901", "+420 7", as_parquet) == []

    shown, printed = sql_tab(engine_runs, last_before), "".join(capfd.readouterr())
    assert f"{'sha256(' if engine_runs.database.schema == 'public' else 'SHA2('}" in shown
    for text in (CANARY, KEY.secret, KEY.inner.hex(), KEY.outer.hex(), engine_runs.database.password):
        assert text not in shown and text not in printed
        assert holding(files, text) == []

    stated = properties_of(load_existing_table(engine_runs.session, engine_runs.store, "accounts"))
    assert json.loads(stated["warehouse.masks"])["customer"] == f"hmac(mask_key) under key {KEY.check}"
    assert stated["warehouse.classification.iban"] == "confidential"
    assert {name for name in MASKS if stated[f"write.metadata.metrics.column.{name}"] == "counts"} == set(MASKS)


def test_what_is_compared_is_masked_on_both_sides(engine_runs: Runs) -> None:
    table = accounts(engine_runs)
    engine_runs.publish(table, DAYS[0])
    engine_runs.database.run(f"UPDATE accounts SET iban = '{CANARY} changed' WHERE id = 1")
    kinds = {column.name: column.as_kind for column in table.columns if column.as_kind is not None}
    job = CompareJob(
        engine_runs.store,
        engine_runs.database.source(),
        interval(DAYS[0]),
        replace(table, columns=()),
        key=("id",),
        kinds=kinds,
        masks=MASKS,
    )
    text = compared_text(job, compare_snapshot(engine_runs.session, job))
    assert sha256(f"{CANARY} changed")[:60] in text and CANARY not in text
    assert "iban" in text.partition("rows by id")[2] and "customer" not in text.partition("rows by id")[2]


def test_another_meaning_of_a_column_is_refused(tmpfs_runs: Runs, monkeypatch: pytest.MonkeyPatch) -> None:
    table = accounts(tmpfs_runs)
    published = tmpfs_runs.publish(table, DAYS[0]).record

    def with_masks(**changes: str | None) -> TableSpec:
        columns = [
            replace(column, mask=changes[column.name]) if column.name in changes else column for column in table.columns
        ]
        return replace(table, columns=tuple(columns))

    for changed, words in (
        (with_masks(iban="redact"), "its column 'iban' is masked by redact, was masked by hash"),
        (with_masks(iban=None), "its column 'iban' is in clear, was masked by hash"),
        (with_masks(id="hash"), "its column 'id' is masked by hash, was in clear"),
    ):
        with pytest.raises(TableRedefined) as caught:
            tmpfs_runs.snapshot([changed], DAYS[1])
        assert words in str(caught.value) and "new name" in str(caught.value)

    other = MaskKey(KEY.connection, "another long random key")
    monkeypatch.setenv(SECRETS_VARIABLE, json.dumps({other.connection: other.secret}))
    with pytest.raises(KeyChanged, match="changed while the run was under way"):
        tmpfs_runs.snapshot([table], DAYS[1])
    with pytest.raises(TableRedefined, match=f"under key {other.check}, was masked by .* under key {KEY.check}"):
        tmpfs_runs.snapshot([replace(table, key_checks={other.connection: other.check})], DAYS[1])
    monkeypatch.delenv(SECRETS_VARIABLE)
    with pytest.raises(KeyMissing, match="did not reach the driver"):
        tmpfs_runs.snapshot([table], DAYS[1])
    assert tmpfs_runs.records("accounts") == {DAYS[0]: published}


def test_labels_may_change_and_columns_go(tmpfs_runs: Runs) -> None:
    table = accounts(tmpfs_runs)
    tmpfs_runs.publish(table, DAYS[0])
    columns = [
        replace(column, classification="internal" if column.name == "iban" else None) for column in table.columns
    ]
    fewer = replace(table, columns=tuple(one for one in columns if one.name != "customer_text"), schema_policy="evolve")
    tmpfs_runs.publish(fewer, DAYS[1])
    stated = properties_of(load_existing_table(tmpfs_runs.session, tmpfs_runs.store, "accounts"))
    labels = {name: value for name, value in stated.items() if name.startswith("warehouse.classification.")}
    assert labels == {"warehouse.classification.iban": "internal"}
    assert "write.metadata.metrics.column.customer_text" not in stated
    assert "customer_text" in json.loads(stated["warehouse.masks"]), "the older snapshot has it still"
    records = tmpfs_runs.records("accounts")
    assert [records[day].classification for day in DAYS] == [LABELS, {"iban": "internal"}]
    assert "customer_text" in records[DAYS[0]].masked and "customer_text" not in records[DAYS[1]].masked
