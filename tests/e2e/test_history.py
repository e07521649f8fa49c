"""Past dates through Airflow: what the source still knows is captured in any order, what it does not is refused."""

from __future__ import annotations

import random
import re
from typing import Any

import pytest
from pyspark.sql import SparkSession
from warehouse.reading import LateSnapshot, read_as_of
from warehouse.store_spec import StoreSpec

from local_stack import nycflights
from local_stack.airflow_api import AirflowApi
from local_stack.stack import Stack
from tests.e2e.runs import events_of, eventually, failure_of, succeed

# What was valid just before the end of each day.
PRICES = {
    "2013-06-01": {("bread", 1), ("salt", 5)},
    "2013-06-02": {("bread", 2), ("salt", 5)},
    "2013-06-03": {("bread", 2), ("milk", 3)},
}
CURRENT = "snapshot_current_only"


@pytest.fixture(scope="module")
def started(api: AirflowApi) -> dict[str, Any]:
    """All that can run beside each other, started at once: most of a small run's time is overhead."""
    order = random.sample(sorted(PRICES), len(PRICES))
    print("order", *order)
    return {
        "prices": [api.trigger("snapshot_prices", params={"as_of": day})["dag_run_id"] for day in order],
        "notes": api.trigger("snapshot_notes", params={"as_of": "2013-06-01"})["dag_run_id"],
        "refused": api.create_backfill(CURRENT, "2013-06-01T00:00:00Z", "2013-06-10T00:00:00Z", max_active_runs=5)[
            "id"
        ],
    }


def test_a_backfill_of_a_current_table_publishes_nothing(api: AirflowApi, started: dict[str, Any]) -> None:
    eventually("the backfill", lambda: api.backfill(started["refused"])["completed_at"], 300)
    runs = [run for run in api.runs(CURRENT) if run["run_type"] == "backfill"]
    assert [run["data_interval_start"][:10] for run in sorted(runs, key=lambda run: run["data_interval_start"])] == [
        f"2013-06-{day:02d}" for day in range(1, 11)
    ]
    for run in runs:
        tasks = {task["task_id"]: task for task in api.task_instances(CURRENT, run["dag_run_id"])}
        assert {name: task["state"] for name, task in tasks.items()} == {
            "check": "failed",
            "snapshot": "upstream_failed",
            "validate": "upstream_failed",
        }
        assert tasks["snapshot"]["pid"] is None, "it never started"
        failure = failure_of(api, CURRENT, run["dag_run_id"])
        as_of = run["data_interval_start"][:10]
        assert failure.message.startswith(
            f"current_only cannot be captured as of {as_of}: its history is 'current', so the source knows it only as "
        )
        assert failure.tries == 1 and failure.seconds < 60
    assert {run["dag_run_id"] for run in runs}.isdisjoint(
        event["source_run_id"] for event in events_of(api, "current_only")
    )


def test_a_backfill_is_asked_for_by_dates(stack: Stack) -> None:
    shown = stack.airflow.run_warehouse("backfill", "prices", "2013-06-01", "2013-06-03", "--dry-run")
    assert set(re.findall(r"2013-\d{2}-\d{2}", shown)) == PRICES.keys()


def test_states_of_past_days_in_any_order(
    api: AirflowApi, started: dict[str, Any], spark: SparkSession, store: StoreSpec
) -> None:
    for run_id in started["prices"]:
        succeed(api, "snapshot_prices", run_id, timeout=600)
    for day, expected in PRICES.items():
        rows = read_as_of(spark, store, "prices", day)
        assert rows.columns == ["article", "price"]
        assert {tuple(row) for row in rows.collect()} == expected
    assert sorted(event["partition_key"] for event in events_of(api, "prices")) == sorted(PRICES)


def test_a_day_that_changed_afterwards_is_published_again_by_the_next_run(
    api: AirflowApi, stack: Stack, started: dict[str, Any], spark: SparkSession, store: StoreSpec
) -> None:
    succeed(api, "snapshot_notes", started["notes"], timeout=600)
    with stack.source.connect(nycflights.DATABASE) as connection, connection.cursor() as cursor:
        cursor.execute("INSERT INTO public.notes VALUES (100, '2013-06-01 12:00Z')")
    run_id = api.trigger("snapshot_notes", params={"as_of": "2013-06-02"})["dag_run_id"]
    succeed(api, "snapshot_notes", run_id)

    rows = read_as_of(spark, store, "notes", "2013-06-02").collect()
    assert sorted(row.id for row in rows) == [*range(8), 100]
    emitted = [event for event in events_of(api, "notes") if event["source_run_id"] == run_id]
    assert sorted(event["partition_key"] for event in emitted) == ["2013-06-01", "2013-06-02"]
    for event in emitted:
        assert (event["extra"]["as_of"], event["extra"]["rows"]) == ("2013-06-02", 4)
        assert [(record["as_of"], record["rows"]) for record in event["extra"]["again"]] == [("2013-06-01", 5)]


def test_a_late_capture_is_asked_for_and_marked(
    api: AirflowApi, started: dict[str, Any], spark: SparkSession, store: StoreSpec
) -> None:
    eventually("the backfill", lambda: api.backfill(started["refused"])["completed_at"], 300)
    run_id = api.trigger(CURRENT, params={"as_of": "2013-06-12", "capture_late": True})["dag_run_id"]
    succeed(api, CURRENT, run_id)
    (event,) = [event for event in events_of(api, "current_only") if event["source_run_id"] == run_id]
    assert (event["partition_key"], event["extra"]["late"]) == ("2013-06-12", True)
    with pytest.warns(LateSnapshot, match="current_only as of 2013-06-12 was captured late"):
        rows = read_as_of(spark, store, "current_only", "2013-06-12").count()
    assert rows == event["extra"]["rows"] == nycflights.EXPECTED_ROWS["airports"]
