"""Backfills by as-of dates: the runs that Airflow makes of them are those dates, in any time zone."""

from __future__ import annotations

import subprocess
import sys
from datetime import datetime
from pathlib import Path
from types import SimpleNamespace

import pendulum
import pytest
from airflow.serialization.serialized_objects import DagSerialization
from logical_warehouse import backfilling, named_plans
from logical_warehouse.cli import main
from logical_warehouse.dag_builder import build_dags
from warehouse.failures import PermanentError

from tests.support.moments import moment_of

HISTORY = "{interval: {column: at}}"


def manifest(folder: Path, zone: str, schedule: str = "@daily", history: str = HISTORY) -> Path:
    path = folder / "warehouse.yaml"
    path.write_text(
        f"version: 1\nsources: {{bank: {{connection: bank, time_zone: {zone}}}}}\nstore: {{uri: file:///dev/shm/x}}\n"
        f"defaults: {{source: bank, schedule: '{schedule}', start: 2013-01-01}}\n"
        f"tables:\n  orders: {{table: public.orders, history: {history}}}\n"
    )
    return path


def made_by_airflow(path: Path, arguments: list[str]) -> list[datetime]:
    """Starts of the intervals of which ``airflow backfill create`` makes runs."""
    given = dict(zip(arguments[::2], arguments[1::2], strict=True))
    dag = build_dags(path)[given["--dag-id"]]
    stored = DagSerialization.from_dict(DagSerialization.to_dict(dag))
    first, last = (moment_of(given[option]) for option in ("--from-date", "--to-date"))
    starts: list[datetime] = []
    for info in stored.iter_dagrun_infos_between(first, last):
        assert info.data_interval is not None
        starts.append(info.data_interval.start)
    return starts


@pytest.mark.parametrize("zone", ["UTC", "Europe/Berlin", "America/New_York", "Pacific/Auckland"])
@pytest.mark.parametrize(
    ("schedule", "first", "last"),
    [
        ("@daily", "2013-06-10", "2013-06-14"),
        ("@daily", "2013-06-12", "2013-06-12"),
        # The clocks of all three change in these.
        ("@daily", "2013-03-01", "2013-04-30"),
        ("30 6 * * *", "2013-09-20", "2013-11-10"),
        ("@weekly", "2013-06-02", "2013-06-30"),
    ],
)
def test_the_runs_are_those_of_the_dates(tmp_path: Path, zone: str, schedule: str, first: str, last: str) -> None:
    path = manifest(tmp_path, zone, schedule)
    plan = named_plans.find_group(path, "orders")
    made = made_by_airflow(path, backfilling.backfill_arguments(plan, first, last))
    assert [plan.schedule.label(pendulum.instance(start)) for start in made] == list(
        plan.schedule.labels_between(first, last)
    )
    assert len(made) >= 1


@pytest.mark.parametrize(
    ("dates", "history", "message"),
    [
        (("2013-06-1", "2013-06-14"), HISTORY, "'2013-06-1' is not an as-of date"),
        (("2013-06-14", "2013-06-10"), HISTORY, "from 2013-06-14 to 2013-06-10: the first date is the later"),
        (("2012-12-31", "2013-06-10"), HISTORY, "its first interval starts on 2013-01-01"),
        (("2013-06-10", "2999-06-14"), HISTORY, "which is not yet past"),
        (("2013-06-10", "2013-06-14"), "current", "its history is 'current'"),
    ],
)
def test_what_cannot_be_captured_is_refused_before_a_run_is_made(
    tmp_path: Path, dates: tuple[str, str], history: str, message: str
) -> None:
    plan = named_plans.find_group(manifest(tmp_path, "Europe/Berlin", history=history), "orders")
    with pytest.raises(PermanentError, match=message):
        backfilling.backfill_arguments(plan, *dates)


def test_a_group_that_is_not_there(tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    path = manifest(tmp_path, "UTC")
    assert main(["backfill", "ordres", "2013-06-10", "2013-06-14", "--manifest", str(path)]) == 1
    assert "no healthy group or table 'ordres'; did you mean 'orders'? it has: orders;" in capsys.readouterr().err


def test_airflows_own_options_are_passed_on(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    commands: list[list[str]] = []

    def run(command: list[str], *, check: bool) -> SimpleNamespace:
        commands.append(command)
        return SimpleNamespace(returncode=3)

    monkeypatch.setattr(subprocess, "run", run)
    options = ["--max-active-runs", "2", "--reprocess-behavior", "failed", "--dry-run", "--run-backwards"]
    dates = ["2013-06-10", "2013-06-14"]
    assert main(["backfill", "orders", *dates, "--manifest", str(manifest(tmp_path, "Europe/Berlin")), *options]) == 3
    moments = ["--from-date", "2013-06-09T22:00:00Z", "--to-date", "2013-06-13T22:00:00Z"]
    assert commands == [
        [sys.executable, "-m", "airflow", "backfill", "create", "--dag-id", "snapshot_orders", *moments, *options]
    ]
