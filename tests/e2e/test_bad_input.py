"""Each bad input ends the earliest task that can know it, within a minute, with one sentence, and publishes nothing."""

from __future__ import annotations

import os
import re
import subprocess
import sys
from pathlib import Path

import pytest

from local_stack.airflow_api import AirflowApi
from local_stack.stack import Stack
from tests.e2e.runs import events_of, fail

ROOT = Path(__file__).parents[2]
AS_OF = {"as_of": "2013-06-01"}
PERMANENT = "AirflowFailException"

CASES = {
    "missing_table": (AS_OF, PERMANENT, "table missing_table: source nycflights has no table public.no_such_table"),
    "missing_column": (AS_OF, PERMANENT, "table missing_column: public.flights has no column 'no_such_column'"),
    "too_big": (AS_OF, PERMANENT, "too_big does not fit into the store: about "),  # and TOO_BIG
    "current_only": (AS_OF, PERMANENT, "current_only cannot be captured as of 2013-06-01: its history is 'current'"),
    "travelled": (
        AS_OF, PERMANENT,
        "table travelled: postgresql keeps no history of its tables that SQL can ask for, so its history cannot be",
    ),
    "unreachable": (AS_OF, "AirflowException", "source unreachable cannot be reached"),
    "wrong_password": (AS_OF, PERMANENT, "source wrong_password refuses user 'warehouse_reader': wrong user or"),
    "no_connection": (
        AS_OF, PERMANENT,
        "The Airflow connection 'no_such_connection' of the source no_connection does not exist; create it",
    ),
    "no_pool": (AS_OF, PERMANENT, "The Airflow pool 'warehouse_no_pool' does not exist; create it with `python -m"),
    "small_pool": (AS_OF, PERMANENT, "The Airflow pool 'warehouse_small_pool' has 1 slots and the snapshot needs 3"),
    "flights": ({"as_of": "2014-02-01"}, PERMANENT, "flights cannot be captured as of 2014-02-01: its last interval"),
    "weather": ({"as_of": "2013-02-29"}, PERMANENT, "'2013-02-29' is not an as-of date of schedule"),
}  # fmt: skip
TOO_BIG = re.compile(
    r"about ([\d.]+) MiB are needed \(most by too_big\), ([\d.]+) of [\d.]+ MiB are free.*, "
    r"so ([\d.]+) MiB are missing; "
    r"(.+ with [\d.]+ MiB (would make room|are all that could be expired, and not enough): shorten the retention, or "
    r"`expire` them|no snapshot can be expired: each is the newest of its table, or a training keeps it); "
    r".*or give Alluxio's workers more memory\.$"
)
"""What the sentence says of room: MiB needed, free and missing, then what could go."""


@pytest.fixture(scope="module")
def runs(api: AirflowApi) -> dict[str, str]:
    """All of them triggered at once: each takes seconds, Airflow's overhead most of it."""
    return {
        table: api.trigger(f"snapshot_{table}", params=params)["dag_run_id"] for table, (params, _, _) in CASES.items()
    }


@pytest.mark.parametrize("table", CASES)
def test_check_refuses(api: AirflowApi, runs: dict[str, str], table: str) -> None:
    _, exception, message = CASES[table]
    failure = fail(api, f"snapshot_{table}", runs[table])
    assert failure.task_id == "check"
    assert failure.exception == exception
    assert failure.message.startswith(message)
    assert "\n" not in failure.message and "Traceback" not in failure.message
    assert failure.tries == 1  # a permanent failure is not retried, and the others have no retries here
    assert failure.seconds < 60
    assert [event for event in events_of(api, table) if event["source_run_id"] == runs[table]] == []


def test_what_does_not_fit_is_told_with_what_is_missing_and_what_could_go(
    api: AirflowApi, runs: dict[str, str]
) -> None:
    found = TOO_BIG.search(fail(api, "snapshot_too_big", runs["too_big"]).message)
    assert found is not None
    needed, free, missing = map(float, found.group(1, 2, 3))
    assert missing > 0 and missing >= needed - free - 0.2, "what is promised to others is missing, too"


def test_a_training_without_a_date_is_refused(api: AirflowApi) -> None:
    run = api.trigger("training_late_departures")
    failure = fail(api, "training_late_departures", run["dag_run_id"])
    assert failure.exception == PERMANENT
    assert failure.message.startswith(
        "The training late_departures was triggered without a date: an as-of date comes as"
    )


def test_a_misspelt_key_is_an_import_error_that_names_it(api: AirflowApi) -> None:
    (error,) = api.import_errors()
    assert error["filename"].endswith("warehouse_problems.py")
    assert "tables.misspelt.histroy: unknown key; did you mean 'history'?" in error["stack_trace"]
    assert "snapshot_flights" in api.dag_ids()
    assert "snapshot_misspelt" not in api.dag_ids()


def test_lint_names_a_duplicate_table(tmp_path: Path, stack: Stack) -> None:
    manifest = tmp_path / "warehouse.yaml"
    text = (ROOT / "dags" / "warehouse.yaml").read_text()
    manifest.write_text(
        text.replace("\ntrainings:", "\n  flights: {table: public.flights, history: current}\n\ntrainings:")
    )
    done = subprocess.run(
        [sys.executable, "-m", "logical_warehouse", "lint", str(manifest)],
        env=os.environ | stack.environment | {"PYTHONPATH": f"{ROOT / 'plugins'}:{ROOT / 'spark_jobs'}"},
        capture_output=True, text=True, check=False,
    )  # fmt: skip
    assert done.returncode == 1
    line = manifest.read_text().splitlines().index("  flights: {table: public.flights, history: current}") + 1
    assert f"{manifest}:{line}: tables.flights: " in done.stderr
    assert "duplicate" in done.stderr


def test_a_check_that_does_not_hold_publishes_nothing(api: AirflowApi) -> None:
    run = api.trigger("snapshot_failing_check", params=AS_OF)
    failure = fail(api, "snapshot_failing_check", run["dag_run_id"])
    assert failure.task_id == "validate"
    assert failure.exception == PERMANENT
    assert failure.message == (
        "table failing_check as of 2013-06-01: check 'never' does not hold for 72 of 72 rows; nothing was published"
    )
    assert events_of(api, "failing_check") == []
