"""What `check` refuses before any Spark starts, by what the store has."""

from __future__ import annotations

from pathlib import Path
from types import SimpleNamespace

import pytest
from logical_warehouse.manifest import load_manifest
from logical_warehouse.operators.check import CheckOperator
from logical_warehouse.plan import make_plan
from warehouse.failures import PermanentError
from warehouse.run_spec import IntervalSpec
from warehouse.schema_failures import TableRedefined
from warehouse.table_spec import ColumnSpec

from tests.unit.test_stored_tables import MANIFEST, store_table

NEXT = IntervalSpec("2013-06-02", "2013-06-02T00:00:00Z", "2013-06-03T00:00:00Z")


class Probe:
    """Of a source with one column."""

    dialect = SimpleNamespace(hashes_rows=True)

    def columns(self, table: object) -> tuple[ColumnSpec, ...]:
        return (ColumnSpec("id", "integer"),)

    def estimate(self, *_: object) -> tuple[int, int]:
        return 1, 1


def frozen(tmp_path: Path, source_table: str, as_of: str = "2013-06-01") -> object:
    store = tmp_path / "store"
    store_table(store, "orders", source_table, as_of)
    path = tmp_path / "m.yaml"
    path.write_text(MANIFEST.format(store=store), encoding="utf-8")
    manifest = load_manifest(path, {}).manifest
    assert manifest is not None
    (plan,) = (one for one in make_plan(manifest).snapshots if one.group == "orders")
    return CheckOperator(task_id="check", plan=plan)._freeze(plan.tables[0], Probe(), NEXT)  # type: ignore[arg-type]


def test_a_table_that_means_another_is_refused(tmp_path: Path) -> None:
    with pytest.raises(
        TableRedefined, match=r"its table in the source is 'public\.orders', was 'public\.old'"
    ) as error:
        frozen(tmp_path, "public.old")
    assert isinstance(error.value, PermanentError)


def test_what_fits_beside_the_published_is_not(tmp_path: Path) -> None:
    assert frozen(tmp_path, "public.orders")
