"""Arrow batches into Parquet files as Iceberg has them: columns by field id, row groups by size, no file too large."""

from __future__ import annotations

from collections.abc import Iterable, Iterator, Sequence
from dataclasses import dataclass
from pathlib import Path

import pyarrow as pa
import pyarrow.compute as pc
import pyarrow.parquet as pq

ROW_GROUP_BYTES = 64 << 20
"""Of Arrow's arrays, a third or less of it in Parquet: what readers divide a file by."""

FILE_BYTES = 128 << 20
"""At which a file is complete; one for each connection is in the scratch at a time, beside the store."""

SAMPLE_ROWS = 20_000
"""Of a file's first rows, by which it is decided which columns get a dictionary."""

_FIELD_ID = b"PARQUET:field_id"


ZSTD_LEVEL = 3
"""That of Java's writer, unless the table says another."""


@dataclass(frozen=True)
class Compression:
    """``codec``: as Iceberg names it."""

    codec: str = "zstd"
    level: int | None = None

    def settings(self) -> dict[str, str | int | None]:
        """As Arrow's writer takes them."""
        level = ZSTD_LEVEL if self.codec == "zstd" and self.level is None else self.level
        return {"compression": "none" if self.codec == "uncompressed" else self.codec, "compression_level": level}


ZSTD = Compression()


@dataclass(frozen=True)
class ParquetFile:
    """A complete file. ``row_groups``: where each begins, in bytes."""

    path: Path
    rows: int
    row_groups: tuple[int, ...]


def stored_field(name: str, kind: pa.DataType, field_id: int) -> pa.Field:
    """A column as Iceberg finds it in a file."""
    return pa.field(name, kind, metadata={_FIELD_ID: str(field_id)})


def parquet_files(
    batches: Iterable[Sequence[pa.Array]], schema: pa.Schema, folder: Path, compression: Compression = ZSTD
) -> Iterator[ParquetFile]:
    """Write the batches, each the columns of ``schema``, into ``folder``; each file is handed over when it is complete.

    Whoever takes a file may delete it. An incomplete one stays in the folder when the batches fail.
    """
    writer: _Writer | None = None
    held: list[pa.RecordBatch] = []
    number = 0
    for columns in batches:
        held.append(pa.RecordBatch.from_arrays(list(columns), schema=schema))
        if sum(batch.nbytes for batch in held) < ROW_GROUP_BYTES:
            continue
        if writer is None:
            writer, number = _Writer(folder / f"{number}.parquet", held, compression), number + 1
        writer.write(held)
        held = []
        if writer.size >= FILE_BYTES:
            yield writer.complete()
            writer = None
    if any(batch.num_rows for batch in held):
        writer = writer or _Writer(folder / f"{number}.parquet", held, compression)
        writer.write(held)
    if writer is not None:
        yield writer.complete()


def repeating_columns(rows: pa.Table) -> list[str]:
    """Columns whose values repeat: only these are smaller with a dictionary.

    Unlike Java's writer Arrow's keeps a dictionary of values that do not repeat, and then writes numbers that hardly
    compress beside it: a file of 4,000 rows was 1.8 times as large.
    """
    sample = rows.slice(0, SAMPLE_ROWS)
    return [
        field.name
        for field, column in zip(sample.schema, sample.columns, strict=True)
        if pc.count_distinct(column, mode="all").as_py() * 2 <= sample.num_rows
    ]


class _Writer:
    def __init__(self, path: Path, first: list[pa.RecordBatch], compression: Compression) -> None:
        self._path = path
        self._metadata: list[pq.FileMetaData] = []
        self._writer = pq.ParquetWriter(
            path,
            first[0].schema,
            use_dictionary=repeating_columns(pa.Table.from_batches(first)),
            store_decimal_as_integer=True,  # as Iceberg has them, up to 18 digits
            store_schema=False,
            metadata_collector=self._metadata,
            **compression.settings(),
        )

    def write(self, batches: list[pa.RecordBatch]) -> None:
        table = pa.Table.from_batches(batches)
        self._writer.write_table(table, row_group_size=max(1, table.num_rows))

    @property
    def size(self) -> int:
        return self._path.stat().st_size

    def complete(self) -> ParquetFile:
        self._writer.close()
        [metadata] = self._metadata
        groups = (metadata.row_group(index).column(0) for index in range(metadata.num_row_groups))
        begins = tuple(
            min(place for place in (column.dictionary_page_offset, column.data_page_offset) if place is not None)
            for column in groups
        )
        return ParquetFile(self._path, metadata.num_rows, begins)
