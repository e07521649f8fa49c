"""Both sides of a fingerprint agree on hostile values of every kind; a changed value is caught and its column named.

The stored files are changed behind Iceberg's back, as a broken disk or memory would: same name, same number of rows.
"""

from __future__ import annotations

import datetime
import json
import random
from collections.abc import Callable
from dataclasses import replace
from decimal import Decimal
from pathlib import Path
from typing import Any, cast
from urllib.parse import urlsplit

import pyarrow as pa
import pyarrow.parquet as pq
import pytest
from warehouse.capture_failures import RefusedValues
from warehouse.dialects.dialect import Captured
from warehouse.dialects.fingerprint_sql import COLUMNS_AT_ONCE
from warehouse.dialects.postgresql import PostgresqlDialect
from warehouse.dialects.postgresql_prints import PostgresqlFingerprints
from warehouse.fingerprints import TableFingerprint, ValidateMode
from warehouse.iceberg_api import load_existing_table
from warehouse.publish import data_files
from warehouse.snapshot_spec import SnapshotResult
from warehouse.spec_json import from_json, to_json
from warehouse.store_files import read_text
from warehouse.table_spec import ColumnSpec, TableSpec
from warehouse.validation_failures import FingerprintMismatch

from tests.spark.runs import Runs

DAY = "2013-06-01"

COLUMNS = {
    "b": "boolean",
    "s": "smallint",
    "i": "integer",
    "l": "bigint",
    "money": "numeric(12,2)",
    "wide": "numeric(38,10)",
    "whole": "numeric(38,0)",
    "tiny": "numeric(20,20)",
    "r": "real",
    "d": "double precision",
    "t": "text",
    "v": "varchar(40)",
    "c": "char(7)",
    "raw": "bytea",
    "day": "date",
    "at": "timestamptz",
    "wall": "timestamp",
    "u": "uuid",
    "j": "jsonb",
    'odd "name`': "text",
}
TEXTS = [
    "", " ", "a", "A", "a ", " a", "á", "a\u0301", "ß", "SS", "\U0001f600", "\uffff", "z\U0010ffff", "\ue000", "N",
    "1:a", "a,N", "0", "x" * 5000, "\t\n\r", "'", '"', "\\", "\x01", "\x7f", "Ω" * 40, "null",
]  # fmt: skip
DOUBLES = [
    "0",
    "-0",
    "NaN",
    "Infinity",
    "-Infinity",
    "1e308",
    "-1e308",
    "5e-324",
    "0.1",
    "-0.1",
    "1",
    "1e22",
    "123456.789",
]
FLOATS = ["0", "-0", "NaN", "Infinity", "-Infinity", "3.4e38", "-3.4e38", "1e-45", "0.1", "-0.1", "1", "16777216"]
LONGS = [2**63 - 1, -(2**63), 0, -1, 1, 2**32, 2**31, -(2**44) - 1]


def quoted(text: object) -> str:
    return "NULL" if text is None else "E'" + str(text).replace("\\", "\\\\").replace("'", "''") + "'"


def hostile_row(chance: random.Random) -> list[object]:
    """A value of each of COLUMNS, or None."""
    year = chance.choice([1583, 1700, 1899, 1969, 1970, 2000, 9999])
    day = f"{year:04}-{chance.randint(1, 12):02}-{chance.randint(1, 28):02}"
    micros = f"{day} {chance.randint(0, 23):02}:59:59.{chance.randint(0, 999999):06}"
    digits = chance.randint(0, 10**38 - 1)
    text = chance.choice(TEXTS)
    values: list[object] = [
        chance.choice(["true", "false"]),
        chance.choice([-(2**15), 2**15 - 1, 0]),
        chance.choice([-(2**31), 2**31 - 1, 0, chance.randint(-9, 9)]),
        chance.choice([*LONGS, chance.randint(-(2**63), 2**63 - 1)]),
        chance.choice(["-9999999999.99", "9999999999.99", "0.00", "0.01", "-0.01", "100"]),
        f"{chance.choice(['-', ''])}{digits // 10**10}.{digits % 10**10:010}"
        if chance.random() < 0.7
        else "0.0000000001",
        chance.choice([digits, -digits, 10**38 - 1, -(10**38) + 1, 0, 7]),
        f"{chance.choice(['-', ''])}0.{chance.choice([0, 1, digits % 10**20, 10**20 - 1]):020}",
        chance.choice([*FLOATS, repr(chance.random())]),
        chance.choice([*DOUBLES, repr(chance.gauss(0, 1e9))]),
        text,
        chance.choice(TEXTS)[:40],
        chance.choice(["", "a", "  b", "a\x01", "žluťouč", "1234567"]),
        "\\x" + chance.randbytes(chance.choice([0, 1, 8, 600])).hex(),
        day,
        f"{micros}{chance.choice(['+00', '-05', '+14'])}",
        micros,
        f"{digits:032x}"[-32:],
        json.dumps({"k": text.replace("\0", ""), "n": chance.randint(0, 9)}),
        chance.choice(TEXTS),
    ]
    return [None if chance.random() < 0.1 else value for value in values]


def create(runs: Runs, rows: list[list[object]]) -> None:
    listed = ", ".join(f'"{name.replace(chr(34), chr(34) * 2)}" {kind}' for name, kind in COLUMNS.items())
    runs.database.run(f"CREATE TABLE hostile (id integer, {listed})")
    for start in range(0, len(rows), 100):
        values = ", ".join(
            f"({start + place}, {', '.join(map(quoted, row))})" for place, row in enumerate(rows[start : start + 100])
        )
        runs.database.run(f"INSERT INTO hostile VALUES {values}")


def hostile(runs: Runs, mode: ValidateMode, rows: int = 400) -> TableSpec:
    chance = random.Random(20130601)
    create(runs, [hostile_row(chance) for _ in range(rows)])
    return replace(runs.table("hostile", mode="current"), validate=mode)


def report_of(runs: Runs, path: str) -> list[dict[str, Any]]:
    text = read_text(runs.session, path)
    assert text is not None
    return cast(list[dict[str, Any]], json.loads(text))


@pytest.mark.parametrize("abilities_of", ["PostgreSQL 18", "without crc32", "not UTF-8"])
def test_both_sides_agree_on_every_kind(tmpfs_runs: Runs, abilities_of: str, monkeypatch: pytest.MonkeyPatch) -> None:
    runs = tmpfs_runs
    # What older servers can say newer ones can, too; so their forms are run here.
    abilities = {"without crc32": "160000 UTF8", "not UTF-8": "160000 LATIN2"}.get(abilities_of)
    if abilities is not None:
        monkeypatch.setattr(
            "warehouse.dialects.postgresql.PostgresqlDialect.fingerprints",
            lambda *_: PostgresqlFingerprints(abilities),
        )
    captured = runs.snapshot([table := hostile(runs, "rows")], DAY)
    source = fingerprint(runs, captured)
    assert source.text_hash == ("md5" if abilities else "crc32")
    validated = runs.validate([table], DAY, captured)

    record = validated.published[0].record
    assert record.validate == "rows" and len(record.fingerprint) == 64
    (report,) = report_of(runs, validated.report)
    assert report["differences"] == [] and report["rows_equal"] is True
    assert [column["column"] for column in report["columns"]] == ["id", *COLUMNS]
    assert all(len(column["compared"]) == 3 for column in report["columns"])
    assert all(column["source_nulls"] > 10 for column in report["columns"][1:])


def fingerprint(runs: Runs, captured: SnapshotResult) -> TableFingerprint:
    text = read_text(runs.session, captured.captures[0].fingerprint)
    assert text is not None
    return from_json(TableFingerprint, text)


def stored_file(runs: Runs, captured: SnapshotResult) -> Path:
    """The largest data file of the run branch."""
    capture = captured.captures[0]
    table = load_existing_table(runs.session, runs.store, capture.table)
    assert capture.iceberg_snapshot_id is not None
    files = data_files(runs.session, table, capture.iceberg_snapshot_id, None)
    return Path(urlsplit(max(files, key=lambda file: int(file.recordCount())).location()).path)


def rewrite(path: Path, change: Callable[[pa.Table], pa.Table]) -> None:
    """Change a stored file behind Iceberg's back: same name, length and rows, and no check sum of Hadoop's."""
    before = pq.read_table(path)
    after = change(before).replace_schema_metadata({})
    assert after.num_rows == before.num_rows and not after.equals(before)
    path.write_bytes(parquet_of_length(after, path.stat().st_size))
    path.with_name(f".{path.name}.crc").unlink(missing_ok=True)


def parquet_of_length(table: pa.Table, length: int) -> bytes:
    """The table as a Parquet file of so many bytes, which Iceberg knows of its files: the footer has some padding."""
    for level in range(19, 0, -2):
        padding = 0
        # One byte more of padding may be two more of the file; another level of compression then finds the length.
        for _ in range(4):
            content = parquet(table, level, padding)
            if len(content) == length:
                return content
            padding += length - len(content)
            assert padding >= 0, "the changed rows need more room than the stored ones"
    raise AssertionError(f"no file of {length} bytes")


def parquet(table: pa.Table, level: int, padding: int) -> bytes:
    sink = pa.BufferOutputStream()
    settings = {"compression": "zstd", "compression_level": level, "store_schema": False, "write_statistics": False}
    with pq.ParquetWriter(sink, table.schema, coerce_timestamps="us", **settings) as writer:
        writer.write_table(table)
        writer.add_key_value_metadata({"padding": "x" * padding})
    return cast(bytes, sink.getvalue().to_pybytes())


def with_value(table: pa.Table, place: int, row: int, value: object) -> pa.Table:
    """By the column's place: Iceberg writes odd names in a way of its own."""
    values = table.column(place).to_pylist()
    values[row] = value
    return table.set_column(place, table.schema.field(place), pa.array(values, table.schema.field(place).type))


def other(value: Any) -> Any:  # noqa: PLR0911  # one return for each kind
    """The nearest other value of the same kind."""
    match value:
        case bool():
            return not value
        case int():
            return value - 1 if value > 0 else value + 1
        case float():
            return 0.0 if value == 0 and str(value) == "-0.0" else -0.0 if value == 0 else -value
        case str():
            return value[:-1] + chr(ord(value[-1]) ^ 1)
        case bytes():
            return value[:-1] + bytes([value[-1] ^ 1])
        case Decimal():
            return value.copy_negate() if value else Decimal((0, (1,), cast("int", value.as_tuple().exponent)))
        case datetime.datetime():
            return value - datetime.timedelta(microseconds=1)
        case datetime.date():
            return value - datetime.timedelta(days=1)
    raise AssertionError(f"no other value of {type(value).__name__}")


def test_one_changed_value_is_caught_and_its_column_named(tmpfs_runs: Runs) -> None:
    """For each column: one value of one stored file is flipped, validation refuses, and the file is put back."""
    runs, table = tmpfs_runs, hostile(tmpfs_runs, "columns", rows=60)
    captured = runs.snapshot([table], DAY)
    path = stored_file(runs, captured)
    original, rows = path.read_bytes(), pq.read_table(path)
    for place, column in enumerate(COLUMNS, start=1):
        values = rows.column(place).to_pylist()
        row = next(row for row, value in enumerate(values) if value or value in (0, False))
        rewrite(path, lambda stored: with_value(stored, place, row, other(values[row])))  # noqa: B023 - called here
        with pytest.raises(FingerprintMismatch) as caught:
            runs.validate([table], DAY, captured)
        assert [found.column for found in caught.value.differences] == [column]
        assert caught.value.kind == "permanent" and "nothing was published" in str(caught.value)
        path.write_bytes(original)
    assert runs.records("hostile") == {}
    assert runs.validate([table], DAY, captured).published[0].record.validate == "columns"


def test_a_value_that_became_null(tmpfs_runs: Runs) -> None:
    table = hostile(tmpfs_runs, "columns", rows=20)
    captured = tmpfs_runs.snapshot([table], DAY)
    rewrite(stored_file(tmpfs_runs, captured), lambda stored: with_value(stored, 0, 3, None))
    with pytest.raises(FingerprintMismatch, match="column 'id' differs in nulls and sum; nothing was published"):
        tmpfs_runs.validate([table], DAY, captured)


@pytest.mark.parametrize("mode", ["columns", "rows"])
def test_values_that_changed_places_are_caught_by_the_rows_only(tmpfs_runs: Runs, mode: ValidateMode) -> None:
    tmpfs_runs.events([DAY])
    table = replace(tmpfs_runs.table(mode="current"), validate=mode)
    captured = tmpfs_runs.snapshot([table], DAY)

    def swap(stored: pa.Table) -> pa.Table:
        amount = stored.schema.get_field_index("amount")
        first, second = stored.column(amount).to_pylist()[:2]
        return with_value(with_value(stored, amount, 0, second), amount, 1, first)

    rewrite(stored_file(tmpfs_runs, captured), swap)
    if mode == "columns":
        assert tmpfs_runs.validate([table], DAY, captured).published[0].record.rows == 10
    else:
        with pytest.raises(FingerprintMismatch, match="the rows differ in hash; nothing was published"):
            tmpfs_runs.validate([table], DAY, captured)


def test_nothing_of_the_values_leaves_the_store(tmpfs_runs: Runs, capsys: pytest.CaptureFixture[str]) -> None:
    """Not the log, the answers, the record or the report; and the store's own copy goes with publishing."""
    tmpfs_runs.database.run("CREATE TABLE secrets AS SELECT 74656 AS n, 'geheim'::text AS t, 36412.5::float8 AS d")
    table = tmpfs_runs.table("secrets", mode="current")
    captured = tmpfs_runs.snapshot([table], DAY)
    assert "74656" in to_json(fingerprint(tmpfs_runs, captured))
    validated = tmpfs_runs.validate([table], DAY, captured)
    report = json.dumps(report_of(tmpfs_runs, validated.report))
    told = to_json(captured) + to_json(validated) + report + "".join(capsys.readouterr())
    assert not [value for value in ("74656", "geheim", "36412") if value in told]
    assert read_text(tmpfs_runs.session, captured.captures[0].fingerprint) is None


def test_a_row_count_alone(tmpfs_runs: Runs) -> None:
    tmpfs_runs.events([DAY])
    table = replace(tmpfs_runs.table(mode="current"), validate="count")
    captured = tmpfs_runs.snapshot([table], DAY)
    assert captured.captures[0].fingerprint == ""
    rewrite(
        stored_file(tmpfs_runs, captured),
        lambda stored: with_value(stored, stored.schema.get_field_index("note"), 3, "changed"),
    )
    record = tmpfs_runs.validate([table], DAY, captured).published[0].record
    assert (record.rows, record.validate, record.fingerprint) == (10, "count", "")


@pytest.mark.parametrize("mode", ["columns", "rows"])
def test_a_table_without_rows(tmpfs_runs: Runs, mode: ValidateMode) -> None:
    table = replace(hostile(tmpfs_runs, mode, rows=0), validate=mode)
    captured = tmpfs_runs.snapshot([table], DAY)
    assert tmpfs_runs.validate([table], DAY, captured).published[0].record.rows == 0


def test_a_table_wider_than_a_statement(tmpfs_runs: Runs) -> None:
    columns = ", ".join(f"n + {index} AS c{index}" for index in range(COLUMNS_AT_ONCE + 50))
    tmpfs_runs.database.run(f"CREATE TABLE wide AS SELECT {columns} FROM generate_series(1, 20) n")
    table = replace(tmpfs_runs.table("wide", mode="current"), validate="rows")
    captured = tmpfs_runs.snapshot([table], DAY)
    last = f"c{COLUMNS_AT_ONCE + 49}"
    rewrite(stored_file(tmpfs_runs, captured), lambda stored: with_value(stored, COLUMNS_AT_ONCE + 49, 3, 77777))
    with pytest.raises(FingerprintMismatch, match=f"the rows differ in hash; column '{last}' differs in range and sum"):
        tmpfs_runs.validate([table], DAY, captured)


@pytest.mark.parametrize("mode", ["count", "columns"])
def test_refused_values_end_the_capture(tmpfs_runs: Runs, mode: ValidateMode, monkeypatch: pytest.MonkeyPatch) -> None:
    """Whatever the mode, a value that would not arrive exact is noticed, and what to do is said."""
    capture = PostgresqlDialect.capture

    def refusing(dialect: PostgresqlDialect, column: ColumnSpec) -> Captured:
        found = capture(dialect, column)
        return replace(found, refused_sql="id % 5 = 0", refused_as="divisible") if column.name == "id" else found

    monkeypatch.setattr(PostgresqlDialect, "capture", refusing)
    tmpfs_runs.events([DAY])
    with pytest.raises(
        RefusedValues, match=r"'id' of type bigint has 2 values .* \(divisible\); .*columns\.types"
    ) as caught:
        tmpfs_runs.snapshot([replace(tmpfs_runs.table(), validate=mode)], DAY)
    assert caught.value.kind == "permanent" and tmpfs_runs.records() == {}
