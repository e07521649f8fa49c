"""What a command is asked about is found by its name, or named among what there is."""

from __future__ import annotations

from collections.abc import Callable
from pathlib import Path

import pytest
from logical_warehouse.named_plans import find_group, find_table, find_training
from warehouse.failures import PermanentError

MANIFEST = """
version: 1
sources: {bank: {connection: bank, budget: 3}}
store: {uri: "file:///dev/shm/store"}
spark: {connection: spark_default}
defaults: {source: bank, schedule: "@daily", start: 2013-06-01}
tables:
  orders: {table: public.orders, group: shop, history: {interval: {column: at}}}
  lines: {table: public.lines, group: shop, history: {interval: {column: at}}}
  broken: {table: public.broken, history: no_such_mode}
trainings:
  prices: {application: train_model.py, inputs: {orders: {window: 1}}}
"""


@pytest.fixture
def manifest(tmp_path: Path) -> Path:
    path = tmp_path / "warehouse.yaml"
    path.write_text(MANIFEST)
    return path


def test_found_by_name(manifest: Path) -> None:
    assert find_group(manifest, "shop") == find_group(manifest, "lines")
    loaded, plan, table = find_table(manifest, "lines")
    assert (plan.group, table.name) == ("shop", "lines")
    assert loaded.tables["lines"] is table
    assert find_training(manifest, "prices").training.name == "prices"


@pytest.mark.parametrize(
    ("find", "name", "message"),
    [
        (find_group, "shpo", r"healthy group or table 'shpo'; did you mean 'shop'\? it has: shop; "),
        (find_table, "ordres", r"healthy table 'ordres'; did you mean 'orders'\? it has: lines, orders; "),
        (find_table, "broken", r"healthy table 'broken'; it has: lines, orders; .*yaml` says what is wrong"),
        (find_training, "x", r"healthy training 'x'; it has: prices; "),
    ],
)
def test_a_name_that_is_not_there_is_told_with_those_that_are(
    manifest: Path, find: Callable[[Path, str], object], name: str, message: str
) -> None:
    with pytest.raises(PermanentError, match=message):
        find(manifest, name)


def test_no_manifest_is_said_to_be_none(tmp_path: Path) -> None:
    with pytest.raises(PermanentError, match=r"none\.yaml"):
        find_table(tmp_path / "none.yaml", "orders")
