"""What the command ``compare`` asks of Spark, and what it refuses before it starts anything."""

from __future__ import annotations

from dataclasses import replace
from pathlib import Path

import pytest
from logical_warehouse.cli import main
from logical_warehouse.comparing import compare_job
from logical_warehouse.connections import JdbcAddress
from logical_warehouse.manifest import load_manifest
from logical_warehouse.plan import SnapshotPlan, make_plan
from warehouse.failures import PermanentError
from warehouse.run_spec import RunSpec
from warehouse.spec_json import to_json
from warehouse.store_spec import StoreSpec

MANIFEST = """
version: 1
sources: {nyc: {connection: nyc}}
store: {uri: "file:///dev/shm/store"}
defaults: {source: nyc, schedule: "@daily", start: 2013-06-01}
tables:
  flights:
    table: public.flights
    history: {interval: {column: day}}
    filter: "id > 0"
    columns: {types: {odd: text}}
"""
ADDRESS = JdbcAddress("jdbc:postgresql://localhost:5432/nyc", "reader")


@pytest.fixture
def manifest(tmp_path: Path) -> Path:
    path = tmp_path / "warehouse.yaml"
    path.write_text(MANIFEST)
    return path


@pytest.fixture
def plan(manifest: Path) -> SnapshotPlan:
    loaded = load_manifest(manifest)
    assert loaded.manifest is not None
    return make_plan(loaded.manifest).snapshots[0]


def test_a_published_snapshot(plan: SnapshotPlan) -> None:
    job = compare_job(plan, plan.tables[0], "2013-06-03", ADDRESS, key=("id",))
    assert (job.interval.as_of, job.interval.start, job.interval.end) == (
        "2013-06-03", "2013-06-03T00:00:00Z", "2013-06-04T00:00:00Z",
    )  # fmt: skip
    assert (job.source.dialect, job.source.url, job.source.user) == ("postgresql", ADDRESS.url, "reader")
    assert (job.table.history.column, job.table.filter, job.kinds) == ("day", "id > 0", {"odd": "text"})
    assert (job.branch, job.fingerprint, job.key) == (None, None, ("id",))
    assert "password" not in to_json(job)


def test_the_driver_is_that_of_the_manifest(plan: SnapshotPlan) -> None:
    source = plan.source.model_copy(update={"driver": "org.h2.Driver", "consistency": "best_effort"})
    address = replace(ADDRESS, url="jdbc:h2:mem:bank")
    assert (
        compare_job(replace(plan, source=source), plan.tables[0], "2013-06-03", address).source.driver
        == "org.h2.Driver"
    )


def test_a_run_branch_with_the_fingerprint_of_its_capture(plan: SnapshotPlan) -> None:
    run = RunSpec(plan.dag_id, "backfill__2013-06-03T00:00:00+00:00", 2)
    job = compare_job(plan, plan.tables[0], "2013-06-03", ADDRESS, branch=run.branch)
    store = StoreSpec("file:///dev/shm/store")
    assert job.fingerprint == f"{store.fingerprint_folder(run, 'flights', '2013-06-03')}/try2.json"


@pytest.mark.parametrize(
    ("as_of", "branch", "message"),
    [("2013-6-3", None, "table flights: "), ("2013-06-03", "main", "'main' is not a run branch")],
)
def test_what_cannot_be_compared(plan: SnapshotPlan, as_of: str, branch: str | None, message: str) -> None:
    with pytest.raises(PermanentError, match=message):
        compare_job(plan, plan.tables[0], as_of, ADDRESS, branch=branch)


def test_an_unknown_table(manifest: Path, capsys: pytest.CaptureFixture[str]) -> None:
    assert main(["compare", "fligths", "2013-06-03", "--manifest", str(manifest)]) == 1
    assert "has no healthy table 'fligths'" in capsys.readouterr().err
