"""Healthy manifests: defaults, short forms, the environment, groups."""

from __future__ import annotations

import datetime
from pathlib import Path

import pytest
from logical_warehouse.manifest import History, Manifest, Retention, Source, Split, TrainingInput, load_manifest
from logical_warehouse.plan import make_plan

from tests.unit.manifest.conftest import Load

ROOT = Path(__file__).parents[3]


def healthy(load: Load, added: str = "", replaced: dict[str, str] | None = None, **environ: str) -> Manifest:
    loaded = load(added, replaced, environ)
    assert [str(problem) for problem in loaded.problems] == []
    assert loaded.manifest is not None
    return loaded.manifest


def test_the_demo_manifest_is_healthy() -> None:
    loaded = load_manifest(ROOT / "dags" / "warehouse.yaml", {})
    assert [str(problem) for problem in loaded.problems] == []
    assert loaded.manifest is not None
    assert [(group.name, [table.name for table in group.tables]) for group in loaded.manifest.groups()] == [
        ("flights", ["flights"]),
        ("weather", ["weather"]),
        ("reference", ["planes", "airports", "airlines"]),
    ]
    assert list(loaded.manifest.trainings) == ["late_departures"]


def test_masks_are_on_the_page_of_the_dag(load: Load) -> None:
    masked = healthy(load, "    columns: {exclude: [b], mask: {c: hash, a: truncate(4)}}\n")
    assert (
        "**Masked in the source**, of `flights`: `c` (hash), `a` (truncate(4))." in make_plan(masked).snapshots[0].doc
    )
    assert "Masked" not in make_plan(healthy(load)).snapshots[0].doc


def test_what_is_not_written_has_a_default(load: Load) -> None:
    manifest = healthy(load)
    table = manifest.tables["flights"]
    assert manifest.sources["nyc"] == Source(
        name="nyc", connection="nyc", budget=3, time_zone="UTC", consistency="snapshot", fetch_size=10_000
    )
    assert (manifest.store.catalog, manifest.store.namespace) == ("warehouse", "snapshots")
    assert manifest.store.reader_grace == datetime.timedelta(hours=1)
    assert (manifest.spark.connection, manifest.spark.class_data_archive) == ("spark_default", None)
    assert (table.source, table.schedule, table.start, table.end) == ("nyc", "@daily", datetime.date(2013, 6, 1), None)
    assert (table.source_schema, table.source_table) == ("public", "flights")
    assert (table.group, table.owner, table.tags, table.description) == ("flights", "airflow", (), "")
    assert table.history == History("interval", column="day")
    assert (table.split, table.retention, table.columns, table.filter) == (Split(parts=2), Retention(), None, None)
    assert (table.retries, table.retry_delay) == (2, datetime.timedelta(minutes=1))
    assert table.validation == "columns"


def test_a_table_uses_its_own_value_whole_and_null_takes_a_default_away(load: Load) -> None:
    defaults = (
        "defaults: {source: nyc, schedule: '@daily', start: 2013-06-01, end: 2013-12-31, tags: [a, b], owner: all, "
        "retention: {days: 60}, split: {parts: 1}, retries: 5, retry_delay: 10m, validate: rows}"
    )
    replaced = {'defaults: {source: nyc, schedule: "@daily", start: 2013-06-01}': defaults}
    inherits = healthy(load, "", replaced).tables["flights"]
    assert (inherits.end, inherits.tags, inherits.owner) == (datetime.date(2013, 12, 31), ("a", "b"), "all")
    assert (inherits.retention, inherits.split) == (Retention(days=60), Split(parts=1))
    assert (inherits.retries, inherits.retry_delay) == (5, datetime.timedelta(minutes=10))
    assert inherits.validation == "rows"
    assert healthy(load, "    validate: count\n", replaced).tables["flights"].validation == "count"
    assert healthy(load, "    validate: null\n", replaced).tables["flights"].validation == "columns"

    own = (
        "    end: null\n    tags: [c]\n    retention: {keep: 3}\n    retries: 0\n    retry_delay: 0s\n    owner: null\n"
    )
    overrides = healthy(load, own, replaced).tables["flights"]
    assert (overrides.end, overrides.tags, overrides.owner) == (None, ("c",), "airflow")
    assert overrides.retention == Retention(keep=3)
    assert (overrides.retries, overrides.retry_delay) == (0, datetime.timedelta(0))

    assert healthy(load, "    tags: []\n    retention: null\n", replaced).tables["flights"].tags == ()
    assert healthy(load, "    retention: null\n", replaced).tables["flights"].retention == Retention()


@pytest.mark.parametrize(
    ("default", "written", "policy"),
    [
        ("null", "", "additive"),
        ("null", "    schema: fail\n", "fail"),
        ("evolve", "", "evolve"),
        ("evolve", "    schema: fail\n", "fail"),
        ("evolve", "    schema: null\n", "additive"),
    ],
)
def test_the_policy_of_changing_columns(load: Load, default: str, written: str, policy: str) -> None:
    replaced = {
        'defaults: {source: nyc, schedule: "@daily", start: 2013-06-01}': (
            f'defaults: {{source: nyc, schedule: "@daily", start: 2013-06-01, schema: {default}}}'
        )
    }
    assert healthy(load, written, replaced).tables["flights"].schema_policy == policy


@pytest.mark.parametrize(
    ("schedule", "written", "lateness"),
    [
        ("@daily", "current", datetime.timedelta(hours=12)),
        ("@daily", "{current: {}}", datetime.timedelta(hours=12)),
        ("@daily", "{current: null}", datetime.timedelta(hours=12)),
        ("@daily", "{current: {lateness: 24h}}", datetime.timedelta(hours=24)),
        ("@daily", "{current: {lateness: 1h30m}}", datetime.timedelta(minutes=90)),
        ("@hourly", "current", datetime.timedelta(hours=1)),
    ],
)
def test_current_history(load: Load, schedule: str, written: str, lateness: datetime.timedelta) -> None:
    table = healthy(load, replaced={"{interval: {column: day}}": written, "@daily": schedule}).tables["flights"]
    assert table.history == History("current", lateness=lateness)
    assert not table.history.can_be_backfilled


def test_a_whole_day_of_lateness_is_allowed_where_one_day_a_year_has_23_hours(load: Load) -> None:
    replaced = {"{connection: nyc}": "{connection: nyc, time_zone: America/New_York}"}
    replaced["{interval: {column: day}}"] = "{current: {lateness: 24h}}"
    assert healthy(load, replaced=replaced).tables["flights"].history.lateness == datetime.timedelta(hours=24)


def test_inputs(load: Load) -> None:
    added = """\
  planes: {table: public.planes, history: current}
trainings:
  late:
    application: train_model.py
    inputs: {flights: all, planes: latest}
    arguments: {minutes: 15, share: 0.5, on_time: false, name: x}
    conf: {spark.sql.shuffle.partitions: 4}
  later:
    application: models/train_model.py
    inputs: {flights: {window: 30}, planes: {window: 1}}
    model: s3a://models
    keep_inputs: true
"""
    manifest = healthy(load, added)
    late, later = manifest.trainings["late"], manifest.trainings["later"]
    assert late.inputs == {"flights": TrainingInput("all"), "planes": TrainingInput("latest")}
    assert late.dated_inputs == ("flights",)
    assert late.arguments == {"minutes": 15, "share": 0.5, "on_time": False, "name": "x"}
    assert [type(value) for value in late.arguments.values()] == [int, float, bool, str]
    assert (late.model, late.keep_inputs, late.conf) == (None, False, {"spark.sql.shuffle.partitions": 4})
    assert later.inputs["flights"] == TrainingInput("window", 30)
    assert later.dated_inputs == ("flights", "planes")
    assert (later.model, later.keep_inputs) == ("s3a://models", True)


def test_addresses_of_alluxio_follow_its_uri(load: Load) -> None:
    store = healthy(load).store
    assert (store.web, store.s3) == ("http://host:19999", "http://host:39999/api/v1/s3")


def test_every_master_of_alluxio_has_an_address(load: Load) -> None:
    store = healthy(load, replaced={"alluxio://host:19998": "alluxio://a:19998,b:19998"}).store
    assert (store.web, store.s3) == ("http://a:19999,http://b:19999", "http://a:39999/api/v1/s3")
    store = healthy(load, replaced={"alluxio://host:19998": "alluxio://[::1]:19998"}).store
    assert (store.web, store.s3) == ("http://[::1]:19999", "http://[::1]:39999/api/v1/s3")


def test_addresses_of_alluxio_can_be_given(load: Load) -> None:
    store = healthy(load, replaced={'/warehouse"}': '/warehouse/", web: "http://proxy:1"}'}).store
    assert (store.uri, store.web, store.s3) == (
        "alluxio://host:19998/warehouse",
        "http://proxy:1",
        "http://host:39999/api/v1/s3",
    )


def test_an_address_without_a_value_is_as_one_that_is_not_given(load: Load) -> None:
    store = healthy(load, replaced={'/warehouse"}': '/warehouse", web: , s3: }'}).store
    assert (store.web, store.s3) == ("http://host:19999", "http://host:39999/api/v1/s3")


@pytest.mark.parametrize("uri", ["file:///dev/shm/warehouse", "hdfs://name/warehouse", "s3a://bucket/warehouse"])
def test_other_stores_have_no_address_of_alluxio(load: Load, uri: str) -> None:
    replaced = {"alluxio://host:19998/warehouse": uri, '"}': '", web: "http://x", memory_only: false}'}
    store = healthy(load, replaced=replaced).store
    assert (store.uri, store.web, store.s3, store.memory_only) == (uri, None, None, False)


def test_a_store_is_in_memory_only_unless_it_says_otherwise(load: Load) -> None:
    assert healthy(load).store.memory_only


def test_the_environment_is_used(load: Load) -> None:
    replaced = {
        "{connection: nyc}": "{connection: '${PREFIX}_${NAME:-nyc}', budget: '${BUDGET:-5}'}",
        "start: 2013-06-01": "start: '${START}'",
    }
    manifest = healthy(
        load, "    description: a ${EMPTY:-default} b\n", replaced, PREFIX="x", START="2014-01-01", EMPTY=""
    )
    assert (manifest.sources["nyc"].connection, manifest.sources["nyc"].budget) == ("x_nyc", 5)
    assert manifest.tables["flights"].start == datetime.date(2014, 1, 1)
    assert manifest.tables["flights"].description == "a default b"


def test_the_process_environment_is_the_default(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    text = (ROOT / "dags" / "warehouse.yaml").read_text(encoding="utf-8")
    (tmp_path / "m.yaml").write_text(text, encoding="utf-8")
    monkeypatch.setenv("WAREHOUSE_STORE_URI", "file:///dev/shm/x")
    manifest = load_manifest(tmp_path / "m.yaml").manifest
    assert manifest is not None
    assert manifest.store.uri == "file:///dev/shm/x"


def test_yaml_is_read_as_in_version_1_2(load: Load) -> None:
    added = "    description: on\n    filter: 12:30\n    owner: no\n    tags: [yes, '1', 1e]\n"
    table = healthy(load, added).tables["flights"]
    assert (table.description, table.filter, table.owner, table.tags) == ("on", "12:30", "no", ("yes", "1", "1e"))


def test_anchors_are_followed(load: Load) -> None:
    added = "    checks: &checks {min_rows: 1}\n  more: {table: a.b, history: current, checks: *checks}\n"
    assert healthy(load, added).tables["more"].checks.min_rows == 1


def test_a_group_may_have_the_name_of_one_of_its_tables(load: Load) -> None:
    added = "    group: flights\n  more: {table: a.b, history: {interval: {column: c}}, group: flights}\n"
    assert [(group.name, len(group.tables)) for group in healthy(load, added).groups()] == [("flights", 2)]


def test_nothing_of_it_can_be_changed(load: Load) -> None:
    manifest = healthy(load)
    for value, name in ((manifest, "store"), (manifest.store, "uri"), (manifest.tables["flights"], "owner")):
        with pytest.raises((AttributeError, ValueError), match=r"frozen|cannot assign"):
            setattr(value, name, "x")


def test_the_same_text_gives_an_equal_manifest(load: Load) -> None:
    assert healthy(load) == healthy(load)
