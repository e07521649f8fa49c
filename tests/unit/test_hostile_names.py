"""Hostile names, dates and parameters: quoted exactly or refused with a sentence, where they become SQL or a path."""

from __future__ import annotations

import re
from collections.abc import Callable
from dataclasses import replace
from pathlib import Path

import pendulum
import pytest
from logical_warehouse.as_of import resolve_interval
from logical_warehouse.comparing import BRANCH
from logical_warehouse.intervals import Schedule
from logical_warehouse.manifest import load_manifest
from warehouse.coverage import NoSuchSnapshot, covered
from warehouse.dialects import DIALECTS, Dialect, DialectError
from warehouse.failures import PermanentError
from warehouse.iceberg_tables import quoted_name
from warehouse.run_spec import RunSpec
from warehouse.spark_conf import spark_conf
from warehouse.spec_json import SpecError
from warehouse.store_spec import StoreSpec

from tests.unit.hostile import DATES, NAMES, NO_NAMES, read_back
from tests.unit.records import snapshot_record

CLOSING = {"mariadb": "`", "mysql": "`", "sqlserver": "]"}
STORE = StoreSpec("alluxio://host:19998/warehouse")
MANIFEST = """\
version: 1
sources: {shop: {connection: shop}}
store: {uri: "alluxio://host:19998/warehouse"}
defaults: {source: shop, schedule: "@daily", start: 2013-06-01}
tables:
"""

every_dialect = pytest.mark.parametrize("dialect", DIALECTS.values(), ids=DIALECTS)
every_name = pytest.mark.parametrize("name", NAMES.values(), ids=NAMES)


@every_dialect
@every_name
def test_a_name_is_quoted_exactly_or_refused(dialect: Dialect, name: str) -> None:
    try:
        quoted = dialect.quote(name)
    except DialectError as error:
        assert dialect.name == "oracle" and '"' in name, error  # which cannot have it
        assert repr(name) in str(error)
        return
    assert read_back(quoted, CLOSING.get(dialect.name, '"')) == name
    assert dialect.relation(name, name) == f"{quoted}.{quoted}"


@every_dialect
@pytest.mark.parametrize("name", NO_NAMES.values(), ids=NO_NAMES)
def test_what_no_engine_takes_for_a_name_is_refused(dialect: Dialect, name: str) -> None:
    with pytest.raises(DialectError, match="is not an identifier"):
        dialect.quote(name)


@every_dialect
@every_name
def test_a_text_stays_one_literal(dialect: Dialect, name: str) -> None:
    literal = dialect.literal(name)
    begin, escaped = re.match(r"([EN]?')(.*)'$", literal, re.DOTALL).groups()  # type: ignore[union-attr]
    backslashes = begin == "E'" or dialect.name in ("mariadb", "mysql")
    text = re.sub(r"\\\\|''", lambda pair: pair[0][0], escaped) if backslashes else escaped.replace("''", "'")
    assert text == name
    assert re.sub(r"''|\\\\" if backslashes else "''", "", escaped).count("'") == 0


@every_name
def test_a_name_is_one_of_spark(name: str) -> None:
    assert read_back(quoted_name(name), "`") == name


def test_spark_replaces_no_variable_in_what_it_parses() -> None:
    assert spark_conf(STORE, scratch_dir="/dev/shm/x")["spark.sql.variable.substitute"] == "false"


@pytest.mark.parametrize("name", [*NAMES.values(), *NO_NAMES.values()], ids=[*NAMES, *NO_NAMES])
@pytest.mark.parametrize("key", ["table", "group", "training", "source", "catalog", "namespace"])
def test_a_name_of_the_manifest_that_is_none_is_refused(tmp_path: Path, key: str, name: str) -> None:
    """Names of the manifest become DAG ids, branches and paths."""
    written = '"' + "".join(f"\\U{ord(letter):08X}" for letter in name) + '"'
    orders = "{table: public.orders, history: current}"
    text = MANIFEST + {
        "table": f"  {written}: {orders}\n",
        "group": f"  orders: {{table: public.orders, history: current, group: {written}}}\n",
        "training": f"  orders: {orders}\ntrainings:\n  {written}: {{application: a.py, inputs: {{orders: latest}}}}\n",
    }.get(key, f"  orders: {orders}\n")
    if key == "source":
        text = text.replace("sources: {shop:", f"sources: {{{written}:")
    elif key in ("catalog", "namespace"):
        text = text.replace("/warehouse", f'/warehouse", {key}: {written}, web: "http://h')
    path = tmp_path / "warehouse.yaml"
    path.write_text(text, encoding="utf-8")
    loaded = load_manifest(path)
    assert loaded.problems
    for problem in loaded.problems:
        assert "\n" not in str(problem) and "\0" not in str(problem)
    if loaded.manifest is not None:
        assert name not in (*loaded.manifest.tables, *loaded.manifest.trainings, *loaded.manifest.sources)
        assert all(name != table.group for table in loaded.manifest.tables.values())


@pytest.mark.parametrize("as_of", DATES)
def test_a_param_that_is_no_date_is_refused(as_of: str) -> None:
    with pytest.raises(PermanentError, match="is not an as-of date of schedule"):
        resolve_interval(
            Schedule("@daily", "UTC"), as_of_param=as_of, data_interval=None, run_after=pendulum.datetime(2013, 7, 1)
        )


@pytest.mark.parametrize("as_of", DATES)
def test_a_reader_that_asks_for_no_date_is_refused(as_of: str) -> None:
    record = snapshot_record("orders", "2013-06-01", "2013-06-01T00:00:00Z", "2013-06-02T00:00:00Z")
    if as_of == "2013-06-01T0000Z":
        return  # that very moment, only not the label of a daily table
    with pytest.raises(NoSuchSnapshot, match="it is not an as-of date"):
        covered("orders", [record], as_of, since=None, expired=False, window=None)


@pytest.mark.parametrize(
    "run_id", [*NAMES.values(), *NO_NAMES.values(), "..", "/", "manual__2013-06-01T00:00:00+00:00"]
)
def test_a_run_id_becomes_one_step_of_a_path_and_one_branch(run_id: str) -> None:
    run = RunSpec("snapshot_orders", run_id, 1)
    assert re.fullmatch(r"[a-z0-9_]{1,80}", run.key)
    assert re.fullmatch(r"run_[a-z0-9_]+_try1", run.branch)
    assert STORE.run_path(run, "check") == f"{STORE.uri}/_runs/snapshot_orders/{run.key}/check-try1.json"
    others = {RunSpec("snapshot_orders", other, 1).key for other in NAMES.values() if other != run_id}
    assert run.key not in others  # whatever was taken out of the name


@pytest.mark.parametrize("hostile", ["..", "../x", "a/b", "", ".", "a\0b", "a\n", "a b", "ａ", "-x"])  # noqa: RUF001
def test_no_path_leaves_the_folder_of_its_run(hostile: str) -> None:
    run = RunSpec("snapshot_orders", "r", 1)
    makes: tuple[Callable[[], str], ...] = (
        lambda: STORE.run_path(replace(run, dag_id=hostile), "check"),
        lambda: STORE.run_path(run, hostile),
        lambda: STORE.fingerprint_folder(run, hostile, "2013-06-01"),
        lambda: STORE.fingerprint_folder(run, "orders", hostile),
    )
    for make in makes:
        with pytest.raises(SpecError, match="cannot be part of a path in the store"):
            make()


@pytest.mark.parametrize("branch", ["run_../../x_try1", "run_a/b_try1", "run_a_try1\n", "run_a_try１", "run_ä_try1"])  # noqa: RUF001
def test_a_branch_to_compare_names_no_other_path(branch: str) -> None:
    assert BRANCH.fullmatch(branch) is None
