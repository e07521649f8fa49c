"""Arrow batches into Parquet files as Iceberg has them: columns by field id, row groups by size, no file too large."""

from __future__ import annotations

from collections.abc import Iterable, Iterator, Sequence
from dataclasses import dataclass
from pathlib import Path

import pyarrow as pa
import pyarrow.parquet as pq

ROW_GROUP_BYTES = 64 << 20
"""Of Arrow's arrays, a third or less of it in Parquet: what readers divide a file by."""

FILE_BYTES = 128 << 20
"""At which a file is complete; one for each connection is in the scratch at a time, beside the store."""

COMPRESSION_LEVEL = 3
"""Of zstd: that of Spark's own writer."""

_FIELD_ID = b"PARQUET:field_id"


@dataclass(frozen=True)
class ParquetFile:
    """A complete file. ``row_groups``: where each begins, in bytes."""

    path: Path
    rows: int
    row_groups: tuple[int, ...]


def stored_field(name: str, kind: pa.DataType, field_id: int) -> pa.Field:
    """A column as Iceberg finds it in a file."""
    return pa.field(name, kind, metadata={_FIELD_ID: str(field_id)})


def parquet_files(batches: Iterable[Sequence[pa.Array]], schema: pa.Schema, folder: Path) -> Iterator[ParquetFile]:
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
            writer, number = _Writer(folder / f"{number}.parquet", schema), number + 1
        writer.write(held)
        held = []
        if writer.size >= FILE_BYTES:
            yield writer.complete()
            writer = None
    if any(batch.num_rows for batch in held):
        writer = writer or _Writer(folder / f"{number}.parquet", schema)
        writer.write(held)
    if writer is not None:
        yield writer.complete()


class _Writer:
    def __init__(self, path: Path, schema: pa.Schema) -> None:
        self._path, self._schema = path, schema
        self._metadata: list[pq.FileMetaData] = []
        self._writer = pq.ParquetWriter(
            path,
            schema,
            compression="zstd",
            compression_level=COMPRESSION_LEVEL,
            store_decimal_as_integer=True,  # as Iceberg has them, up to 18 digits
            store_schema=False,
            metadata_collector=self._metadata,
        )

    def write(self, batches: list[pa.RecordBatch]) -> None:
        table = pa.Table.from_batches(batches, self._schema)
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
