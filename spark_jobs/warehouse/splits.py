"""How a read is divided over connections: pure decisions over what the held state answers.

Two questions are kept apart. Where the borders lie is a guess from a sample, and a bad one costs time only. That every
row is read by exactly one connection is proved by the form of the conditions alone: for any borders, in any order, a
row belongs to the first split whose border its key is below, and to the last where it is below none.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass

SPLIT_KEY = "split_key"
"""Alias under which a split's key stands beside a table's columns; those are aliased c0, c1, … and cannot collide."""

SAMPLE_ROWS = 20_000
"""Rows that a sample of keys aims at: its borders are off by 1 % of the rows, up to 6 % where rows lie in order."""

READ_WHOLE_ROWS = 50_000
"""Estimated rows up to which all keys are looked at. Measured: 1,000,000 keys take 2 to 5 s, a sample of them 0.1 s."""

BORDERS_PER_PART = 16
"""Keys, evenly placed among all of them, of which the borders are chosen."""

SMALL_INTERVAL = 0.25
"""Share of a table's rows below which an interval is read by an index on its column, and not by place."""


@dataclass(frozen=True)
class KeyAt:
    """A key as text, None for NULL, with its rank among ``of`` keys, from 1: the same for keys that are equal."""

    text: str | None
    rank: int
    of: int


@dataclass(frozen=True)
class Division:
    """``conditions``: one for each connection, on ``expression`` under the alias ``split_key``; empty for a single one.

    ``why``: the rest of the log line ``flights: 2 connections, …``; it holds no value of the data.
    """

    why: str
    expression: str | None = None
    conditions: tuple[str, ...] = ()


def grid(parts: int) -> int:
    """How many keys a sample hands over."""
    return parts * BORDERS_PER_PART


def sample_share(estimated_rows: int | None) -> float:
    """Which share of the rows to look at, in (0, 1]; all where nobody knows how many there are."""
    if estimated_rows is None or estimated_rows <= READ_WHOLE_ROWS:
        return 1.0
    return SAMPLE_ROWS / estimated_rows


def borders(keys: Sequence[KeyAt], parts: int) -> list[str]:
    """At most ``parts - 1`` keys that divide ``keys`` most evenly; fewer where keys repeat, none where all are equal.

    ``keys``: in the source's order, NULL first, evenly placed among all keys. Each border is the first of its equals,
    so that a key which many rows share stays together and makes no split empty.
    """
    starts = [
        place
        for place in range(1, len(keys))
        if keys[place].rank != keys[place - 1].rank and keys[place].text is not None
    ]
    chosen: list[int] = []
    for part in range(1, parts if keys else 1):
        target = keys[0].of * part / parts
        free = [place for place in starts if not chosen or place > chosen[-1]]
        if free:
            chosen.append(min(free, key=lambda place: abs(keys[place].rank - 1 - target)))
    # A text is cut for the border, after which two may be the same.
    return list(dict.fromkeys(text for place in chosen if (text := keys[place].text) is not None))


def conditions(literals: Sequence[str], *, nulls: bool = True) -> tuple[str, ...]:
    """For each split the condition on ``split_key``; none where there is no border.

    Whatever the literals are, and in whatever order, every key meets exactly one condition, NULL that of the first
    split. ``nulls=False``: the key is never NULL, and saying so would keep the source from using the key's order.

    :param literals: borders in the source's SQL.
    """
    if not literals:
        return ()
    first = f"{SPLIT_KEY} < {literals[0]}"
    found = [f"({first}) OR {SPLIT_KEY} IS NULL" if nulls else first]
    for number in range(1, len(literals) + 1):
        limits = [f"{SPLIT_KEY} >= {literal}" for literal in literals[:number]]
        limits += [f"{SPLIT_KEY} < {literal}" for literal in literals[number : number + 1]]
        found.append(" AND ".join(limits))
    return tuple(found)


def even_pages(pages: Sequence[int], parts: int) -> list[int]:
    """At most ``parts - 1`` rising page numbers that divide relations of so many ``pages`` evenly, all by the same.

    A partitioned table is read by the same ranges of pages in each of its partitions, of which the small ones end
    before the large ones do.
    """
    total, largest = sum(pages), max(pages, default=0)
    found = []
    for part in range(1, parts):
        low, high = 1, max(1, largest)
        while low < high:
            middle = (low + high) // 2
            if sum(min(count, middle) for count in pages) * parts < total * part:
                low = middle + 1
            else:
                high = middle
        found.append(low)
    return sorted({page for page in found if page < largest})
