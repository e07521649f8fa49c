"""What `clean-store` takes for useless: never what belongs to an active run."""

from __future__ import annotations

import json
from dataclasses import replace
from pathlib import Path

import pytest
from logical_warehouse import store_cleaning
from logical_warehouse.cli import main
from logical_warehouse.manifest import Store
from logical_warehouse.store_cleaning import (
    PublishedRuns,
    lines,
    published_runs,
    removals,
    run_folders,
    useless,
    without_use,
)
from logical_warehouse.store_files import LocalFiles
from logical_warehouse.trained_models import ModelFolder, unreachable_models
from warehouse.clean_spec import CleanResult, Left, Removal, Unreadable
from warehouse.failures import RetryableError
from warehouse.model_folders import POINTER, new_folder, run_key_of
from warehouse.promises import Promise
from warehouse.run_spec import RunSpec
from warehouse.spec_json import to_json

from tests.unit.records import snapshot_record

DEAD, ALIVE = RunSpec("snapshot_flights", "dead", 2), RunSpec("snapshot_flights", "alive", 1)
LISTED = (
    Left("flights", "try", DEAD.branch, True, 2, 1_000, 90),
    Left("flights", "try", ALIVE.branch, True, 1, 500, 2),
    Left("flights", "ownerless", "", False, 3, 30, 100_000),
    Left("planes", "replaced", "", False, 2, 7, 4_000),
    Left("planes", "try", f"{ALIVE.branch}_of_2013-06-01", False, 1, 500, 2),
)


FOLDERS = [f"/warehouse/_runs/snapshot_flights/{run.key}" for run in (DEAD, ALIVE)]
NONE_PUBLISHED = PublishedRuns(frozenset())
PROMISES = [
    Promise(run.dag_id, run.run_id, "2013-06-01", "2013-06-01T00:00:00Z", tables, 0, "")
    for run, tables in ((DEAD, ("flights",)), (ALIVE, ("flights", "planes")))
]


def listed(*left: Left, unreadable: tuple[Unreadable, ...] = ()) -> CleanResult:
    return CleanResult(left, 0, 0, unreadable)


def test_what_an_active_run_writes_is_not_in_the_list() -> None:
    found = useless(listed(*LISTED), FOLDERS, [ALIVE], NONE_PUBLISHED)
    assert found.left == (LISTED[0], *LISTED[2:4]) and found.folders == (FOLDERS[0],)
    assert removals(found.left) == [Removal("flights", (DEAD.branch,), ownerless=True), Removal("planes", ())]
    assert lines(found) == [
        f"flights: run branch {DEAD.branch}, 2 file(s), 1,000 bytes, 0:01:30 old",
        "flights: files of no run, 3 file(s), 30 bytes, 1 day, 3:46:40 old",
        "planes: what was replaced or ended, and its readers' grace is over, 2 file(s), 7 bytes, 1:06:40 old",
        "answers of 1 ended run(s)",
        "together 1,037 bytes; --yes removes them",
        "1 run(s) are active; what they write is not among it",
    ]
    assert without_use(PROMISES, found) == PROMISES[:1]


def test_what_is_lost_for_good_goes_with_any_removal_and_a_capture_beside_it_keeps_its_answers() -> None:
    lost = Left("flights", "lost", "2013-06-01, main", False, 0, 0, 0)
    capture = Left("flights", "capture", DEAD.branch, True, 0, 0, 0)
    found = useless(listed(lost, capture), FOLDERS[:1], [], NONE_PUBLISHED)
    assert (found.left, found.folders) == ((lost,), ())
    assert removals(found.left) == [Removal("flights", ())]
    assert lines(found)[0] == (
        "flights: what the store has lost for good, with all that is left of it: 2013-06-01, main"
    )
    assert without_use(PROMISES, found) == []


def test_a_clean_store() -> None:
    found = useless(listed(LISTED[1]), [], [ALIVE], NONE_PUBLISHED)
    assert not found
    assert lines(found)[0] == "nothing is left in the store that nobody needs"


def test_a_complete_capture_stays_unless_it_is_asked_for() -> None:
    capture = replace(LISTED[0], kind="capture")
    found = useless(listed(capture, LISTED[2]), FOLDERS[:1], [], NONE_PUBLISHED)
    assert found.left == (LISTED[2],) and found.folders == (), "its answer says that it is complete"
    assert lines(found)[-2:] == [
        f"flights: unpublished capture {DEAD.branch}, 2 file(s), 1,000 bytes, 0:01:30 old",
        "together 1,000 bytes that stay: clear the task validate of such a run to publish its capture, or remove them "
        "with --captures",
    ]
    of_an_earlier_try = replace(LISTED[0], name=replace(DEAD, attempt=1).branch)
    both = useless(listed(of_an_earlier_try, capture), FOLDERS[:1], [], NONE_PUBLISHED)
    assert both.left == (of_an_earlier_try,) and without_use(PROMISES, both) == []

    asked = useless(listed(capture), FOLDERS[:1], [], NONE_PUBLISHED, captures=True)
    assert removals(asked.left) == [Removal("flights", (DEAD.branch,))]
    assert asked.folders == tuple(FOLDERS[:1]) and without_use(PROMISES, asked) == PROMISES[:1]


def test_of_a_table_that_cannot_be_read_nothing_goes_nor_what_its_snapshots_may_need(tmp_path: Path) -> None:
    (metadata := tmp_path / "snapshots/planes/metadata").mkdir(parents=True)
    (metadata / "version-hint.text").write_text("")
    published = published_runs(LocalFiles(), Store(uri=f"file://{tmp_path}"))
    lost = Unreadable("airports", "its metadata are lost")
    found = useless(listed(*LISTED, unreadable=(lost,)), FOLDERS, [], published)
    assert found.left == LISTED[:3] and found.folders == ()
    assert lines(found)[-2] == (
        "airports is left alone, and the answers of all runs, since it cannot be read: its metadata are lost"
    )
    assert lines(found)[-1].startswith("planes is left alone") and "are damaged (" in lines(found)[-1]
    assert without_use(PROMISES, found) == PROMISES[:1], "the other run may have left something in planes"


def test_answers_of_runs_with_a_published_snapshot_stay(tmp_path: Path) -> None:
    for run in (DEAD, ALIVE):
        (tmp_path / "_runs/snapshot_flights" / run.key).mkdir(parents=True)
    store = Store(uri=f"file://{tmp_path}")
    folders = run_folders(LocalFiles(), store)
    assert set(folders) == {f"{tmp_path}/_runs/snapshot_flights/{run.key}" for run in (DEAD, ALIVE)}
    (metadata := tmp_path / "snapshots/flights/metadata").mkdir(parents=True)
    moment = "2013-06-02T00:00:00Z"
    record = snapshot_record("flights", "2013-06-01", moment, moment, dag_id=DEAD.dag_id, run_id=DEAD.run_id)
    (metadata / "v1.metadata.json").write_text(json.dumps({"properties": {record.property_name: to_json(record)}}))
    (metadata / "version-hint.text").write_text("1")
    published = published_runs(LocalFiles(), store)
    assert useless(listed(), folders, [], published).folders == (f"{tmp_path}/_runs/snapshot_flights/{ALIVE.key}",)


def test_airflow_is_asked_between_the_folders_and_the_records(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    """A run that publishes and ends meanwhile is active then, or its record is there afterwards."""
    manifest = tmp_path / "m.yaml"
    manifest.write_text(
        "version: 1\nsources: {shop: {connection: shop, budget: 3}}\n"
        f"store: {{uri: 'file://{tmp_path}/store'}}\n"
        "tables: {flights: {table: public.flights, history: current, source: shop, schedule: '@daily', "
        "start: 2013-06-01}}\n"
    )
    happened: list[str] = []

    def tell(name: str, answer: object) -> None:
        def told(*_: object) -> object:
            happened.append(name)
            return answer

        monkeypatch.setattr(store_cleaning, name, told)

    tell("_submit", listed())
    tell("run_folders", tuple(FOLDERS))
    tell("active_runs", [ALIVE])
    tell("published_runs", PublishedRuns(frozenset({DEAD.key})))
    assert main(["clean-store", "--yes", "--manifest", str(manifest)]) == 0
    assert happened == ["_submit", "run_folders", "active_runs", "published_runs"]
    assert "nothing is left" in capsys.readouterr().out


def model_folder(root: Path, name: str) -> ModelFolder:
    one = ModelFolder(LocalFiles(), f"file://{root}", "churn", "2013-06-01", name)
    Path(one.path, "model").mkdir(parents=True)
    return one


def test_models_that_no_reader_is_led_to_are_those_of_ended_runs(tmp_path: Path) -> None:
    killed, counts, before, writing = (model_folder(tmp_path, new_folder(run)) for run in (DEAD, DEAD, DEAD, ALIVE))
    foreign = model_folder(tmp_path, "of_somebody_else")
    pointer = tmp_path / "churn/2013-06-01" / POINTER
    listed = [killed, counts, before, writing, foreign]
    assert unreachable_models(listed, [ALIVE]) == (killed, counts, before), "no training of this date ended well"
    pointer.write_text(json.dumps({"folder": counts.name, "before": before.name}))
    assert unreachable_models(listed, [ALIVE]) == (killed,)
    # It ended well after the listing: what counts by then stays.
    pointer.write_text(json.dumps({"folder": writing.name, "before": counts.name}))
    assert unreachable_models(listed, []) == (killed, before)
    pointer.write_text('{"folder": "')
    assert unreachable_models(listed, []) == (), "the pointer is being written"

    class Lost(LocalFiles):
        def read(self, path: str) -> bytes:
            raise RetryableError(f"{path} is lost")

    assert unreachable_models([replace(one, files=Lost()) for one in listed], []) == ()


def test_what_is_said_of_models(tmp_path: Path) -> None:
    killed = model_folder(tmp_path, new_folder(DEAD))
    found = useless(listed(), [], [], NONE_PUBLISHED, [killed])
    assert found and lines(found)[0] == f"churn as of 2013-06-01: model of no use in {killed.name}"


def test_a_folder_tells_whose_it_is() -> None:
    first, second = new_folder(DEAD), new_folder(DEAD)
    assert first != second and run_key_of(first) == run_key_of(second) == DEAD.key
    assert run_key_of("of_somebody_else") is None
