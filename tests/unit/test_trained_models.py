"""Which models of the store tell what they read."""

from __future__ import annotations

import dataclasses
import json
from pathlib import Path

import pytest
from logical_warehouse.manifest import load_manifest
from logical_warehouse.store_files import LocalFiles
from logical_warehouse.trained_models import models_in_store
from warehouse.store_failures import FileIncomplete
from warehouse.train_spec import InputRead

DAY = "2013-06-01"


def test_a_training_that_died_as_it_wrote_what_it_read_hides_no_other_model(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    manifest = tmp_path / "m.yaml"
    manifest.write_text(
        f"version: 1\nsources: {{shop: {{connection: shop}}}}\nstore: {{uri: 'file://{tmp_path}'}}\n"
        "defaults: {source: shop, schedule: '@daily', start: 2013-06-01}\n"
        "tables: {orders: {table: public.orders, history: current}}\n"
    )
    for run in ("died-try1", "r7-try1"):
        folder = tmp_path / "_models" / "churn" / DAY / run
        folder.mkdir(parents=True)
        read = InputRead("orders", "all", (DAY,), 1, 10, ())
        (folder / "inputs.json").write_text(json.dumps({"run_id": run, "inputs": [dataclasses.asdict(read)]}))
    read_complete = LocalFiles().read

    def read_file(files: LocalFiles, path: str) -> bytes:
        if "/died-try1/" in path:
            raise FileIncomplete(path)
        return read_complete(path)

    monkeypatch.setattr(LocalFiles, "read", read_file)
    loaded = load_manifest(manifest, {})
    assert loaded.manifest is not None
    assert [model.run_id for model in models_in_store(loaded.manifest, "orders")] == ["r7-try1"]
