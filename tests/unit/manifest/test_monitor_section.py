"""Sections ``monitor`` and ``notify``, and the table's ``freshness``."""

from __future__ import annotations

from datetime import timedelta
from pathlib import Path

from logical_warehouse.manifest import LoadedManifest, load_manifest
from logical_warehouse.plan import REPAIR_POOL, make_plan

BASE = """\
version: 1
sources: {shop: {connection: shop}}
store: {uri: 'alluxio://host:19998/warehouse'}
defaults: {source: shop, schedule: "@daily", start: 2013-06-01}
tables:
  orders: {table: public.orders, history: {interval: {column: at}}, freshness: 2h}
"""


def load(tmp_path: Path, more: str = "", base: str = BASE) -> LoadedManifest:
    path = tmp_path / "m.yaml"
    path.write_text(base + more, encoding="utf-8")
    return load_manifest(path, {})


def messages(loaded: LoadedManifest) -> list[str]:
    return [str(problem).split("m.yaml:", 1)[1] for problem in loaded.problems]


def test_without_a_section_the_monitor_looks_every_quarter_of_an_hour_and_repairs(tmp_path: Path) -> None:
    manifest = load(tmp_path).manifest
    assert manifest is not None
    assert manifest.tables["orders"].freshness == timedelta(hours=2)
    monitor = make_plan(manifest).monitor
    assert monitor is not None
    assert (monitor.schedule.cron, monitor.repair, monitor.at_once) == ("*/15 * * * *", True, 2)
    assert monitor.wait_for_workers == timedelta(hours=1)


def test_the_pool_of_repairs_counts_those_that_wait(tmp_path: Path) -> None:
    manifest = load(tmp_path, "monitor: {at_once: 4}\n").manifest
    assert manifest is not None
    (pool,) = (pool for pool in make_plan(manifest).pools if pool.name == REPAIR_POOL)
    assert (pool.slots, pool.include_deferred) == (4, True)


def test_notifiers_are_named_by_their_class(tmp_path: Path) -> None:
    more = (
        "notify:\n- notifier: airflow.providers.smtp.notifications.smtp.SmtpNotifier\n"
        "  arguments: {to: ops@bank.example}\n"
    )
    manifest = load(tmp_path, more).manifest
    assert manifest is not None
    (notifier,) = manifest.notify
    assert notifier.arguments == {"to": "ops@bank.example"}
    assert make_plan(manifest).snapshots[0].notify == (notifier,)


def test_a_monitor_with_a_problem_is_none_and_leaves_the_tables_standing(tmp_path: Path) -> None:
    loaded = load(tmp_path, "monitor: {schedule: often, repiar: false}\n")
    assert messages(loaded) == [
        "7: monitor.schedule: 'often' has 1 fields, not the five of a cron expression",
        "7: monitor.repiar: unknown key; did you mean 'repair'? allowed: schedule, repair, wait_for_workers, at_once",
    ]
    assert loaded.manifest is not None
    plan = make_plan(loaded.manifest)
    assert (len(plan.snapshots), plan.monitor) == (1, None)


def test_what_is_wrong_with_a_notifier_is_told_and_the_others_are_used(tmp_path: Path) -> None:
    loaded = load(tmp_path, "notify: [{notifier: smtp}, {notifier: a.B}, {to: me}]\n")
    assert [message.split(":")[1].strip() for message in messages(loaded)] == [
        "notify[0].notifier",
        "notify[2].notifier",
        "notify[2].to",
    ]
    assert loaded.manifest is not None
    assert [one.notifier for one in loaded.manifest.notify] == ["a.B"]
    assert messages(load(tmp_path, "notify: {notifier: a.B}\n")) == [
        "7: notify: a mapping is not a list; begin each notifier with '- '"
    ]


def test_a_store_that_only_spark_can_ask_has_no_monitor(tmp_path: Path) -> None:
    elsewhere = BASE.replace("'alluxio://host:19998/warehouse'", "'hdfs://host/warehouse', memory_only: false")
    manifest = load(tmp_path, base=elsewhere).manifest
    assert manifest is not None
    assert make_plan(manifest).monitor is None
