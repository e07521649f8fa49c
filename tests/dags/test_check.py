"""What `check` refuses before any Spark starts, by what the store has."""

from __future__ import annotations

from pathlib import Path
from types import SimpleNamespace

import pytest
from logical_warehouse.manifest import load_manifest
from logical_warehouse.operators.check import CheckOperator
from logical_warehouse.plan import make_plan
from warehouse.failures import PermanentError
from warehouse.promises import needed
from warehouse.run_spec import IntervalSpec
from warehouse.schema_failures import TableRedefined
from warehouse.table_spec import ColumnSpec, TableSpec

from tests.unit.test_stored_tables import MANIFEST, store_table

NEXT = IntervalSpec("2013-06-02", "2013-06-02T00:00:00Z", "2013-06-03T00:00:00Z")


class Probe:
    """Of a source with one column."""

    dialect = SimpleNamespace(hashes_rows=True)

    def columns(self, table: object) -> tuple[ColumnSpec, ...]:
        return (ColumnSpec("id", "integer"),)

    def estimate(self, *_: object) -> tuple[int, int]:
        return 1, 1


def frozen(
    tmp_path: Path, source_table: str, *dates: str, manifest_text: str = MANIFEST, interval: IntervalSpec = NEXT
) -> TableSpec:
    store = tmp_path / "store"
    if dates:
        store_table(store, "orders", source_table, *dates)
    path = tmp_path / "m.yaml"
    path.write_text(manifest_text.format(store=store), encoding="utf-8")
    manifest = load_manifest(path, {}).manifest
    assert manifest is not None
    (plan,) = (one for one in make_plan(manifest).snapshots if one.group == "orders")
    return CheckOperator(task_id="check", plan=plan)._freeze(plan.tables[0], Probe(), interval)  # type: ignore[arg-type]


def test_a_table_that_means_another_is_refused(tmp_path: Path) -> None:
    with pytest.raises(
        TableRedefined, match=r"its table in the source is 'public\.orders', was 'public\.old'"
    ) as error:
        frozen(tmp_path, "public.old", "2013-06-01")
    assert isinstance(error.value, PermanentError)


def test_what_fits_beside_the_published_is_not(tmp_path: Path) -> None:
    assert frozen(tmp_path, "public.orders", "2013-06-01")


def test_only_what_is_published_is_captured_again_and_asked_memory_for(tmp_path: Path) -> None:
    again = MANIFEST.replace("orders, history: current", "orders, history: {{interval: {{column: id, lookback: 3}}}}")
    interval = IntervalSpec("2013-06-05", "2013-06-05T00:00:00Z", "2013-06-06T00:00:00Z")
    first = frozen(tmp_path, "public.orders", manifest_text=again, interval=interval)
    assert first.earlier == () and needed(first) == first.store_bytes
    dates = ("2013-06-01", "2013-06-02", "2013-06-04")
    spec = frozen(tmp_path, "public.orders", *dates, manifest_text=again, interval=interval)
    assert [one.as_of for one in spec.earlier] == ["2013-06-02", "2013-06-04"]
    assert needed(spec) == 3 * (spec.store_bytes or 0) > 0
