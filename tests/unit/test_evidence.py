"""What `evidence` puts together, of a published, a lost, an expired and an unknown snapshot."""

from __future__ import annotations

import dataclasses
import json
import shutil
from dataclasses import replace
from pathlib import Path
from typing import Any

import pytest
from logical_warehouse import evidence
from logical_warehouse.airflow_history import AirflowHistory, Ended, PublishedEvent, ended_in, once_each, record_of
from logical_warehouse.audit_log import Reader
from logical_warehouse.cli import main
from logical_warehouse.evidence import Evidence, StoredNow, gather, lines
from logical_warehouse.losses import Published, publications
from logical_warehouse.manifest import Manifest, Retention, load_manifest
from logical_warehouse.store_files import LocalFiles
from logical_warehouse.trained_models import models_in_store, models_of_results, that_read, together
from warehouse.access_spec import AccessSpec
from warehouse.expire_spec import ENDED_BY_HAND, MOST_ENDINGS, EndedByHand, Ending
from warehouse.forgotten import (
    Forgotten,
)
from warehouse.lost_marks import LostMark, LostMarks
from warehouse.retention import RETAINED_FROM
from warehouse.snapshot_record import SnapshotRecord
from warehouse.spec_json import to_json
from warehouse.train_spec import InputRead, TrainResult
from warehouse.validate_spec import PublishedTable, ValidateResult

from tests.unit.records import ORDERS, snapshot_record, write_metadata

DAY = "2013-06-01"


def record(**others: Any) -> SnapshotRecord:
    return snapshot_record("orders", DAY, f"{DAY}T00:00:00Z", "2013-06-02T00:00:00Z", **others)


def write_model(store: Path, training: str, as_of: str, run_id: str, *dates: str) -> Path:
    folder = store / "_models" / training / as_of / f"{run_id}-try1"
    folder.mkdir(parents=True)
    read = InputRead("orders", "window", dates, 5, 10)
    (folder / "inputs.json").write_text(json.dumps({"run_id": run_id, "inputs": [dataclasses.asdict(read)]}))
    return folder


@pytest.fixture
def store(tmp_path: Path) -> Path:
    return tmp_path / "store"


@pytest.fixture
def manifest(tmp_path: Path, store: Path) -> Manifest:
    path = tmp_path / "warehouse.yaml"
    path.write_text(ORDERS.format(store=f"/dev/shm{store}"))  # which must be in memory
    loaded = load_manifest(path).manifest
    assert loaded is not None
    return dataclasses.replace(loaded, store=loaded.store.model_copy(update={"uri": f"file://{store}"}))


def said(found: Evidence) -> dict[str, list[str]]:
    by_name: dict[str, list[str]] = {}
    for name, value in lines(found):
        by_name.setdefault(name, []).append(value)
    return by_name


def known(*published: SnapshotRecord, expired_at: str = "", **others: Any) -> AirflowHistory:
    """What Airflow knows of snapshots that were published a minute after their record says, the oldest first.

    :param expired_at: when a run of another date ended the day by retention.
    """
    events = [(one.as_of, dataclasses.asdict(one)) for one in published]
    ended: tuple[Ended, ...] = ()
    if expired_at:
        ending = dataclasses.replace(record(), as_of="2013-06-30", published_at=expired_at)
        events.append((ending.as_of, dataclasses.asdict(ending) | {"expired": [DAY]}))
        ended = (Ended(expired_at, "snapshot_orders", "r90"),)
    return AirflowHistory(
        tuple(PublishedEvent(one.published_at, "snapshot_orders", "r", one) for one in published),
        ended,
        publications(reversed(events)),
        **others,
    )


def test_a_published_snapshot(manifest: Manifest, store: Path) -> None:
    published = record(
        rows=10, source_rows=10, validate="rows", fingerprint="abc", digest="d1",
        source_position="0/1", captured_at="2013-06-02T01:00:00Z",
    )  # fmt: skip
    write_metadata(store, "orders", published)
    model = write_model(store, "churn", DAY, "r7", DAY)
    write_model(store, "churn", "2013-06-05", "r8", "2013-06-05")
    found = gather(manifest, "orders", DAY, known(published))
    assert (found.state, found.record) == ("published", published)
    text = said(found)
    assert text["snapshot"] == ["orders as of 2013-06-01: published"]
    assert text["captured"] == ["at 2013-06-02T01:00:00Z from source shop"]
    assert text["by run"] == ["d, r"]
    assert text["rows"] == ["10 stored, 10 in the source when captured; 1 bytes"]
    assert text["equal to the source"] == ["in all columns and a hash of all rows, when published: fingerprint abc"]
    assert text["in memory only"] == ["not known, when published"]
    assert text["read by training"] == [f"churn as of 2013-06-01, run r7: file://{model}"]
    assert "expired" not in text
    json.dumps(dataclasses.asdict(found))


def test_what_alluxio_says_now(manifest: Manifest, monkeypatch: pytest.MonkeyPatch) -> None:
    def entry(name: str, *, folder: bool = False, state: str = "NOT_PERSISTED", memory: int = 100) -> dict[str, Any]:
        return {
            "name": name, "isDirectory": folder, "pinned": True, "persistenceState": state, "size": "5B",
            "inAlluxioPercentage": memory, "owner": "jobs", "group": "analysts", "mode": "drwxr-x---",
        }  # fmt: skip

    listing = {
        "/w/snapshots": [entry("orders", folder=True), entry("other", folder=True)],
        "/w/snapshots/orders": [entry("data", folder=True), entry("v1")],
        "/w/snapshots/orders/data": [entry("a"), entry("b", state="PERSISTED"), entry("c", memory=0)],
    }
    monkeypatch.setattr(evidence, "browse", lambda web, path: iter(listing[path]))
    now = evidence._now("http://web", "/w/snapshots/orders")
    assert now == StoredNow(4, 2, True, "jobs", "analysts", "drwxr-x---")
    assert evidence._now("http://web", "/w/snapshots/gone") is None
    text = said(
        Evidence("orders", DAY, "published", record(in_memory=True, access=AccessSpec("analysts")), (), (), now, ())
    )
    assert text["in memory only"] == ["yes, when published", "2 of 4 files NOT, now (4 files of the table, pinned)"]
    assert text["allowed to read"] == ["group analysts, when published", "now: jobs:analysts drwxr-x---"]
    assert "audit log" not in text


def test_who_asked_for_it_by_the_audit_log() -> None:
    asked = (Reader("ana", 1200, 0, "10:00", "11:00"), Reader("mallory", 0, 3, "10:30", "10:31"))
    found = Evidence("orders", DAY, "published", record(), (), (), None, (), asked)
    assert said(found)["audit log"] == [
        "ana: 1,200 requests, 10:00 to 11:00", "mallory: 0 requests, refused 3 times, 10:30 to 10:31",
    ]  # fmt: skip
    assert said(dataclasses.replace(found, readers=()))["audit log"] == ["nobody asked for its files"]


def test_one_that_retention_ended(manifest: Manifest, store: Path) -> None:
    old = record(validate="count")
    result = ValidateResult((PublishedTable(record(), False, (DAY,), 1.0),), 1.0)
    assert ended_in(to_json(result), "orders", DAY) and not ended_in(to_json(result), "clients", DAY)
    assert not ended_in("not JSON", "orders", DAY) and not ended_in(None, "orders", DAY)
    trained = TrainResult("churn", DAY, {}, (InputRead("orders", "window", (DAY,), 5, 10),), "m", 1.0)
    history = known(
        old,
        expired_at="2013-09-01T00:00:00Z",
        training_results=(("r7", to_json(trained)), ("r8", "nonsense")),
    )
    found = gather(manifest, "orders", DAY, history)
    assert (found.state, found.record) == ("expired", old)
    text = said(found)
    assert text["expired"] == ["at 2013-09-01T00:00:00Z by retention, in snapshot_orders, run r90"]
    assert text["published"] == ["at 2013-06-02T00:00:00Z by snapshot_orders, run r"]
    assert text["equal to the source"] == ["in the number of rows (validate: count)"]
    assert text["read by training"] == ["churn as of 2013-06-01, run r7: its model is not in the store (any more)"]
    assert said(gather(manifest, "orders", DAY, dataclasses.replace(history, ended=())))["expired"] == [
        "when is not known: by retention or by hand, of which no run or note is left"
    ]


def test_one_that_is_away_and_that_nobody_has_ended_is_lost(manifest: Manifest, store: Path) -> None:
    """As after Alluxio's journal is gone, and before the monitor looks, if it is not paused."""
    text = said(gather(manifest, "orders", DAY, known(record())))
    assert text["snapshot"] == ["orders as of 2013-06-01: lost"] and "expired" not in text
    assert text["lost"] == [
        "the store does not have it, and nothing says that it was ended; the monitor has not said so yet"
    ]
    # It had been ended, and was published anew since.
    anew = dataclasses.replace(record(), published_at="2013-10-01T00:00:00Z")
    ended = known(record(), expired_at="2013-09-01T00:00:00Z")
    found = dataclasses.replace(known(anew), ended=ended.ended)
    assert gather(manifest, "orders", DAY, found).state == "lost"
    # The table's own mark says that its older dates were ended.
    write_metadata(store, "orders", version=1, **{RETAINED_FROM: "2013-06-02T00:00:00Z"})
    found = dataclasses.replace(known(anew), ended=ended.ended)
    text = said(gather(manifest, "orders", DAY, found))
    assert text["snapshot"] == ["orders as of 2013-06-01: expired"]
    assert text["expired"] == [
        "at 2013-09-01T00:00:00Z by retention, in snapshot_orders, run r90",
        "when is not known: by retention or by hand, of which no run or note is left",
    ]


def test_one_whose_retention_is_over(manifest: Manifest, store: Path) -> None:
    newer = dataclasses.replace(record(), as_of="2013-06-02", start="2013-06-02T00:00:00Z")
    write_metadata(store, "orders", newer)
    retention = Retention(keep=1)
    tables = {"orders": dataclasses.replace(manifest.tables["orders"], retention=retention)}
    history = known(record(), newer)
    assert gather(manifest, "orders", DAY, history).state == "lost"
    assert gather(dataclasses.replace(manifest, tables=tables), "orders", DAY, history).state == "expired"


def test_one_of_which_files_are_not_in_memory(manifest: Manifest, store: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    write_metadata(store, "orders", record())
    (store / "snapshots" / "orders" / "data").touch()
    found = LocalFiles().in_memory
    lost = str(store / "snapshots" / "orders" / "data")
    monkeypatch.setattr(LocalFiles, "in_memory", lambda files, path: {one: one != lost for one in found(path)})
    text = said(gather(manifest, "orders", DAY, known(record())))
    assert text["snapshot"] == ["orders as of 2013-06-01: lost"]
    assert text["lost"] == ["files of it are not in memory any more; the monitor has not said so yet"]
    (store / "snapshots" / "orders" / "metadata" / "v1.metadata.json").write_text("{")
    (damaged,) = said(gather(manifest, "orders", DAY, known(record())))["lost"]
    assert damaged.startswith("the metadata of its table are damaged (")


def test_one_of_whose_events_this_version_can_read_none(manifest: Manifest) -> None:
    history = AirflowHistory((PublishedEvent("2013-06-02T01:01:00Z", "snapshot_orders", "r", None),))
    assert gather(manifest, "orders", DAY, history).state == "not known"


def write_mark(store: Path, published_at: str) -> None:
    mark = LostMark(DAY, published_at, "2013-06-05T00:15:00Z", "a run of snapshot_orders captures it again", True)
    folder = store / "_lost" / "snapshots"
    folder.mkdir(parents=True)
    (folder / "orders.json").write_text(to_json(LostMarks("orders", (mark,))))


def test_one_that_the_store_has_lost(manifest: Manifest, store: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    history = known(record())
    write_mark(store, record().published_at)
    said_by_monitor = ["noticed at 2013-06-05T00:15:00Z: a run of snapshot_orders captures it again"]
    text = said(gather(manifest, "orders", DAY, history))
    assert text["snapshot"] == ["orders as of 2013-06-01: lost"] and text["lost"] == said_by_monitor
    assert "expired" not in text
    # Listed still, and its data lost; then published anew, before the monitor looks again.
    write_metadata(store, "orders", record())
    assert said(gather(manifest, "orders", DAY, history))["lost"] == said_by_monitor
    write_metadata(store, "orders", dataclasses.replace(record(), published_at="2013-06-05T00:20:00Z"), version=2)
    assert gather(manifest, "orders", DAY, history).state == "published"

    found = LocalFiles().in_memory
    monkeypatch.setattr(LocalFiles, "in_memory", lambda files, path: dict.fromkeys(found(path), False))
    text = said(gather(manifest, "orders", DAY, history))
    assert text["snapshot"] == ["orders as of 2013-06-01: lost"]
    assert text["lost"] == ["the metadata of its table are not in memory any more; the monitor has not said so yet"]


def test_the_run_that_ended_a_date_is_named_once() -> None:
    first, again, other = Ended("1", "d", "r1"), Ended("2", "d", "r1"), Ended("3", "d", "r2")
    assert once_each([other, again, first, other]) == (first, other)


def test_one_that_was_ended_by_hand(manifest: Manifest, store: Path) -> None:
    endings = EndedByHand(())
    for year in range(1900, 1900 + MOST_ENDINGS + 5):
        endings = endings.and_then(Ending(f"{year}-01-01T00:00:00Z", "clerk", "1800-01-01", "1800-01-31"))
    endings = endings.and_then(Ending("2014-01-01T00:00:00Z", "officer", "2013-05-01", DAY))
    assert len(endings.endings) == MOST_ENDINGS
    write_metadata(store, "orders", version=1, **{ENDED_BY_HAND: to_json(endings)})
    history = known(record())
    text = said(gather(manifest, "orders", DAY, history))
    assert text["snapshot"] == ["orders as of 2013-06-01: expired"]
    by_hand = ["at 2014-01-01T00:00:00Z by hand, as officer asked (expire)"]
    assert text["expired"] == by_hand
    assert gather(manifest, "orders", "2013-06-02", history).ended_by_hand == ()
    later = known(dataclasses.replace(record(), published_at="2014-02-01T00:00:00Z"))
    assert gather(manifest, "orders", DAY, later).ended_by_hand == (), "it was not there yet"
    # The table is gone, and what Airflow was told is left.
    shutil.rmtree(store)
    told = Published(history.published.newest, by_hand=endings.endings[-1:])
    text = said(gather(manifest, "orders", DAY, dataclasses.replace(history, published=told)))
    assert text["snapshot"] == ["orders as of 2013-06-01: expired"] and text["expired"] == by_hand


def test_one_that_never_was(manifest: Manifest) -> None:
    found = gather(manifest, "orders", DAY, AirflowHistory())
    assert said(found) == {
        "snapshot": ["orders as of 2013-06-01: never published"],
        "read by training": ["none that is known"],
    }


def test_rows_that_were_forgotten() -> None:
    note = Forgotten("2014-01-01T00:00:00Z", "officer", "id", 2, "before", "abc")
    text = said(
        Evidence("orders", DAY, "published", record(forgotten=(note,), validate="columns", rows=8, digest="after"),
                 (), (), None, ())
    )  # fmt: skip
    assert text["equal to the source"] == ["in all columns, when published: fingerprint abc"]
    assert text["digest of rows"] == ["after"]
    assert text["forgotten since"] == [
        "2 rows were forgotten by 'id' at 2014-01-01T00:00:00Z, as officer asked; digest before: before"
    ]


def test_an_event_of_several_dates_has_all_their_records() -> None:
    other = dataclasses.replace(record(), as_of="2013-06-02")
    extra = {**dataclasses.asdict(other), "again": [dataclasses.asdict(record())], "added": "by a later version"}
    assert record_of(extra, DAY) == record() and record_of(extra, "2013-06-02") == other
    assert record_of(extra, "2013-06-03") is None and record_of({"as_of": DAY}, DAY) is None


def test_each_training_run_is_named_once(manifest: Manifest, store: Path) -> None:
    folder = write_model(store, "churn", DAY, "r7", DAY)
    (folder / "inputs.json").parent.with_name("half-try1").mkdir()
    trained = to_json(TrainResult("churn", DAY, {}, (InputRead("orders", "window", (DAY,), 5, 10),), "m", 1.0))
    models = together(
        models_in_store(manifest, "orders"), models_of_results([("r7", trained), ("r9", trained)], "orders")
    )
    assert [(model.run_id, model.path) for model in models] == [("r7", f"file://{folder}"), ("r9", None)]
    again = replace(models[0], path=f"{models[0].path}-again", snapshots=(6,))
    assert together([models[0], again], [models[0]]) == (models[0], again), "a run that was cleared has two"
    assert that_read(together([models[0], again], []), [], [6]) == (again,)
    assert that_read(models, [DAY]) == models and that_read(models, ["2013-06-02"]) == ()
    assert that_read(models, [], [5]) == models and that_read(models, [], [10]) == ()
    assert models_in_store(manifest, "clients") == []


@pytest.mark.parametrize(
    ("arguments", "words"),
    [
        (["evidence", "ordres", DAY], "has no healthy table 'ordres'"),
        (["evidence", "orders", "2013-6-1"], "'2013-6-1' is not an as-of date"),
        (["forget", "orders", "--column", "id", "--keys-file", "/nowhere"], "/nowhere is not a file with a key in"),
    ],
)
def test_what_is_refused_before_anything_is_asked(
    tmp_path: Path, capsys: pytest.CaptureFixture[str], arguments: list[str], words: str
) -> None:
    path = tmp_path / "warehouse.yaml"
    path.write_text(ORDERS.format(store="/dev/shm/none"))
    assert main([*arguments, "--manifest", str(path)]) == 1
    assert words in capsys.readouterr().err


def test_the_command_reads_an_audit_log(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    path, log = tmp_path / "warehouse.yaml", tmp_path / "audit.log"
    path.write_text(ORDERS.format(store="/dev/shm/none"))
    log.write_text(
        "2013-06-02T10:00:00,000 succeeded=true\tallowed=true\tugi=ana,analysts (AUTH=SIMPLE)\tip=/127.0.0.1:1\t"
        f"cmd=getFileInfo\tsrc=/dev/shm/none/snapshots/orders/data/run_1f_try1/_as_of={DAY}/1.parquet\tdst=null\n"
    )
    histories = {"orders": known(record())}
    monkeypatch.setattr(evidence, "ask_airflow", lambda uri, table, *others: histories.pop(table, AirflowHistory()))
    arguments = ["evidence", "orders", DAY, "--audit-log", str(log), "--manifest", str(path)]
    # Of that interval; of a date that was never published, or of a whole state, all files of the table.
    for code, of_what in (
        (0, ""),
        (1, " for the table's files of all dates"),
        (0, " for the table's files of all dates"),
    ):
        assert main(arguments) == code
        times = "2013-06-02T10:00:00,000 to 2013-06-02T10:00:00,000"
        assert f"ana: 1 requests{of_what}, {times}" in capsys.readouterr().out
        if code:
            histories["orders"] = known(record(history="current"))
    histories["orders"] = known(dataclasses.replace(record(), as_of="2013-06-02"))
    arguments[2] = "2013-06-02"
    assert main(arguments) == 0
    assert "nobody asked for its files" in capsys.readouterr().out
