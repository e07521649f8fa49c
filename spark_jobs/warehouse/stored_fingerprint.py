"""Spark's side of a fingerprint: aggregates over the stored rows that say what the source's SQL says of its own.

Every sum is exact: values are cut into parts of few bits, whose sums fit 64 bits for any number of rows, and put
together again in Python. Spark's sums of whole numbers would overflow, and those of wide decimals, too.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from typing import TYPE_CHECKING, assert_never

from pyspark.sql import functions as sf

from warehouse.fingerprints import ColumnFingerprint, Measure, TextHash, column_fingerprint, sums_text
from warehouse.iceberg_tables import quoted_name
from warehouse.kinds import Kind, parse_kind

if TYPE_CHECKING:
    from pyspark.sql import Column, Row

PART_BITS = 22
"""Of a 64-bit number: three parts, each summed exactly over up to 2^41 rows."""


@dataclass(frozen=True)
class StoredColumn:
    """One column to fingerprint. ``index`` makes its aliases unique.

    It is fingerprinted in two steps, so that a value is hashed once, whatever is made of its hash.
    """

    index: int
    name: str
    kind: Kind
    text_hash: TextHash
    measures: tuple[Measure, ...]

    @property
    def value(self) -> Column:
        """The stored value as both sides take it."""
        return comparable(sf.col(quoted_name(self.name)), self.kind)

    def projected(self) -> list[Column]:
        """The first step, for each row: the value, and the number that is summed in its place."""
        found = [self.value.alias(f"fingerprint value {self.index}")]
        if "sum" in self.measures:
            found.append(summed(self.value, self.kind, self.text_hash).alias(f"fingerprint summed {self.index}"))
        return found

    def aggregates(self) -> list[Column]:
        """The second step, over all rows of the first; :meth:`fingerprint` understands the answer."""
        value, number = (sf.col(f"`fingerprint {step} {self.index}`") for step in ("value", "summed"))
        found = [sf.count_if(value.isNull()).alias(f"nulls{self.index}")]
        if "range" in self.measures:
            found += [
                _extreme(which(value), self.kind).alias(f"{name}{self.index}")
                for name, which in (("min", sf.min), ("max", sf.max))
            ]
        if "sum" in self.measures:
            totals = [sf.sum(number)] if self._sums_decimals else exact_sums(number)
            found += [total.alias(f"sum{self.index}_{place}") for place, total in enumerate(totals)]
        return found

    def fingerprint(self, row: Row) -> ColumnFingerprint:
        """The fingerprint in the answer to :meth:`aggregates`."""
        answer = row.asDict()
        parts = [answer[name] for name in answer if name.startswith(f"sum{self.index}_")]
        total = parts[0] if parts else None
        if len(parts) > 1 and total is not None:
            total = sum(part << (PART_BITS * place) for place, part in enumerate(reversed(parts)))
        return column_fingerprint(
            self.name,
            str(self.kind),
            nulls=answer[f"nulls{self.index}"],
            minimum=answer.get(f"min{self.index}"),
            maximum=answer.get(f"max{self.index}"),
            total=total,
            measures=self.measures,
        )

    @property
    def _sums_decimals(self) -> bool:
        return self.kind.name == "decimal" and not sums_text(self.kind)


def stored_columns(columns: Sequence[ColumnFingerprint], text_hash: TextHash) -> list[StoredColumn]:
    """What to compute so that it can be compared with the source's ``columns``."""
    return [
        StoredColumn(index, column.name, parse_kind(column.kind), text_hash, column.measures)
        for index, column in enumerate(columns)
    ]


def row_hash(columns: Sequence[StoredColumn]) -> Column:
    """First step, for each row: the MD5 of its canonical text in hexadecimal."""
    return sf.md5(_bytes(sf.concat_ws(",", *(_canonical(column) for column in columns)))).alias("fingerprint row")


def row_hash_words() -> list[Column]:
    """Second step: ``word0`` and ``word1``, the sums of the first and second 32 bits of every row's hash."""
    words = [sf.conv(sf.substring("fingerprint row", at, 8), 16, 10).cast("bigint") for at in (1, 9)]
    return [sf.sum(word).alias(f"word{place}") for place, word in enumerate(words)]


def summed(value: Column, kind: Kind, text_hash: TextHash) -> Column:
    """What is summed for ``value``: itself, or the bits or the hash that stand for it."""
    if sums_text(kind):
        return hashed(decimal_text(value, kind), text_hash)
    return float_bits(value) if kind.name in ("float", "double") else value


def comparable(column: Column, kind: Kind) -> Column:
    """Values as both sides aggregate them: dates and timestamps as whole numbers. The session's time zone is UTC."""
    match kind.name:
        case "boolean":
            return column.cast("int")
        case "date":
            return sf.unix_date(column)
        case "timestamp":
            return sf.unix_micros(column)
        case "timestamp_ntz":
            return sf.unix_micros(column.cast("timestamp"))
        case "integer" | "long" | "decimal" | "float" | "double" | "text" | "binary":
            return column
    assert_never(kind.name)


def exact_sums(value: Column) -> list[Column]:
    """Sums of the 20 highest, the 22 middle and the 22 lowest bits of a whole number."""
    whole = value.cast("bigint")
    mask = sf.lit((1 << PART_BITS) - 1).cast("bigint")
    parts = [
        sf.shiftright(whole, 2 * PART_BITS),
        sf.shiftright(whole, PART_BITS).bitwiseAND(mask),
        whole.bitwiseAND(mask),
    ]
    return [sf.sum(part) for part in parts]


def hashed(value: Column, text_hash: TextHash) -> Column:
    """The 32-bit hash of bytes or of a text's UTF-8 bytes, as a bigint."""
    if text_hash == "crc32":
        return sf.crc32(_bytes(value))
    return sf.conv(sf.substring(sf.md5(_bytes(value)), 1, 8), 16, 10).cast("bigint")


def float_bits(value: Column) -> Column:
    """The IEEE bits of the value as a double, a signed whole number; every NaN is Java's one."""
    number = sf.coalesce(value.cast("double"), sf.lit(0.0))
    bits = sf.reflect(sf.lit("java.lang.Double"), sf.lit("doubleToLongBits"), number)
    return sf.when(value.isNotNull(), bits.cast("bigint"))


def decimal_text(value: Column, kind: Kind) -> Column:
    """All digits of the scale and no exponent, as Spark writes decimals under ANSI rules (``spark_conf`` has them on).

    Other kinds than decimals pass.
    """
    return value.cast("string") if kind.name == "decimal" else value


def _canonical(stored: StoredColumn) -> Column:
    column = sf.col(quoted_name(stored.name))
    value = comparable(column, stored.kind)
    match stored.kind.name:
        case "text":
            text = sf.concat(sf.length(value), sf.lit(":"), value)
        case "binary":
            text = sf.lower(sf.hex(value))
        case "float" | "double":
            text = float_bits(value).cast("string")
        case "decimal":
            text = decimal_text(value, stored.kind)
        case "boolean" | "integer" | "long" | "date" | "timestamp" | "timestamp_ntz":
            text = value.cast("string")
        case _:
            assert_never(stored.kind.name)
    return sf.when(column.isNull(), sf.lit("N")).otherwise(text)


def _extreme(aggregate: Column, kind: Kind) -> Column:
    return sf.md5(_bytes(aggregate)) if kind.name in ("text", "binary") else aggregate


def _bytes(value: Column) -> Column:
    return value.cast("binary")
