"""Batches into files: nothing is lost between row groups and files, and Iceberg finds its columns."""

from __future__ import annotations

import json
from collections.abc import Iterator
from decimal import Decimal
from pathlib import Path

import pyarrow as pa
import pyarrow.parquet as pq
import pytest
from warehouse import copy_files
from warehouse.copy_files import Compression, parquet_files, stored_field

SCHEMA = pa.schema(
    [
        stored_field("id", pa.int64(), 7),
        stored_field("amount", pa.decimal128(12, 2), 3),
        stored_field("large", pa.decimal128(30, 4), 4),
        stored_field("at", pa.timestamp("us", tz="UTC"), 9),
    ]
)


def batches(rows: int, *, size: int = 100) -> Iterator[list[pa.Array]]:
    for start in range(0, rows, size):
        ids = range(start, min(start + size, rows))
        yield [
            pa.array(ids, pa.int64()),
            pa.array([Decimal(n) / 4 if n % 3 else None for n in ids], pa.decimal128(12, 2)),
            pa.array([Decimal(n) for n in ids], pa.decimal128(30, 4)),
            pa.array(ids, pa.timestamp("us", tz="UTC")),
        ]


@pytest.mark.parametrize("rows", [0, 1, 99, 100, 101, 1_000, 2_345])
def test_every_row_is_in_one_file_and_in_order(rows: int, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(copy_files, "ROW_GROUP_BYTES", 10_000)
    monkeypatch.setattr(copy_files, "FILE_BYTES", 6_000)
    files = list(parquet_files(batches(rows), SCHEMA, tmp_path))
    assert len({file.path for file in files}) == len(files) == len(list(tmp_path.iterdir()))
    found = [row for file in files for row in pq.read_table(file.path).to_pylist()]
    assert [row["id"] for row in found] == list(range(rows)) and sum(file.rows for file in files) == rows
    assert all(row["amount"] == (Decimal(row["id"]) / 4 if row["id"] % 3 else None) for row in found)
    if rows >= 1_000:
        assert len(files) > 1 and any(len(file.row_groups) > 1 for file in files)


def test_a_file_is_as_iceberg_has_them(tmp_path: Path) -> None:
    [file] = parquet_files(batches(10), SCHEMA, tmp_path)
    found = pq.ParquetFile(file.path)
    assert file.row_groups == (4,), "the first one begins behind the magic bytes"
    assert [field.metadata[b"PARQUET:field_id"] for field in found.schema_arrow] == [b"7", b"3", b"4", b"9"]
    assert [found.schema.column(index).physical_type for index in range(4)] == [
        "INT64",
        "INT64",
        "FIXED_LEN_BYTE_ARRAY",
        "INT64",
    ]
    assert json.loads(found.schema.column(3).logical_type.to_json())["isAdjustedToUTC"] is True
    assert found.metadata.row_group(0).column(0).compression == "ZSTD"


def test_a_file_is_complete_when_it_is_handed_over(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(copy_files, "ROW_GROUP_BYTES", 10_000)
    monkeypatch.setattr(copy_files, "FILE_BYTES", 6_000)
    seen = 0
    for file in parquet_files(batches(3_000), SCHEMA, tmp_path):
        seen += pq.read_metadata(file.path).num_rows
        file.path.unlink()
    assert seen == 3_000 and not list(tmp_path.iterdir())


@pytest.mark.parametrize(
    ("asked", "stored"),
    [(Compression(), "ZSTD"), (Compression("uncompressed"), "UNCOMPRESSED"), (Compression("gzip", 9), "GZIP")],
)
def test_the_tables_own_compression(tmp_path: Path, asked: Compression, stored: str) -> None:
    [file] = parquet_files(batches(10), SCHEMA, tmp_path, asked)
    assert pq.read_metadata(file.path).row_group(0).column(0).compression == stored


def test_only_columns_whose_values_repeat_get_a_dictionary(tmp_path: Path) -> None:
    schema = pa.schema([stored_field("id", pa.int64(), 1), stored_field("word", pa.string(), 2)])
    [file] = parquet_files([[pa.array(range(4_000)), pa.array(["a", "b"] * 2_000)]], schema, tmp_path)
    number, word = (pq.read_metadata(file.path).row_group(0).column(index) for index in range(2))
    assert not number.has_dictionary_page and word.has_dictionary_page
