"""Tables that the store has and the manifest does not: listed, told of, and dropped when somebody says so twice."""

from __future__ import annotations

import json
from dataclasses import replace
from pathlib import Path

import pytest
from logical_warehouse.cli import main
from logical_warehouse.manifest import Store
from logical_warehouse.store_files import LocalFiles
from logical_warehouse.stored_tables import read_stored_table, tries_in, unknown_tables
from warehouse.snapshot_record import SnapshotRecord
from warehouse.spec_json import to_json

from tests.unit.records import snapshot_record

MANIFEST = """\
version: 1
sources: {{shop: {{connection: shop, budget: 3}}}}
store: {{uri: 'file://{store}'}}
defaults: {{source: shop, schedule: "@daily", start: 2013-06-01}}
tables:
  orders: {{table: public.orders, history: current}}
  clients: {{table: public.customers, history: current}}
"""


def record(table: str, as_of: str) -> SnapshotRecord:
    moment = f"{as_of}T00:00:00Z"
    return snapshot_record(table, as_of, moment, moment, history="current", bytes=3_000_000)


def store_table(store: Path, name: str, source_table: str, *dates: str) -> Path:
    """A table's folder as Iceberg leaves it, its hint one commit behind."""
    folder = store / "snapshots" / name
    (folder / "metadata").mkdir(parents=True)
    (folder / "data").mkdir()
    (folder / "data" / "rows.parquet").write_bytes(b"rows")
    records = [record(name, as_of) for as_of in dates]
    properties = {one.property_name: to_json(one) for one in records} | {"warehouse.source_table": source_table}
    for version, kept in ((1, {}), (2, properties)):
        (folder / "metadata" / f"v{version}.metadata.json").write_text(json.dumps({"properties": kept}))
    (folder / "metadata" / "version-hint.text").write_text("1")
    return folder


@pytest.fixture
def store(tmp_path: Path) -> Path:
    folder = tmp_path / "store"
    store_table(folder, "orders", "public.orders", "2013-06-02", "2013-06-01")
    store_table(folder, "customers", "public.customers", "2013-06-01")
    return folder


@pytest.fixture
def manifest(tmp_path: Path, store: Path) -> Path:
    path = tmp_path / "m.yaml"
    path.write_text(MANIFEST.format(store=store), encoding="utf-8")
    return path


def test_the_list(manifest: Path, capsys: pytest.CaptureFixture[str]) -> None:
    assert main(["tables", "--manifest", str(manifest)]) == 0
    rows = [[cell.strip() for cell in line.strip("│").split("│")] for line in capsys.readouterr().out.splitlines()]
    assert [row for row in rows if len(row) == 6] == [
        ["orders", "public.orders", "2", "2013-06-02", "6.0", ""],
        ["clients", "public.customers", "0", "", "", "never captured"],
        ["customers", "public.customers", "1", "2013-06-01", "3.0", "only in the store"],
    ]


def test_what_tries_have_left_is_named_of_a_table_that_cannot_be_read_too(store: Path) -> None:
    for folder in ("orders/data/run_a_try1", "orders/data/other", "broken/data/run_b_try2", "broken/metadata"):
        (store / "snapshots" / folder).mkdir(parents=True)
    (store / "snapshots/broken/metadata/version-hint.text").write_text("")
    assert tries_in(Store(uri=f"file://{store}"), ["orders", "broken", "none"]) == {"run_a_try1", "run_b_try2"}


def test_drop_takes_the_manifest_on_either_side_of_its_word(manifest: Path, store: Path) -> None:
    assert main(["tables", "drop", "customers", "--yes", "--manifest", str(manifest)]) == 0
    assert not (store / "snapshots/customers").exists()


def test_a_table_without_its_hint_is_read(store: Path) -> None:
    """As a driver leaves it that is killed between the two halves of writing it."""
    whole = read_stored_table(LocalFiles(), str(store / "snapshots"), "orders")
    (store / "snapshots/orders/metadata/version-hint.text").unlink()
    assert whole is not None and read_stored_table(LocalFiles(), str(store / "snapshots"), "orders") == whole


@pytest.mark.parametrize(
    ("file", "text"),
    [
        ("version-hint.text", ""),
        ("v2.metadata.json", "{"),
        ("v2.metadata.json", json.dumps({"properties": {"warehouse.snapshot.2013-06-01": '{"version": 99}'}})),
    ],
)
def test_a_table_that_cannot_be_read_is_told_of_by_every_command(
    manifest: Path, store: Path, capsys: pytest.CaptureFixture[str], file: str, text: str
) -> None:
    (store / "snapshots/customers/metadata" / file).write_text(text)
    sentence = "table customers: its metadata in the store cannot be read: another version of this package wrote them"
    assert main(["tables", "--manifest", str(manifest)]) == 0
    said = capsys.readouterr()
    assert said.err.startswith(sentence) and "cannot be read" in said.out and "2013-06-02" in said.out
    known = {"orders": "public.orders", "clients": "public.customers"}
    assert len(list(unknown_tables(LocalFiles(), Store(uri=f"file://{store}"), known, ["clients"]))) == 1
    manifest.write_text(manifest.read_text().replace("clients:", "customers:"))
    assert main(["expire", "customers", "--before", "2013-06-02", "--manifest", str(manifest)]) == 1
    assert capsys.readouterr().err.startswith(sentence)
    manifest.write_text(manifest.read_text().replace("customers:", "clients:"))
    assert main(["tables", "--manifest", str(manifest), "drop", "customers", "--yes"]) == 0
    assert not (store / "snapshots/customers").exists()


@pytest.mark.parametrize("history", ["interval", "current"])
def test_what_a_training_keeps(store: Path, history: str) -> None:
    """Of intervals the Iceberg snapshot of one has all that were published before."""
    days = (1, 2, 3)
    records = [
        replace(record("orders", f"2013-06-0{day}"), history=history, iceberg_snapshot_id=day)  # type: ignore[arg-type]
        for day in days
    ]
    metadata = {
        "properties": {one.property_name: to_json(one) for one in records},
        "refs": {"keep_model_2013-06-02": {"snapshot-id": 2, "type": "tag"}, "main": {"snapshot-id": 3}},
        "snapshots": [{"snapshot-id": day, "timestamp-ms": 1_370_044_801_000 + (day - 1) * 86_400_000} for day in days],
    }
    (store / "snapshots/orders/metadata/v2.metadata.json").write_text(json.dumps(metadata))
    table = read_stored_table(LocalFiles(), f"{store}/snapshots", "orders")
    assert table is not None
    assert [table.is_kept(one) for one in table.records] == [history == "interval", True, False]


def test_a_renamed_table_is_recognised_by_its_source_table(store: Path) -> None:
    known = {"orders": "public.orders", "clients": "public.customers"}
    (said,) = unknown_tables(LocalFiles(), Store(uri=f"file://{store}"), known, ["clients"])
    assert "the store has a table 'customers'" in said and "'clients' has the same source table" in said
    (said,) = unknown_tables(
        LocalFiles(), Store(uri=f"file://{store}"), {"orders": "x.y", "customer": "x.z"}, ["orders"]
    )
    assert "did you mean 'customer'?" in said and "tables drop customers" in said


def test_a_store_without_tables_says_nothing(tmp_path: Path) -> None:
    assert not list(unknown_tables(LocalFiles(), Store(uri=f"file://{tmp_path}/none"), {"a": "b.c"}, ["a"]))


def test_dropping_asks_for_the_name_again(
    manifest: Path, store: Path, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    drop = ["tables", "--manifest", str(manifest), "drop", "customers"]
    monkeypatch.setattr("builtins.input", lambda _: "yes")
    assert main(drop) == 1 and (store / "snapshots" / "customers" / "metadata").exists()
    monkeypatch.setattr("builtins.input", lambda _: "customers")
    assert main(drop) == 0 and not (store / "snapshots" / "customers").exists()
    assert "customers: 1 as-of dates, 3.0 MB" in capsys.readouterr().out
    assert (store / "snapshots" / "orders" / "data" / "rows.parquet").exists()


def test_a_table_whose_metadata_are_lost_is_dropped_though_the_manifest_has_it(
    manifest: Path, store: Path, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    found = LocalFiles().in_memory

    def in_memory(files: LocalFiles, path: str) -> dict[str, bool]:
        return {file: "orders/metadata/v2" not in file for file in found(path)}

    # What only Alluxio says of a file.
    monkeypatch.setattr(LocalFiles, "in_memory", in_memory)
    assert main(["tables", "--manifest", str(manifest)]) == 0
    assert "metadata lost" in capsys.readouterr().out
    monkeypatch.setattr("builtins.input", lambda _: "no")
    assert main(["tables", "--manifest", str(manifest), "drop", "orders"]) == 1
    assert main(["tables", "--manifest", str(manifest), "drop", "orders", "--yes"]) == 0
    assert "orders: its metadata are lost, so nothing of it can be read" in capsys.readouterr().out
    assert [path.name for path in (store / "snapshots").iterdir()] == ["customers"]


@pytest.mark.parametrize(
    ("name", "words"),
    [
        ("orders", "has the table 'orders', whose runs would write it again"),
        ("costumers", "The store has no table 'costumers'; did you mean 'customers'?"),
        ("../store", "The store has no table '../store'"),
    ],
)
def test_what_is_not_dropped(
    manifest: Path, store: Path, capsys: pytest.CaptureFixture[str], name: str, words: str
) -> None:
    assert main(["tables", "--manifest", str(manifest), "drop", name, "--yes"]) == 1
    assert words in capsys.readouterr().err
    assert {path.name for path in (store / "snapshots").iterdir()} == {"orders", "customers"}


def test_a_manifest_with_problems_drops_nothing(manifest: Path, capsys: pytest.CaptureFixture[str]) -> None:
    """A table with a problem would look as if the manifest did not have it."""
    manifest.write_text(manifest.read_text() + "  customers: {table: public.customers, histroy: current}\n")
    assert main(["tables", "--manifest", str(manifest), "drop", "customers", "--yes"]) == 1
    assert "histroy" in capsys.readouterr().err


def test_a_store_that_cannot_be_looked_into_says_what_to_do(
    manifest: Path, store: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    manifest.write_text(
        manifest.read_text().replace(f"'file://{store}'", "'hdfs://name/warehouse', memory_only: false")
    )
    assert main(["tables", "--manifest", str(manifest)]) == 1
    assert "DROP TABLE … PURGE" in capsys.readouterr().err
