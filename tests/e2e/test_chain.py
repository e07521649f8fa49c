"""From the manifest to a trained model: scheduled, by hand, by backfill, again, and through faults."""

from __future__ import annotations

import getpass
import hashlib
import hmac
import re
from collections import defaultdict
from pathlib import Path
from typing import Any

import pytest
from logical_warehouse.store_files import AlluxioFiles
from pyspark.sql import SparkSession
from warehouse.failures import PermanentError
from warehouse.reading import read_as_of
from warehouse.snapshot_spec import SnapshotResult
from warehouse.spec_json import from_json
from warehouse.store_spec import StoreSpec
from warehouse.train_spec import TrainResult
from warehouse.validate_spec import ValidateResult

from local_stack import nycflights
from local_stack.airflow_api import AirflowApi
from local_stack.alluxio import WAREHOUSE
from local_stack.stack import Stack
from tests.e2e.conftest import MASK_KEY
from tests.e2e.runs import events_of, eventually, fail, state_of, succeed, trainings_of
from tests.support.driver_switches import DriverSwitches

TRAINING = "training_late_departures"


def source_rows(stack: Stack, table: str, start: str, end: str) -> list[str]:
    """What the source has in ``[start, end)``, as sorted text."""
    with stack.source.connect(nycflights.DATABASE) as connection, connection.cursor() as cursor:
        cursor.execute(
            f"SELECT t::text FROM (SELECT origin, time_hour AT TIME ZONE 'UTC' AS hour, {NUMBERS[table]} "
            f"FROM public.{table} WHERE time_hour >= %s AND time_hour < %s) t ORDER BY 1",
            (start, end),
        )
        return [row[0] for row in cursor.fetchall()]


NUMBERS = {"flights": "flight, tailnum, dep_delay", "weather": "temp, wind_speed"}


def test_unpausing_captures_the_newest_interval_as_scheduled(api: AirflowApi, reference: dict[str, Any]) -> None:
    assert reference["run_type"] == "scheduled"
    as_of = reference["data_interval_start"][:10]
    for table in ("planes", "airlines"):
        (event,) = events_of(api, table)
        assert event["partition_key"] == as_of
        assert event["extra"]["rows"] == event["extra"]["source_rows"] == nycflights.EXPECTED_ROWS[table]
        assert event["extra"]["run_id"] == reference["dag_run_id"]
        assert event["extra"]["in_memory"] is True


def test_masked_columns_are_masked_and_every_event_says_so(
    api: AirflowApi, reference: dict[str, Any], spark: SparkSession, store: StoreSpec, stack: Stack
) -> None:
    (event,) = events_of(api, "airlines")
    assert event["extra"]["masked"] == {"name": "hmac(mask_key)"}
    assert event["extra"]["classification"] == {"carrier": "public", "name": "confidential"}
    with stack.source.connect(nycflights.DATABASE) as connection, connection.cursor() as cursor:
        cursor.execute("SELECT carrier, name FROM public.airlines")
        clear = dict(cursor.fetchall())
    stored = {row.carrier: row.name for row in read_as_of(spark, store, "airlines", event["partition_key"]).collect()}
    assert stored == {
        carrier: hmac.new(MASK_KEY.encode(), name.encode(), hashlib.sha256).hexdigest()
        for carrier, name in clear.items()
    }


def test_a_table_for_a_group_is_kept_for_it(api: AirflowApi, reference: dict[str, Any], stack: Stack) -> None:
    """What Airflow's own tasks need of it, they have read."""
    (event,) = events_of(api, "airlines")
    assert event["extra"]["access"] == {"group": "airline-analysts"}
    assert events_of(api, "planes")[0]["extra"]["access"] is None
    outsider = AlluxioFiles(stack.alluxio.web, stack.alluxio.s3)
    outsider.user = "mallory"
    folder = f"{WAREHOUSE}/snapshots"
    assert outsider.read(f"{folder}/planes/metadata/version-hint.text")
    with pytest.raises(PermanentError, match="does not let the user 'mallory'"):
        outsider.read(f"{folder}/airlines/metadata/version-hint.text")


def test_a_backfill_trains_once_per_common_day(api: AirflowApi, backfilled: dict[str, list[dict[str, Any]]]) -> None:
    assert {dag_id: len(runs) for dag_id, runs in backfilled.items()} == {"snapshot_flights": 3, "snapshot_weather": 4}
    dates = ["2013-06-01", "2013-06-02", "2013-06-03"]

    def all_trained() -> list[dict[str, Any]] | None:
        runs = [run for run in trainings_of(api) if run["run_type"] == "asset_triggered"]
        return runs if len(runs) >= len(dates) and all(run["state"] in ("success", "failed") for run in runs) else None

    runs = eventually("a training per day", all_trained, 400)
    assert sorted(run["partition_key"] for run in runs) == dates
    for run in runs:
        succeed(api, TRAINING, run["dag_run_id"])
        result = from_json(TrainResult, api.xcom(TRAINING, run["dag_run_id"], "train"))
        read = {one.table: one.as_of for one in result.inputs}
        assert read["flights"] == read["weather"] == (run["partition_key"],)
        assert result.metrics["auc"] > 0.5


def test_a_day_holds_exactly_the_sources_rows_of_that_day(
    stack: Stack, api: AirflowApi, backfilled: dict[str, list[dict[str, Any]]], spark: SparkSession, store: StoreSpec
) -> None:
    for table in ("flights", "weather"):
        rows = read_as_of(spark, store, table, "2013-06-02", window=1)
        stored = rows.selectExpr("origin", "cast(time_hour AS string)", *NUMBERS[table].split(", ")).collect()
        expected = source_rows(stack, table, "2013-06-02T00:00Z", "2013-06-03T00:00Z")
        assert sorted(as_postgres_row(row) for row in stored) == sorted(expected)


def as_postgres_row(row: Any) -> str:
    """A row as PostgreSQL writes one: ``(EWR,"2013-06-02 05:00:00",1,N1,2)``."""
    cells = []
    for value in row:
        if isinstance(value, float) and value.is_integer():
            cells.append(str(int(value)))
        else:
            text = "" if value is None else str(value)
            cells.append(f'"{text}"' if " " in text else text)
    return f"({','.join(cells)})"


def test_reading_as_of_a_day_ignores_what_was_loaded_later(
    stack: Stack, backfilled: dict[str, list[dict[str, Any]]], spark: SparkSession, store: StoreSpec
) -> None:
    assert backfilled["snapshot_flights"]
    assert read_as_of(spark, store, "flights", "2013-06-02").count() == len(
        source_rows(stack, "flights", "2013-06-01T00:00Z", "2013-06-03T00:00Z")
    )


def test_by_hand_with_the_param(api: AirflowApi, backfilled: dict[str, list[dict[str, Any]]]) -> None:
    """A published date captured again: replaced, not doubled, and its event is emitted again."""
    before = [event for event in events_of(api, "flights") if event["partition_key"] == "2013-06-01"]
    run = api.trigger("snapshot_flights", params={"as_of": "2013-06-01"})
    succeed(api, "snapshot_flights", run["dag_run_id"])
    after = [event for event in events_of(api, "flights") if event["partition_key"] == "2013-06-01"]
    assert len(after) == len(before) + 1
    assert after[-1]["extra"]["rows"] == before[-1]["extra"]["rows"]
    assert after[-1]["extra"]["digest"] == before[-1]["extra"]["digest"]
    assert after[-1]["extra"]["run_id"] == run["dag_run_id"] != before[-1]["extra"]["run_id"]


def test_a_republished_date_is_not_doubled(stack: Stack, spark: SparkSession, store: StoreSpec) -> None:
    expected = source_rows(stack, "flights", "2013-06-01T00:00Z", "2013-06-02T00:00Z")
    assert read_as_of(spark, store, "flights", "2013-06-01", window=1).count() == len(expected)


def test_by_hand_with_a_logical_date(api: AirflowApi) -> None:
    """As everywhere in Airflow, the interval before it."""
    run = api.trigger("snapshot_weather", logical_date="2013-06-06T00:00:00Z")
    succeed(api, "snapshot_weather", run["dag_run_id"])
    assert events_of(api, "weather")[-1]["partition_key"] == "2013-06-05"


def test_by_hand_without_a_date(api: AirflowApi, reference: dict[str, Any]) -> None:
    """The last complete interval, of which `current` tables are captured anew."""
    run = api.trigger("snapshot_reference")
    succeed(api, "snapshot_reference", run["dag_run_id"])
    newest = events_of(api, "planes")[-1]
    assert newest["source_run_id"] == run["dag_run_id"]
    assert newest["partition_key"] == reference["data_interval_start"][:10]


def test_a_row_lost_between_write_and_validation_is_noticed(
    api: AirflowApi, spark: SparkSession, store: StoreSpec
) -> None:
    run_id = api.trigger("snapshot_flights", params={"as_of": "2013-06-07"})["dag_run_id"]
    eventually("the snapshot", lambda: state_of(api, "snapshot_flights", run_id, "snapshot") in ("running", "success"))
    api.set_paused("snapshot_flights", True)  # holds `validate` back
    eventually("the snapshot", lambda: state_of(api, "snapshot_flights", run_id, "snapshot") == "success")
    captured = from_json(SnapshotResult, api.xcom("snapshot_flights", run_id, "snapshot")).captures[0]
    branch = f"{store.identifier('flights')}.`branch_{captured.branch}`"
    row = spark.sql(f"SELECT * FROM {branch} WHERE _as_of = '2013-06-07' ORDER BY flight, time_hour LIMIT 1").first()
    assert row is not None
    spark.sql(
        f"DELETE FROM {branch} WHERE _as_of = '2013-06-07' AND flight = {row.flight} AND carrier = '{row.carrier}' "
        f"AND time_hour = TIMESTAMP '{row.time_hour}'"
    )
    api.set_paused("snapshot_flights", False)
    failure = fail(api, "snapshot_flights", run_id)
    assert failure.task_id == "validate"
    assert failure.message == (
        f"table flights as of 2013-06-07: the source had {captured.source_rows} rows, the store has "
        f"{captured.source_rows - 1}, a difference of -1; nothing was published"
    )
    assert all(event["partition_key"] != "2013-06-07" for event in events_of(api, "flights"))
    properties = spark.sql(f"SHOW TBLPROPERTIES {store.identifier('flights')}").collect()
    assert "warehouse.snapshot.2013-06-07" not in {row.key for row in properties}


def test_a_validate_killed_after_publishing_adopts_its_own_publish(api: AirflowApi, drivers: DriverSwitches) -> None:
    switch = drivers.kill_next("validate_snapshots")
    run_id = api.trigger("snapshot_flights", params={"as_of": "2013-06-08"})["dag_run_id"]
    succeed(api, "snapshot_flights", run_id, timeout=300)
    assert not switch.exists()
    validate = next(ti for ti in api.task_instances("snapshot_flights", run_id) if ti["task_id"] == "validate")
    assert validate["try_number"] == 2
    (published,) = from_json(ValidateResult, api.xcom("snapshot_flights", run_id, "validate")).published
    assert published.adopted
    (event,) = [event for event in events_of(api, "flights") if event["partition_key"] == "2013-06-08"]
    assert event["extra"]["branch"] == published.record.branch


@pytest.mark.usefixtures("backfilled")
def test_what_an_officer_asks_and_has_forgotten(
    stack: Stack, api: AirflowApi, spark: SparkSession, store: StoreSpec, tmp_path: Path
) -> None:
    day = "2013-06-02"
    eventually("the training", lambda: [run for run in trainings_of(api)
                                        if (run["partition_key"], run["state"]) == (day, "success")], 400)  # fmt: skip
    (event,) = [event for event in events_of(api, "flights") if event["partition_key"] == day]
    captured = event["extra"]
    of_day = read_as_of(spark, store, "flights", day, window=1)
    plane = of_day.where("tailnum IS NOT NULL").orderBy("tailnum").first()
    assert plane is not None
    rows = of_day.where(of_day.tailnum == plane.tailnum).count()
    keys = tmp_path / "keys"
    keys.write_text(f"{plane.tailnum}\n")

    said = stack.airflow.run_warehouse(
        "forget", "flights", "--column", "tailnum", "--keys-file", str(keys), "--by", "an officer"
    )
    assert f"  as of {day}: {rows} rows gone, {captured['rows'] - rows} left" in said
    assert f"  late_departures as of {day}, run " in said.partition("models trained on these dates:")[2]
    left = read_as_of(spark, store, "flights", day, window=1)
    assert left.where(left.tailnum == plane.tailnum).count() == 0
    assert left.count() == captured["rows"] - rows

    evidence = defaultdict(list)
    log = str(stack.alluxio.audit_log)
    for line in stack.airflow.run_warehouse("evidence", "flights", day, "--audit-log", log).splitlines():
        name, value = re.split("  +", line, maxsplit=1)
        evidence[name].append(value)
    assert evidence["snapshot"] == [f"flights as of {day}: published"]
    assert evidence["captured"] == [f"at {captured['captured_at']} from source nycflights"]
    assert evidence["by run"] == [f"snapshot_flights, {captured['run_id']}"]
    (equal,) = evidence["equal to the source"]
    assert equal.endswith(f"when published: fingerprint {captured['fingerprint']}") and captured["fingerprint"]
    (forgotten,) = evidence["forgotten since"]
    assert forgotten.startswith(f"{rows} rows were forgotten by 'tailnum' at ") and "an officer asked" in forgotten
    assert [line.partition(":")[0].partition(", run ")[0] for line in evidence["read by training"]] == [
        f"late_departures as of {day}"
    ]
    (reader,) = evidence["audit log"]
    assert reader.startswith(f"{getpass.getuser()}: ")
