"""Keys as they stand in their file, and which of them say the value that a cast makes of them."""

from __future__ import annotations

from pathlib import Path

import pytest
from warehouse.forgotten_keys import KeysNotText, NoKeys, is_written_as, read_keys


def keys_of(folder: Path, content: bytes) -> frozenset[str]:
    path = folder / "keys"
    path.write_bytes(content)
    return read_keys(path, "orders")


def test_a_byte_order_mark_and_ends_of_lines_are_no_part_of_a_key(tmp_path: Path) -> None:
    assert keys_of(tmp_path, "\ufeffDE1\r\nDE2\r\n\r\n".encode()) == {"DE1", "DE2"}


def test_all_else_is(tmp_path: Path) -> None:
    within = {"a\u0085b", "a\u2028b", "a\x1cb", "a\x0bb", "a\rb", "DE2 ", "\tDE3"}
    assert keys_of(tmp_path, "\n".join(within).encode()) == within


def test_what_is_no_text_is_refused_without_showing_it(tmp_path: Path) -> None:
    with pytest.raises(KeysNotText, match="is not in UTF-8") as refused:
        keys_of(tmp_path, "DE1\n".encode("utf-16"))
    assert refused.value.__cause__ is None and refused.value.__suppress_context__
    with pytest.raises(NoKeys):
        keys_of(tmp_path, "\ufeff\r\n\n".encode())


@pytest.mark.parametrize(
    ("key", "stored"),
    [("1.23", "1.23"), ("1.230", "1.23"), (" 7", "7"), ("1e3", "1000.0"), ("0", "0E-18"), ("NaN",) * 2],
)
def test_a_number_may_be_written_in_another_way(key: str, stored: str) -> None:
    assert is_written_as(key, stored, is_number=True)


@pytest.mark.parametrize(
    ("key", "stored"),
    [("1.239", "1.24"), ("1e400", "Infinity"), ("0.12345678901234567890", "0.12345678901234568"), ("x", None)],
)
def test_a_number_that_was_rounded_is_another(key: str, stored: str | None) -> None:
    assert not is_written_as(key, stored, is_number=True)


@pytest.mark.parametrize(
    ("key", "stored"), [("2013", "2013-01-01"), ("2013-06-01 12:00:00", "2013-06-01"), ("1", "true"), ("x", None)]
)
def test_what_is_no_number_is_written_as_it_is_stored(key: str, stored: str | None) -> None:
    assert not is_written_as(key, stored, is_number=False)
    assert stored is None or is_written_as(stored, stored, is_number=False)
