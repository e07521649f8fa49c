"""Promises of the store's memory: who holds one, and whose have ended."""

from __future__ import annotations

from dataclasses import dataclass
from pathlib import Path

import pytest
from logical_warehouse.promises import LIVE, Promises, ended_runs
from logical_warehouse.store_files import AlluxioFiles, LocalFiles
from warehouse.promises import Promise
from warehouse.run_spec import RunSpec
from warehouse.store_spec import StoreSpec

MIB = 2**20


def promise(
    run: str, made_at: str = "2013-06-09T00:00:00Z", *, dag: str = "snapshot_flights", size: int = 0
) -> Promise:
    return Promise(dag, run, "2013-06-01", "2013-06-01T00:00:00Z", ("flights",), size, made_at)


@dataclass(frozen=True)
class Active:
    """Runs as Airflow has them."""

    live: tuple[str, ...]

    def exist(self, dag_id: str, run_ids: list[str], states: list[str] | None = None) -> bool:
        assert states == LIVE
        return any(run in self.live for run in run_ids)


@pytest.fixture
def promises(tmp_path: Path) -> Promises:
    (tmp_path / "store").mkdir()
    return Promises(LocalFiles(), StoreSpec(f"file://{tmp_path}/store"))


def test_promises_are_made_read_and_given_up(promises: Promises) -> None:
    assert promises.all() == []
    late, early = promise("late", "2013-06-09T00:00:05Z"), promise("early")
    promises.make(late)
    promises.make(early)
    assert promises.all() == [early, late]
    promises.make(renewed := promise("late", "2013-06-09T00:00:01Z", size=5))
    assert promises.all() == [early, renewed]
    promises.withdraw(early)
    promises.withdraw(early)
    assert promises.all() == [renewed]


def test_none_is_made_before_the_store_is_pinned(tmp_path: Path) -> None:
    promises = Promises(LocalFiles(), StoreSpec(f"file://{tmp_path}/store"))
    promises.make(mine := promise("mine"))
    assert promises.all() == [] and not (tmp_path / "store").exists()
    promises.withdraw(mine)


def test_one_is_made_in_a_store_right_below_alluxios_root(monkeypatch: pytest.MonkeyPatch) -> None:
    """The root itself has no entry in any folder."""
    folders = {"/": ["warehouse"], "/warehouse": ["snapshots"]}
    monkeypatch.setattr(
        "logical_warehouse.store_files.browse",
        lambda _web, path: [{"name": name, "isDirectory": True} for name in folders[path]],
    )
    written: list[str] = []
    files = AlluxioFiles("http://web", "http://s3")
    monkeypatch.setattr(files, "write", lambda path, data: written.append(path))
    Promises(files, StoreSpec("alluxio://host/warehouse")).make(mine := promise("mine"))
    Promises(files, StoreSpec("alluxio://host/later")).make(mine)
    assert written == [f"/warehouse/_promised/snapshot_flights/{mine.run.key}.json"]
    assert files.folders("/none") == []


def test_one_of_another_version_is_left_alone(promises: Promises, tmp_path: Path) -> None:
    promises.make(mine := promise("mine"))
    (tmp_path / "store/_promised/snapshot_flights/other.json").write_text('{"version": 99}')
    assert promises.all() == [mine]


def test_only_ended_runs_of_the_same_dag_and_tables_are_cleaned_up_after() -> None:
    standing = [promise("dead"), promise("alive"), promise("dead", dag="snapshot_weather")]
    tries = {f"{promise(run).run.branch_prefix}1" for run in ("dead", "alive")}
    (found,) = ended_runs(standing, "snapshot_flights", ["flights", "planes"], Active(("alive",)), tries)
    assert found.run_id == "dead" and found.promised_at == promise("dead").made_at
    assert found.tries == (f"{promise('dead').run.branch_prefix}1",)
    assert ended_runs(standing, "snapshot_flights", ["planes"], Active(()), tries) == ()


@pytest.mark.parametrize(
    ("branch", "attempt"),
    [
        ("{key}1", 1),
        ("{key}12_of_2013-06-01", 12),
        ("{key}", None),
        ("{key}1x", None),
        ("run_other_12345678_try1", None),
    ],
)
def test_a_run_branch_says_whose_it_is(branch: str, attempt: int | None) -> None:
    run = RunSpec("snapshot_flights", "manual", 3)
    assert run.try_of(branch.format(key=run.branch_prefix)) == attempt
    assert run.try_of(run.branch) == 3
