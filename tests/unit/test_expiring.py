"""Ending the oldest dates by hand."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import replace
from pathlib import Path

import pytest
from logical_warehouse import expiring
from logical_warehouse.cli import main
from logical_warehouse.expiring import ended_line, ending_line, keeping
from logical_warehouse.manifest import load_manifest
from logical_warehouse.stored_tables import StoredTable
from warehouse.expire_spec import EndedByHand, Ending, ExpireResult
from warehouse.retention import older_than

from tests.unit.records import snapshot_record

DATES = [
    snapshot_record(
        "flights", f"2013-06-0{day}", f"2013-06-0{day}T00:00:00Z", f"2013-06-0{day + 1}T00:00:00Z", bytes=day
    )
    for day in (1, 2, 3)
]


def test_what_goes_is_older_and_never_the_newest() -> None:
    assert older_than("2013-06-02T00:00:00Z", DATES) == DATES[:1]
    assert older_than("2014-01-01T00:00:00Z", reversed(DATES)) == DATES[:2]
    assert older_than("2013-06-01T00:00:00Z", DATES) == [] == older_than("2014-01-01T00:00:00Z", DATES[:0])
    assert ending_line("flights", DATES[:2], 2) == (
        "flights: 2 as-of date(s), 2013-06-01 to 2013-06-02, 6 bytes; --yes ends them"
    )
    assert "3 bytes, of which what churn, delays read stays (keep_inputs); --yes" in ending_line(
        "flights", DATES[:2], 1, kept_by=["churn", "delays"]
    )
    assert ending_line("flights", [], 1) == "flights: no as-of date is that old; the newest one always stays"


def test_what_trainings_keep_is_not_said_to_be_freed() -> None:
    assert ended_line("flights", ExpireResult(("2013-06-01",)), "now", 1) == (
        "flights: ended 1 as-of date(s); their memory is freed now"
    )
    kept = ExpireResult(("2013-06-01",), ("keep_churn_2013-06-01",), 12_000)
    assert ended_line("flights", kept, "in 60 s", 2).endswith(
        "is freed in 60 s, but for 24,000 bytes that trainings keep as their inputs (keep_churn_2013-06-01)"
    )


def test_trainings_that_keep_what_they_read_of_a_table(tmp_path: Path) -> None:
    path = tmp_path / "m.yaml"
    path.write_text(MANIFEST, encoding="utf-8")
    manifest = load_manifest(path, {}).manifest
    assert manifest is not None
    assert [keeping(manifest, table) for table in ("orders", "clients")] == [["churn"], []]


MANIFEST = """\
version: 1
sources: {shop: {connection: shop}}
store: {uri: 'file:///dev/shm/store'}
defaults: {source: shop, schedule: "@daily", start: 2013-06-01}
tables:
  orders: {table: public.orders, history: {interval: {column: at}}}
  clients: {table: public.clients, history: {interval: {column: at}}}
trainings:
  churn: {application: a.py, inputs: {orders: {window: 1}}, keep_inputs: true}
  other: {application: a.py, inputs: {orders: {window: 1}, clients: {window: 1}}}
"""


@pytest.fixture
def commanded(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Commanded:
    return Commanded(tmp_path, monkeypatch)


class Commanded:
    """The command on a table of which the store has :data:`DATES`, with neither Spark nor Airflow."""

    def __init__(self, folder: Path, monkeypatch: pytest.MonkeyPatch) -> None:
        self.told: list[list[Ending]] = []
        self.stored = StoredTable("orders", None, tuple(DATES), EndedByHand(()))
        self.manifest = folder / "m.yaml"
        self.manifest.write_text(MANIFEST, encoding="utf-8")
        monkeypatch.setattr(expiring, "read_stored_table", lambda *_: self.stored)
        monkeypatch.setattr(expiring, "note_endings", self.note)
        monkeypatch.setattr(expiring, "result_of", self.end)

    def note(self, uri: str, table: str, endings: Sequence[Ending]) -> None:
        assert (uri, table) == ("warehouse://snapshots/orders", "orders")
        self.told.append(list(endings))

    def end(self, *_: object) -> ExpireResult | None:
        self.stored = replace(self.stored, records=tuple(DATES[1:]), ended_by_hand=EndedByHand((ENDING,)))
        return ExpireResult((DATES[0].as_of,))

    def run(self, *more: str) -> int:
        return main(["expire", "orders", "--before", "2013-06-02", "--manifest", str(self.manifest), *more])


ENDING = Ending("2013-06-05T00:00:00Z", "clerk", "2013-06-01", "2013-06-01")


def test_airflow_is_told_what_was_ended(commanded: Commanded, capsys: pytest.CaptureFixture[str]) -> None:
    assert commanded.run() == 0 and commanded.told == [], "nothing without --yes"
    assert commanded.run("--yes") == 0
    assert commanded.told == [[], [ENDING]] and "ended 1 as-of date(s)" in capsys.readouterr().out
    # One that was killed before it could tell is told of by the next, though that has nothing to end.
    commanded.told.clear()
    assert commanded.run("--yes") == 0 and commanded.told == [[ENDING]]


def test_an_airflow_that_cannot_be_told_ends_nothing(commanded: Commanded, monkeypatch: pytest.MonkeyPatch) -> None:
    def away(*_: object) -> None:
        raise OSError("no database")

    monkeypatch.setattr(expiring, "note_endings", away)
    with pytest.raises(OSError, match="no database"):
        commanded.run("--yes")
    assert commanded.stored.records == tuple(DATES)
