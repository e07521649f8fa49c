"""A pool that would keep a snapshot waiting for ever is refused."""

from __future__ import annotations

import pytest
from logical_warehouse.pools import ensure_pool
from warehouse.failures import PermanentError


def test_a_pool_of_the_right_size_will_do() -> None:
    ensure_pool('{"warehouse_bank": 3}', "warehouse_bank", 3)


def test_an_unlimited_pool_will_do() -> None:
    ensure_pool('{"warehouse_bank": -1}', "warehouse_bank", 3)


@pytest.mark.parametrize(
    ("noted", "message"),
    [
        ('{"warehouse_bank": 2}', "pool 'warehouse_bank' has 2 slots and the snapshot needs 3"),
        ("{}", "pool 'warehouse_bank' does not exist; create it with `python -m logical_warehouse pools`"),
        (None, "The scheduler has not noted its pools"),
    ],
)
def test_anything_else_is_refused(noted: str | None, message: str) -> None:
    with pytest.raises(PermanentError) as refused:
        ensure_pool(noted, "warehouse_bank", 3)
    assert message in str(refused.value)
