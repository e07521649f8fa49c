"""Splits: every row in exactly one of them whatever the borders are, and borders that share the rows out."""

from __future__ import annotations

import random
import sqlite3
from collections import Counter
from collections.abc import Callable

import pytest
from warehouse.splits import SPLIT_KEY, KeyAt, borders, conditions, even_pages, grid, sample_share

SEEDS = range(30)
Key = int | str | None

KEYS: dict[str, Callable[[random.Random], Key]] = {
    "even": lambda rng: rng.randrange(1_000_000),
    "few": lambda rng: rng.randrange(3),
    "one": lambda rng: 7,
    "heavy": lambda rng: rng.choice([5, 5, 5, 5, 5, 5, rng.randrange(100)]),
    "powers": lambda rng: int(10_000 * rng.paretovariate(1)),
    "nulls": lambda rng: rng.choice([None, None, None, rng.randrange(50)]),
    "only nulls": lambda rng: None,
    "texts": lambda rng: "".join(rng.choices("aAzZ'é\u4e00 \\", k=rng.randrange(4))),
    "texts and nulls": lambda rng: rng.choice([None, "", "a", "a'b", "b"]),
}


def literal(text: str, kind: str) -> str:
    return "'" + text.replace("'", "''") + "'" if "text" in kind else text


def sampled(keys: list[Key], count: int) -> list[KeyAt]:
    """As ``key_sample_sql`` hands them over: at most ``count`` keys with their ranks, NULL first."""
    order = sorted(keys, key=lambda key: (key is not None, key if key is not None else 0))
    ranks: dict[Key, int] = {}
    for number, key in enumerate(order, 1):
        ranks.setdefault(key, number)
    total = len(order)
    return [
        KeyAt(None if key is None else str(key), ranks[key], total)
        for number, key in enumerate(order, 1)
        if number * count % total < count
    ]


def rows_of(keys: list[Key], found: tuple[str, ...]) -> list[list[int]]:
    """For each condition the numbers of the rows that meet it, as a database says."""
    database = sqlite3.connect(":memory:")
    database.execute(f"CREATE TABLE rows (number integer, {SPLIT_KEY})")
    database.executemany("INSERT INTO rows VALUES (?, ?)", list(enumerate(keys)))
    return [[row[0] for row in database.execute(f"SELECT number FROM rows WHERE {one}")] for one in found]


@pytest.mark.parametrize("seed", SEEDS)
@pytest.mark.parametrize("kind", KEYS)
def test_every_row_meets_one_condition_and_no_split_is_empty(kind: str, seed: int) -> None:
    rng = random.Random(seed)
    keys = [KEYS[kind](rng) for _ in range(rng.choice([1, 2, 3, 10, 1000]))]
    parts = rng.randrange(2, 9)
    found = conditions([literal(border, kind) for border in borders(sampled(keys, grid(parts)), parts)])
    splits = rows_of(keys, found or ("1 = 1",))
    assert sorted(number for split in splits for number in split) == list(range(len(keys)))
    assert all(splits) and len(splits) <= parts


@pytest.mark.parametrize("seed", SEEDS)
def test_borders_in_any_order_still_make_splits(seed: int) -> None:
    rng = random.Random(seed)
    keys: list[Key] = [rng.choice([None, rng.randrange(-5, 5)]) for _ in range(200)]
    found = conditions([str(rng.randrange(-7, 7)) for _ in range(rng.randrange(1, 6))])
    assert Counter(number for split in rows_of(keys, found) for number in split) == Counter(range(200))


@pytest.mark.parametrize("kind", ["even", "powers"])
def test_borders_share_the_rows_out(kind: str) -> None:
    rng = random.Random(1)
    keys = [KEYS[kind](rng) for _ in range(10_000)]
    splits = rows_of(keys, conditions(borders(sampled(keys, grid(4)), 4)))
    assert all(2_300 <= len(split) <= 2_700 for split in splits)


def test_a_key_that_most_rows_share_has_a_split_of_its_own() -> None:
    keys: list[Key] = [*[5] * 6_000, *range(6, 4_006)]
    sizes = [len(split) for split in rows_of(keys, conditions(borders(sampled(keys, grid(2)), 2)))]
    assert 6_000 <= sizes[0] <= 6_400
    with_nulls: list[Key] = [*[None] * 6_000, *range(4_000)]
    sizes = [len(split) for split in rows_of(with_nulls, conditions(borders(sampled(with_nulls, grid(2)), 2)))]
    assert 6_000 <= sizes[0] <= 6_400


def test_without_keys_there_is_one_connection() -> None:
    assert borders([], 4) == [] and conditions([]) == ()


def test_null_keys_go_to_the_first_split() -> None:
    assert conditions(["5", "9"]) == (
        "(split_key < 5) OR split_key IS NULL",
        "split_key >= 5 AND split_key < 9",
        "split_key >= 5 AND split_key >= 9",
    )


def test_a_border_that_was_cut_off_is_used_once() -> None:
    keys = [KeyAt(text, rank, 4) for rank, text in enumerate(["aa", "xx", "xx", "xx"], 1)]
    assert borders(keys, 4) == ["xx"]


@pytest.mark.parametrize(
    ("pages", "parts", "expected"),
    [
        ([90], 3, [30, 60]),
        ([0], 2, []),
        ([1], 2, []),
        ([2], 4, [1]),
        ([], 2, []),
        ([100, 100, 100], 2, [50]),
        # 1,000 pages in one partition and as many in ten others: at page 100 half of all have been read.
        ([1_000] + [100] * 10, 2, [91]),
    ],
)
def test_pages_of_all_partitions_are_shared_out(pages: list[int], parts: int, expected: list[int]) -> None:
    assert even_pages(pages, parts) == expected


def test_only_large_tables_are_sampled() -> None:
    assert sample_share(None) == sample_share(0) == sample_share(50_000) == 1.0
    assert sample_share(2_000_000) == 0.01
