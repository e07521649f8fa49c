"""A small healthy manifest whose lines the tests replace or extend."""

from __future__ import annotations

from collections.abc import Callable, Mapping
from pathlib import Path

import pytest
from logical_warehouse.manifest import LoadedManifest, load_manifest

HEALTHY = """\
version: 1
sources:
  nyc: {connection: nyc}
store: {uri: "alluxio://host:19998/warehouse"}
defaults: {source: nyc, schedule: "@daily", start: 2013-06-01}
tables:
  flights:
    table: public.flights
    history: {interval: {column: day}}
"""
"""Nine lines; what a test adds begins in line 10, within the table ``flights``."""

Load = Callable[..., LoadedManifest]


@pytest.fixture
def load(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Load:
    """``load(added, replaced={old: new}, environ={})``: load the healthy manifest, changed, as ``m.yaml``."""
    monkeypatch.chdir(tmp_path)

    def change_and_load(
        added: str = "", replaced: Mapping[str, str] | None = None, environ: Mapping[str, str] | None = None
    ) -> LoadedManifest:
        text = HEALTHY
        for old, new in (replaced or {}).items():
            assert old in text
            text = text.replace(old, new)
        path = Path("m.yaml")
        path.write_text(text + added, encoding="utf-8")
        return load_manifest(path, environ if environ is not None else {})

    return change_and_load
