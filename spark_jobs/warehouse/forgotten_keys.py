"""The keys of ``forget``: read as they stand in their file, and compared only where no cast has changed them.

No message shows one, and no error keeps one: they are values of the data.
"""

from __future__ import annotations

from dataclasses import dataclass
from decimal import Decimal, InvalidOperation
from pathlib import Path
from typing import TYPE_CHECKING

from pyspark.sql import functions as sf
from pyspark.sql.types import NumericType, StringType

from warehouse.failures import PermanentError

if TYPE_CHECKING:
    from pyspark.sql import DataFrame, SparkSession
    from pyspark.sql.types import DataType

KEY = "forgotten key"
NUMBER = "number of the forgotten key"


@dataclass(eq=False)
class NoKeys(PermanentError):
    table: str

    def __str__(self) -> str:
        return f"table {self.table}: the file of keys has none; write one in each line"


@dataclass(eq=False)
class KeysNotText(PermanentError):
    table: str

    def __str__(self) -> str:
        return f"table {self.table}: the file of keys is not in UTF-8; save it so, with a key in each line"


@dataclass(eq=False)
class KeysOfAnotherType(PermanentError):
    """``keys``: how many of them are not as the column's values are written."""

    table: str
    column: str
    type: str
    keys: int

    def __str__(self) -> str:
        return (
            f"table {self.table}: {self.keys} of the keys are not as values of column {self.column!r} are written, "
            f"which is a {self.type}; give them as they are stored, for none is rounded or completed to what may be "
            "another's; nothing was forgotten"
        )


@dataclass(frozen=True)
class StoredKeys:
    """``frame``: the columns :data:`KEY`, of the column's type and each value once, and :data:`NUMBER`, which tells
    them apart. ``blank``: texts that begin or end with a blank."""

    frame: DataFrame
    count: int
    blank: int


def read_keys(path: Path, table: str) -> frozenset[str]:
    """The lines of a UTF-8 file as they are, but for a byte order mark, and for empty ones.

    A line ends in LF or CR LF, and in nothing else that Unicode knows, for a key may have that in it.

    :raises NoKeys: it has none.
    :raises KeysNotText: it is not in UTF-8.
    """
    try:
        text = path.read_bytes().decode("utf-8-sig")
    except UnicodeDecodeError:
        raise KeysNotText(table) from None  # which has all keys in it
    keys = frozenset(line.removesuffix("\r") for line in text.split("\n")) - {""}
    if not keys:
        raise NoKeys(table)
    return keys


def stored_keys(session: SparkSession, table: str, column: str, type_: DataType, texts: frozenset[str]) -> StoredKeys:
    """The keys as values of the column's type.

    :raises KeysOfAnotherType: some are no such values, or would become others than were written.
    """
    type_name = type_.simpleString()
    keys = session.createDataFrame(list(enumerate(sorted(texts))), f"`{NUMBER}` int, text string")
    cast = keys.select(NUMBER, "text", sf.col("text").try_cast(type_name).alias(KEY))
    is_number = isinstance(type_, NumericType)
    as_text = cast.select("text", sf.col(f"`{KEY}`").cast("string").alias("stored")).collect()
    if wrong := sum(not is_written_as(row["text"], row["stored"], is_number=is_number) for row in as_text):
        raise KeysOfAnotherType(table, column, type_name, wrong)
    each_once = cast.groupBy(f"`{KEY}`").agg(sf.min(f"`{NUMBER}`").alias(NUMBER))
    blank = sum(text != text.strip() for text in texts) if isinstance(type_, StringType) else 0
    return StoredKeys(each_once, each_once.count(), blank)


def is_written_as(key: str, stored: str | None, *, is_number: bool) -> bool:
    """Whether a key says the value that its cast has made of it.

    :param stored: that value as text, of a number in any notation; None where the key cannot be cast.
    """
    if stored is None or key == stored:
        return stored is not None
    try:
        return is_number and Decimal(key) == Decimal(stored)
    except InvalidOperation:
        return False
