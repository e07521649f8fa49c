"""What `clean-store` takes for useless: never what belongs to an active run."""

from __future__ import annotations

import json
from pathlib import Path

from logical_warehouse.manifest import Store
from logical_warehouse.store_cleaning import lines, removals, run_folders, useless
from logical_warehouse.store_files import LocalFiles
from logical_warehouse.trained_models import ModelFolder, unreachable_models
from warehouse.clean_spec import Left, Removal
from warehouse.model_folders import POINTER, new_folder, run_key_of
from warehouse.run_spec import RunSpec

DEAD, ALIVE = RunSpec("snapshot_flights", "dead", 2), RunSpec("snapshot_flights", "alive", 1)
LISTED = (
    Left("flights", "try", DEAD.branch, True, 2, 1_000, 90),
    Left("flights", "try", ALIVE.branch, True, 1, 500, 2),
    Left("flights", "ownerless", "", False, 3, 30, 100_000),
    Left("planes", "replaced", "", False, 2, 7, 4_000),
    Left("planes", "try", f"{ALIVE.branch}_of_2013-06-01", False, 1, 500, 2),
)


def test_what_an_active_run_writes_is_not_in_the_list() -> None:
    folders = [f"/warehouse/_runs/snapshot_flights/{run.key}" for run in (DEAD, ALIVE)]
    found = useless(LISTED, folders, [ALIVE])
    assert found.left == (LISTED[0], *LISTED[2:4]) and found.folders == (folders[0],)
    assert removals(found.left) == [Removal("flights", (DEAD.branch,), ownerless=True), Removal("planes", ())]
    assert lines(found) == [
        f"flights: run branch {DEAD.branch}, 2 file(s), 1,000 bytes, 0:01:30 old",
        "flights: files of no run, 3 file(s), 30 bytes, 1 day, 3:46:40 old",
        "planes: what was replaced or ended, and its readers' grace is over, 2 file(s), 7 bytes, 1:06:40 old",
        "answers of 1 ended run(s)",
        "together 1,037 bytes; --yes removes them",
        "1 run(s) are active; what they write is not among it",
    ]


def test_a_clean_store() -> None:
    found = useless(LISTED[1:2], [], [ALIVE])
    assert not found
    assert lines(found)[0] == "nothing is left in the store that nobody needs"


def test_answers_of_runs_without_a_published_snapshot(tmp_path: Path) -> None:
    (tmp_path / "_runs/snapshot_flights" / DEAD.key).mkdir(parents=True)
    store = Store(uri=f"file://{tmp_path}")
    assert run_folders(LocalFiles(), store) == (f"{tmp_path}/_runs/snapshot_flights/{DEAD.key}",)


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


def test_what_is_said_of_models(tmp_path: Path) -> None:
    killed = model_folder(tmp_path, new_folder(DEAD))
    found = useless((), (), [], [killed])
    assert found and lines(found)[0] == f"churn as of 2013-06-01: model of no use in {killed.name}"


def test_a_folder_tells_whose_it_is() -> None:
    first, second = new_folder(DEAD), new_folder(DEAD)
    assert first != second and run_key_of(first) == run_key_of(second) == DEAD.key
    assert run_key_of("of_somebody_else") is None
