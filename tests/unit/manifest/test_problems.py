"""Every kind of problem, by its exact text."""

# ruff: noqa: E501 - a message is one line, here too

from __future__ import annotations

from pathlib import Path

import pytest
from logical_warehouse.manifest import load_manifest

from tests.unit.manifest.conftest import Load

TABLE_KEYS = (
    "table, history, description, source, owner, tags, schedule, start, end, group, split, columns, filter, schema, "
    "retention, validate, checks, freshness, require_classification, access, retries, retry_delay"
)
HISTORY_FORMS = (
    "current, {current: {lateness: 12h}}, {interval: {column: …}}, {valid_between: {from: …, to: …}}, time_travel, "
    "{time_travel: {keeps: 90d}}"
)
NAME_RULE = "a small letter, then small letters, digits and _, at most 60 in all"
KINDS = "boolean, integer, long, decimal(p,s), float, double, text, binary, date, timestamp, timestamp_ntz"
MASKS = "hash, hmac(<connection>), truncate(<characters>), redact"
LABELS = "public, internal, confidential, restricted"
INTERVAL = "{interval: {column: day}}"
TRAINING = "trainings:\n  late:\n    application: train_model.py\n    inputs: "


def messages(load: Load, *args: object, **kwargs: object) -> list[str]:
    return [str(problem) for problem in load(*args, **kwargs).problems]


@pytest.mark.parametrize(
    ("added", "message"),
    [
        ("    histroy: current", f"m.yaml:10: tables.flights.histroy: unknown key; did you mean 'history'? allowed: {TABLE_KEYS}"),
        ("    zzz: 1", f"m.yaml:10: tables.flights.zzz: unknown key; allowed: {TABLE_KEYS}"),
        ("    owner: [a]", "m.yaml:10: tables.flights.owner: a list is not text"),
        ("    owner: 5", "m.yaml:10: tables.flights.owner: 5 is not text; quote it"),
        ("    owner: ''", "m.yaml:10: tables.flights.owner: is empty"),
        ("    tags: aviation", "m.yaml:10: tables.flights.tags: 'aviation' is not a list; did you mean [aviation]?"),
        ("    tags: [a,\n      3]", "m.yaml:11: tables.flights.tags[1]: 3 is not text; quote it"),
        ("    source: nyk", "m.yaml:10: tables.flights.source: there is no source 'nyk'; did you mean 'nyc'? allowed: nyc"),
        ("    source: null", "m.yaml:10: tables.flights.source: is missing; set it here or in defaults.source; allowed: nyc"),
        ("    schedule: '@dayly'", "m.yaml:10: tables.flights.schedule: '@dayly' is not one of the presets @hourly, @daily, @weekly, @monthly, @quarterly, @yearly"),
        ("    schedule: 61 * * * *", "m.yaml:10: tables.flights.schedule: '61 * * * *' is not a cron expression: [61 * * * *] is not acceptable, out of range"),
        ("    start: 2013", "m.yaml:10: tables.flights.start: 2013 is not a date; allowed: YYYY-MM-DD"),
        ("    start: 2013-02-30", "m.yaml:10: tables.flights.start: '2013-02-30' is not a date; allowed: YYYY-MM-DD"),
        ("    start: null", "m.yaml:10: tables.flights.start: is missing; set it here or in defaults.start"),
        ("    end: 2013-05-31", "m.yaml:10: tables.flights.end: the end, 2013-05-31, lies before the start, 2013-06-01"),
        ("    group: A-b", f"m.yaml:10: tables.flights.group: 'A-b' cannot be the name of a group; did you mean 'a_b'? allowed: {NAME_RULE}"),
        ("    validate: row", "m.yaml:10: tables.flights.validate: 'row' is not a known value; did you mean 'rows'? allowed: count, columns, rows"),
        ("    split: {parts: 0}", "m.yaml:10: tables.flights.split.parts: 0 is too small; allowed: 1 or more"),
        ("    split: {parts: two}", "m.yaml:10: tables.flights.split.parts: 'two' is not a whole number"),
        ("    split: {parts: true}", "m.yaml:10: tables.flights.split.parts: True is not a whole number"),
        ("    split: {parts: 1.5}", "m.yaml:10: tables.flights.split.parts: 1.5 is not a whole number"),
        ("    split: {part: 1}", "m.yaml:10: tables.flights.split.part: unknown key; did you mean 'parts'? allowed: parts, column"),
        ("    split: 2", "m.yaml:10: tables.flights.split: 2 is not a mapping; allowed: parts, column"),
        ("    split: {parts: 3}", "m.yaml:10: tables.flights.split.parts: 3 connections that read and one that holds the state of the source are 4, more than the budget of 'nyc', 3; raise sources.nyc.budget or read with fewer parts; allowed: 1 to 2"),
        ("    columns: {}", "m.yaml:10: tables.flights.columns: columns is empty; allowed: include, exclude, types, mask, classification"),
        ("    columns: {mask: {b: hsh}}", f"m.yaml:10: tables.flights.columns.mask.b: 'hsh' is not a mask; did you mean 'hash'? allowed: {MASKS}"),
        ("    columns: {mask: {b: truncate}}", f"m.yaml:10: tables.flights.columns.mask.b: 'truncate' is not a mask; allowed: {MASKS}"),
        ("    columns: {mask: {b: hmac(a b)}}", f"m.yaml:10: tables.flights.columns.mask.b: 'hmac(a b)' is not a mask; allowed: {MASKS}"),
        ("    columns: {mask: {b: 4}}", f"m.yaml:10: tables.flights.columns.mask.b: 4 is not a mask; allowed: {MASKS}"),
        ("    columns: {mask: {}}", "m.yaml:10: tables.flights.columns.mask: is empty"),
        ("    columns:\n      exclude: [b]\n      mask: {b: hash}", "m.yaml:10: tables.flights.columns: the column 'b' of mask is not read; take 'b' out of mask"),
        ("    columns: {include: [day, iban], mask: {ibann: hash}}", "m.yaml:10: tables.flights.columns: the column 'ibann' of mask is not read; did you mean 'iban'?"),
        ("    columns: {include: [day], classification: {dya: public}}", "m.yaml:10: tables.flights.columns: the column 'dya' of classification is not read; did you mean 'day'?"),
        ("    columns:\n      mask: {day: hash}", "m.yaml:11: tables.flights.columns.mask.day: the column 'day' says to which 'interval' a row belongs, and cannot be masked; take 'day' out of mask"),
        ("    split: {column: iban}\n    columns: {mask: {iban: hash}}", "m.yaml:10: tables.flights.split.column: the column 'iban' is masked, and its values would leave the source as borders of splits; name another column, or none"),
        ("    split: {column: iban}\n    columns: {exclude: [iban]}", "m.yaml:10: tables.flights.split.column: the column 'iban' is not read, and its values would leave the source as borders of splits; name another column, or none"),
        ("    columns: {classification: {b: confidental}}", f"m.yaml:10: tables.flights.columns.classification.b: there is no label 'confidental'; did you mean 'confidential'? allowed: {LABELS}"),
        ("    require_classification: true\n    columns: {include: [day, b], classification: {day: public}}", f"m.yaml:11: tables.flights.columns.classification: 'b' has no label, and require_classification is set; allowed: {LABELS}"),
        ("    require_classification: true\n    columns: {include: [day, b]}", f"m.yaml:11: tables.flights.columns: 'day', 'b' have no label, and require_classification is set; allowed: {LABELS}"),
        ("    require_classification: 3", "m.yaml:10: tables.flights.require_classification: 3 is not a truth value; allowed: true, false"),
        ("    access: analysts", "m.yaml:10: tables.flights.access: 'analysts' is not a known access; did you mean {group: analysts}? allowed: everyone, {group: …}"),
        ("    access: everyon", "m.yaml:10: tables.flights.access: 'everyon' is not a known access; did you mean 'everyone'? allowed: everyone, {group: …}"),
        ("    access: {grup: analysts}", "m.yaml:10: tables.flights.access: 'grup' is not a known access; did you mean 'group'? allowed: everyone, {group: …}"),
        ("    access: {group: null}", "m.yaml:10: tables.flights.access: a mapping is not a known access; allowed: everyone, {group: …}"),
        ("    access: {group: domain users}", "m.yaml:10: tables.flights.access.group: 'domain users' cannot be the name of a group; allowed: letters, digits and _ . @ + -, no blanks"),
        ("    access: {group: 5}", "m.yaml:10: tables.flights.access.group: 5 is not text; quote it"),
        ("    columns: {include: [day], exclude: [x]}", "m.yaml:10: tables.flights.columns: columns has at most one of include and exclude; allowed: include, exclude"),
        ("    columns: {types: {}}", "m.yaml:10: tables.flights.columns.types: is empty"),
        ("    columns: {types: {a: dobule}}", f"m.yaml:10: tables.flights.columns.types.a: 'dobule' is not a kind of value; did you mean 'double'? allowed: {KINDS}"),
        ("    columns: {types: {a: 'decimel(4,2)'}}", f"m.yaml:10: tables.flights.columns.types.a: 'decimel(4,2)' is not a kind of value; did you mean 'decimal(p,s)'? allowed: {KINDS}"),
        ("    columns: {types: {a: decimal}}", f"m.yaml:10: tables.flights.columns.types.a: 'decimal' is not a kind of value; did you mean 'decimal(p,s)'? allowed: {KINDS}"),
        ("    columns: {types: {a: 'decimal(39,2)'}}", "m.yaml:10: tables.flights.columns.types.a: decimal(39,2) is none: 1 to 38 digits, scale within them"),
        ("    columns: {types: {a: 5}}", f"m.yaml:10: tables.flights.columns.types.a: 5 is not a kind of value; allowed: {KINDS}"),
        ("    columns:\n      exclude: [b]\n      types: {b: text}", "m.yaml:10: tables.flights.columns: the column 'b' of types is not read; take 'b' out of types"),
        ("    columns: {include: [day], types: {b: text}}", "m.yaml:10: tables.flights.columns: the column 'b' of types is not read; take 'b' out of types"),
        ("    columns: {include: []}", "m.yaml:10: tables.flights.columns.include: is empty"),
        ("    columns: {exclude: [day]}", "m.yaml:10: tables.flights.columns: the column 'day' of history.interval must be read; include 'day'"),
        ("    columns: {include: [x]}", "m.yaml:10: tables.flights.columns: the column 'day' of history.interval must be read; include 'day'"),
        ("    retention: {keep: 0}", "m.yaml:10: tables.flights.retention.keep: 0 is too small; allowed: 1 or more"),
        ("    checks: {max_change: x}", "m.yaml:10: tables.flights.checks.max_change: 'x' is not a number"),
        ("    checks: {max_change: -1}", "m.yaml:10: tables.flights.checks.max_change: -1 is too small; allowed: 0 or more"),
        ("    checks: {rows: [a > 1]}", "m.yaml:10: tables.flights.checks.rows: a list is not a mapping"),
        ("    checks:\n      rows:\n        a: true", "m.yaml:12: tables.flights.checks.rows.a: True is not text; quote it"),
        ("    retry_delay: 5", "m.yaml:10: tables.flights.retry_delay: 5 is not a duration; allowed: numbers with d, h, m or s, such as 12h or 1h30m"),
        ("    retry_delay: 5 min", "m.yaml:10: tables.flights.retry_delay: '5 min' is not a duration; allowed: numbers with d, h, m or s, such as 12h or 1h30m"),
        ("    filter: ${WHERE}", "m.yaml:10: tables.flights.filter: the environment variable WHERE is not set; set it, or write ${WHERE:-…} with a default"),
        ("    owner: a\n    owner: b", "m.yaml:11: tables.flights.owner: duplicate key; the first is in line 10"),
        ("  flights: {table: a.b, history: current}", "m.yaml:10: tables.flights: duplicate key; the first is in line 7"),
        ("    <<: {owner: a}", "m.yaml:10: tables.flights: merge keys (<<) are not supported; write it out, or use defaults"),
        ("    ? [a]\n    : b", "m.yaml:10: tables.flights: a key is a single text"),
        ("  More: {table: a.b, history: current}", f"m.yaml:10: tables.More: 'More' cannot be the name of a table; did you mean 'more'? allowed: {NAME_RULE}"),
        (f"  {'x' * 61}: {{table: a.b, history: current}}", f"m.yaml:10: tables.{'x' * 61}: '{'x' * 61}' cannot be the name of a table; did you mean '{'x' * 60}'? allowed: {NAME_RULE}"),
        ("  more:", f"m.yaml:10: tables.more: is empty; allowed: {TABLE_KEYS}"),
        ("  more: {history: current}", "m.yaml:10: tables.more.table: is missing"),
        ("  more: {table: a.b}", "m.yaml:10: tables.more.history: is missing"),
        ("  more: {table: flights, history: current}", "m.yaml:10: tables.more.table: 'flights' does not name a table of the source; allowed: schema.table"),
    ],
)  # fmt: skip
def test_a_table(load: Load, added: str, message: str) -> None:
    loaded = load(added + "\n")
    assert [str(problem) for problem in loaded.problems] == [message]
    subject = ".".join(message.split(": ")[1].split(".")[:2])
    assert [problem.subject for problem in loaded.problems] == [subject]
    assert loaded.manifest is not None
    assert subject.removeprefix("tables.") not in loaded.manifest.tables


def test_a_decimal_without_quotes_in_braces(load: Load) -> None:
    first, _ = load("    columns: {types: {a: decimal(38,10)}}").problems
    assert str(first) == (
        "m.yaml:10: tables.flights.columns.types.a: 'decimal(38' is not a kind of value; a kind with a comma needs quotes"
    )


@pytest.mark.parametrize(
    ("history", "message"),
    [
        ("curent", f"tables.flights.history: 'curent' is not a known history; did you mean 'current'? allowed: {HISTORY_FORMS}"),
        ("{intervall: {column: a}}", f"tables.flights.history: 'intervall' is not a known history; did you mean 'interval'? allowed: {HISTORY_FORMS}"),
        ("interval", "tables.flights.history: interval needs the column that says to which interval a row belongs; allowed: {interval: {column: …}}"),
        ("{interval: {}}", "tables.flights.history.interval.column: is missing"),
        ("{interval: {colum: a}}", "tables.flights.history.interval.column: is missing|tables.flights.history.interval.colum: unknown key; did you mean 'column'? allowed: column, lookback"),
        ("{interval: {column: day, lookback: -1}}", "tables.flights.history.interval.lookback: -1 is too small; allowed: 0 or more"),
        ("{time_travel: {keep: 90d}}", "tables.flights.history.time_travel.keep: unknown key; did you mean 'keeps'? allowed: keeps"),
        ("{time_travel: {keeps: 90}}", "tables.flights.history.time_travel.keeps: 90 is not a duration; allowed: numbers with d, h, m or s, such as 12h or 1h30m"),
        ("valid_between", "tables.flights.history: valid_between needs the columns that say when a row holds; allowed: {valid_between: {from: …, to: …}}"),
        ("{valid_between: {from: a}}", "tables.flights.history.valid_between.to: is missing"),
        ("{valid_between: {from: a, until: b}}", "tables.flights.history.valid_between.to: is missing|tables.flights.history.valid_between.until: unknown key; allowed: from, to, inclusive"),
        ("{valid_between: {valid_from: a, to: b}}", "tables.flights.history.valid_between.from: is missing|tables.flights.history.valid_between.valid_from: unknown key; allowed: from, to, inclusive"),
        ("{valid_between: {from: a, to: a}}", "tables.flights.history.valid_between.to: from and to are both 'a', so no row would ever be valid"),
        ("{valid_between: {from: a, to: b, inclusive: perhaps}}", "tables.flights.history.valid_between.inclusive: 'perhaps' is not a truth value; allowed: true, false"),
        ("{current: {}, interval: {column: a}}", f"tables.flights.history: history has exactly one mode; allowed: {HISTORY_FORMS}"),
        ("null", f"tables.flights.history: history has exactly one mode; allowed: {HISTORY_FORMS}"),
        ("{current: {lateness: 25h}}", "tables.flights.history.current.lateness: lateness 1d1h is longer than an interval of '@daily' in UTC, 1d; allowed: up to 1d"),
        ("{current: {latenes: 2h}}", "tables.flights.history.current.latenes: unknown key; did you mean 'lateness'? allowed: lateness"),
    ],
)  # fmt: skip
def test_history(load: Load, history: str, message: str) -> None:
    assert messages(load, replaced={INTERVAL: history}) == [f"m.yaml:9: {one}" for one in message.split("|")]


@pytest.mark.parametrize(
    ("replaced", "message"),
    [
        ({"version: 1": "version: 2"}, "m.yaml:1: version: 2 is not a known version; allowed: 1"),
        ({"version: 1\n": "\n"}, "m.yaml:1: version: is missing"),
        ({"alluxio://": "s3a://"}, "m.yaml:4: store.memory_only: a store on s3a:// keeps its files on disks, which memory_only refuses; write memory_only: false if rows may be stored there; allowed: false"),
        ({'"}': "\", memory_only: 'maybe'}"}, "m.yaml:4: store.memory_only: 'maybe' is not a truth value; allowed: true, false"),
        ({"alluxio://host:19998": "file://", '"}': '", replication: 2}'}, "m.yaml:4: store.replication: 2 copies are kept by Alluxio only, and the store is file:///warehouse; leave it out: another kind of store has its own setting of copies; allowed: 1"),
        ({"alluxio://": "ftp://"}, "m.yaml:4: store.uri: 'ftp://host:19998/warehouse' is not the URI of a store; allowed: alluxio://…, file://…, hdfs://…, s3a://…"),
        ({"{uri:": "{url:"}, "m.yaml:4: store.uri: is missing|m.yaml:4: store.url: unknown key; did you mean 'uri'? allowed: uri, catalog, namespace, web, s3, memory_only, replication, reader_grace"),
        ({'"}\ndefaults': '", catalog: a-b}\ndefaults'}, "m.yaml:4: store.catalog: 'a-b' is not an identifier; allowed: ^[A-Za-z_][A-Za-z0-9_]{0,62}$"),
        ({"store: {uri": "#"}, "m.yaml:1: store: is missing"),
        ({"defaults: {": "defaults: {ownr: a, "}, "m.yaml:5: defaults.ownr: unknown key; did you mean 'owner'? allowed: owner, tags, source, schedule, start, end, retention, split, validate, schema, freshness, require_classification, access, retries, retry_delay"),
        ({"defaults:": "spark: {jars: 3}\ndefaults:"}, "m.yaml:5: spark.jars: 3 is not text; quote it"),
        ({"defaults:": "spark:\n  conf:\n    a: [1]\ndefaults:"}, "m.yaml:7: spark.conf.a: a list is not a single value; allowed: text (quote dates), number, true, false"),
        ({"defaults:": "store: {uri: 'file:///x'}\ndefaults:"}, "m.yaml:5: store: duplicate key; the first is in line 4"),
    ],
)  # fmt: skip
def test_a_section_that_leaves_nothing_usable(load: Load, replaced: dict[str, str], message: str) -> None:
    loaded = load(replaced=replaced)
    assert [str(problem) for problem in loaded.problems] == message.split("|")
    assert {problem.subject for problem in loaded.problems} == {"manifest"}
    assert loaded.manifest is None


@pytest.mark.parametrize(
    ("text", "message"),
    [
        ("", "m.yaml:1: is empty; allowed: version, sources, store, spark, classification, defaults, tables, trainings, monitor, notify"),
        ("- a", "m.yaml:1: a list is not a mapping; allowed: version, sources, store, spark, classification, defaults, tables, trainings, monitor, notify"),
        ("version: 1\na: [1,\nb: c", "m.yaml:3: not YAML: did not find expected ',' or ']' while parsing a flow sequence that begins in line 2"),
        ("a: 1\n\tb: 2", "m.yaml:2: not YAML: found a tab character that violates indentation"),
        ("a: 1\n---\nb: 2", "m.yaml:2: not YAML: but found another document"),
        ("a: *b", "m.yaml:1: not YAML: found undefined alias"),
    ],
)  # fmt: skip
def test_a_file_that_is_no_manifest(tmp_path: Path, monkeypatch: pytest.MonkeyPatch, text: str, message: str) -> None:
    monkeypatch.chdir(tmp_path)
    Path("m.yaml").write_text(text, encoding="utf-8")
    loaded = load_manifest(Path("m.yaml"), {})
    assert [str(problem) for problem in loaded.problems] == [message]
    assert loaded.manifest is None


def test_a_file_that_cannot_be_read(tmp_path: Path) -> None:
    (problem,) = load_manifest(tmp_path / "none.yaml", {}).problems
    assert str(problem) == f"{tmp_path}/none.yaml:1: cannot be read: No such file or directory"
    (tmp_path / "latin.yaml").write_bytes(b"\xe9")
    (problem,) = load_manifest(tmp_path / "latin.yaml", {}).problems
    assert str(problem) == f"{tmp_path}/latin.yaml:1: is not UTF-8 text"


@pytest.mark.parametrize(
    ("source", "message"),
    [
        ("{connection: nyc, budget: 0}", "m.yaml:3: sources.nyc.budget: 0 is too small; allowed: 1 or more"),
        ("{connection: nyc, time_zone: Mars}", "m.yaml:3: sources.nyc.time_zone: 'Mars' is not an IANA time zone such as 'Europe/Berlin' or 'UTC'"),
        ("{connection: nyc, consistency: snapshoot}", "m.yaml:3: sources.nyc.consistency: 'snapshoot' is not a known value; did you mean 'snapshot'? allowed: snapshot, best_effort"),
        ("{conection: nyc}", "m.yaml:3: sources.nyc.connection: is missing|m.yaml:3: sources.nyc.conection: unknown key; did you mean 'connection'? allowed: connection, budget, time_zone, consistency, reader, fetch_size, driver"),
    ],
)  # fmt: skip
def test_a_source_takes_its_tables_with_it(load: Load, source: str, message: str) -> None:
    loaded = load(
        "  lone: {table: a.b, history: current, source: other}\n",
        {"  nyc: {connection: nyc}\n": f"  nyc: {source}\n  other: {{connection: other}}\n"},
    )
    left_out = "m.yaml:8: tables.flights: left out, since sources.nyc has a problem"
    assert [str(problem) for problem in loaded.problems] == [*message.split("|"), left_out]
    assert [problem.subject for problem in loaded.problems][-2:] == ["sources.nyc", "tables.flights"]
    assert loaded.manifest is not None
    assert (list(loaded.manifest.sources), list(loaded.manifest.tables)) == (["other"], ["lone"])


def test_a_budget_of_one_leaves_no_connection_to_read_with(load: Load) -> None:
    assert messages(load, replaced={"{connection: nyc}": "{connection: nyc, budget: 1}"}) == [
        "m.yaml:7: tables.flights.split.parts: 2 connections that read and one that holds the state of the source are 3, "
        "more than the budget of 'nyc', 1; raise sources.nyc.budget"
    ]


@pytest.mark.parametrize(
    ("replaced", "messages_"),
    [
        ({"source: nyc": "source: nyk"}, ["m.yaml:5: defaults.source: there is no source 'nyk'; did you mean 'nyc'? allowed: nyc", "m.yaml:7: tables.flights: left out, since defaults.source has a problem"]),
        ({'"@daily"': "daily"}, ["m.yaml:5: defaults.schedule: 'daily' has 1 fields, not the five of a cron expression", "m.yaml:7: tables.flights: left out, since defaults.schedule has a problem"]),
    ],
)  # fmt: skip
def test_a_wrong_default_is_said_once(load: Load, replaced: dict[str, str], messages_: list[str]) -> None:
    assert messages(load, replaced=replaced) == messages_


def test_unknown_keys_and_sections_that_are_no_mappings(load: Load) -> None:
    loaded = load("table: {}\ntrainings: [a]\n")
    assert [str(problem) for problem in loaded.problems] == [
        "m.yaml:10: table: unknown key; did you mean 'tables'? allowed: version, sources, store, spark, classification, defaults, tables, trainings, monitor, notify",
        "m.yaml:11: trainings: a list is not a mapping; allowed: name of a training: …",
    ]  # fmt: skip
    assert loaded.manifest is not None
    assert list(loaded.manifest.tables) == ["flights"]


def test_all_problems_are_told_at_once_in_the_order_of_lines(load: Load) -> None:
    added = "    histroy: x\n    owner: 3\n  more: {table: x, history: now}\ntrainings: {late: {}}\nfoo: 1\n"
    lines = [problem.line for problem in load(added, {"version: 1": "version: 3"}).problems]
    assert lines == [1, 10, 11, 12, 12, 13, 13, 14]


@pytest.mark.parametrize(
    ("second", "message"),
    [
        ("source: other", "m.yaml:12: tables.more.source: 'other' differs from 'nyc' of 'flights', which the group 'g' captures with it; allowed: nyc"),
        ("schedule: '@hourly'", "m.yaml:12: tables.more.schedule: '@hourly' differs from '@daily' of 'flights', which the group 'g' captures with it; allowed: @daily"),
        ("start: 2014-01-01", "m.yaml:12: tables.more.start: '2014-01-01' differs from '2013-06-01' of 'flights', which the group 'g' captures with it; allowed: 2013-06-01"),
        ("end: 2014-01-01", "m.yaml:12: tables.more.end: '2014-01-01' differs from 'null' of 'flights', which the group 'g' captures with it; allowed: null"),
        ("history: current", "m.yaml:12: tables.more.history: 'current' cannot be backfilled, but 'interval' of 'flights', which the group 'g' captures with it, can be backfilled; allowed: interval, valid_between, time_travel"),
    ],
)  # fmt: skip
def test_tables_of_a_group_share_what_makes_one_run(load: Load, second: str, message: str) -> None:
    history = "" if "history" in second else ", history: {interval: {column: c}}"
    added = f"    group: g\n  more: {{table: a.b, group: g, {second}{history}}}\n"
    loaded = load(added, {"sources:\n": "sources:\n  other: {connection: other}\n"})
    left_out = "m.yaml:11: groups.g: left out, since tables.more has a problem and a group is captured as a whole"
    assert [str(problem) for problem in loaded.problems] == [left_out, message]
    assert [problem.subject for problem in loaded.problems] == ["groups.g", "tables.more"]
    assert loaded.manifest is not None
    assert loaded.manifest.tables == {}


def test_tables_that_can_be_backfilled_make_a_group_whatever_their_history(load: Load) -> None:
    added = (
        "    group: g\n"
        "  prices: {table: a.b, group: g, history: {valid_between: {from: c, to: d}}}\n"
        "  rates: {table: a.b, group: g, history: time_travel}\n"
    )
    assert messages(load, added) == []


def test_one_broken_table_takes_its_group_and_the_trainings_that_read_it(load: Load) -> None:
    added = """\
    group: g
  broken: {table: a.b, history: now, group: g}
  lone: {table: a.c, history: {interval: {column: c}}}
trainings:
  reads_group: {application: a.py, inputs: {flights: {window: 1}}}
  reads_lone: {application: a.py, inputs: {lone: {window: 1}}}
"""
    loaded = load(added)
    assert [str(problem) for problem in loaded.problems] == [
        "m.yaml:10: groups.g: left out, since tables.broken has a problem and a group is captured as a whole",
        f"m.yaml:11: tables.broken.history: 'now' is not a known history; allowed: {HISTORY_FORMS}",
        "m.yaml:14: trainings.reads_group: left out, since tables.flights has a problem",
    ]
    assert [problem.subject for problem in loaded.problems] == ["groups.g", "tables.broken", "trainings.reads_group"]
    assert loaded.manifest is not None
    assert [group.name for group in loaded.manifest.groups()] == ["lone"]
    assert list(loaded.manifest.trainings) == ["reads_lone"]


def test_a_group_does_not_take_the_name_of_a_table_outside_it(load: Load) -> None:
    loaded = load("  more: {table: a.b, history: current, group: flights}\n")
    assert [str(problem) for problem in loaded.problems] == [
        "m.yaml:10: tables.more.group: the group 'flights' has the name of a table that is in no group; rename one of them"
    ]
    assert loaded.manifest is not None
    assert list(loaded.manifest.tables) == ["flights"]


@pytest.mark.parametrize(
    ("inputs", "message"),
    [
        ("{flihgts: all}", "m.yaml:14: trainings.late.inputs.flihgts: there is no table 'flihgts'; did you mean 'flights'? allowed: flights, now, hourly, prices"),
        ("{flights: lastest}", "m.yaml:14: trainings.late.inputs.flights: 'lastest' is not a known input; did you mean 'latest'? allowed: latest, at_or_before, all, {window: n}"),
        ("{flights: {windw: 1}}", "m.yaml:14: trainings.late.inputs.flights: 'windw' is not a known input; did you mean 'window'? allowed: latest, at_or_before, all, {window: n}"),
        ("{flights: {window: 0}}", "m.yaml:14: trainings.late.inputs.flights.window: 0 is too small; allowed: 1 or more"),
        ("{flights: {window: null}}", "m.yaml:14: trainings.late.inputs.flights: an input is one of these forms; allowed: latest, at_or_before, all, {window: n}"),
        ("{flights: {word: all}}", "m.yaml:14: trainings.late.inputs.flights: 'word' is not a known input; allowed: latest, at_or_before, all, {window: n}"),
        ("{flights: }", "m.yaml:14: trainings.late.inputs.flights: an input is one of these forms; allowed: latest, at_or_before, all, {window: n}"),
        ("{}", "m.yaml:14: trainings.late.inputs: is empty"),
        ("{flights: latest}", "m.yaml:14: trainings.late.inputs: no input is dated, so nothing says when to run; allowed: {window: n} or all for at least one input"),
        ("{flights: {window: 61}}", "m.yaml:14: trainings.late.inputs.flights.window: 61 intervals are more than the retention of 'flights', {days: 60}, keeps; allowed: 1 to 60"),
        ("{flights: all}", "m.yaml:14: trainings.late.inputs.flights: all intervals are read, but the retention of 'flights', {days: 60}, keeps 60; allowed: latest, {window: 1} to {window: 60}"),
        ("{now: all}", "m.yaml:14: trainings.late.inputs.now: 'now' has the history 'current', whose snapshots are whole; allowed: latest, at_or_before, {window: 1}"),
        ("{now: {window: 2}}", "m.yaml:14: trainings.late.inputs.now: 'now' has the history 'current', whose snapshots are whole; allowed: latest, at_or_before, {window: 1}"),
        ("{prices: all}", "m.yaml:14: trainings.late.inputs.prices: 'prices' has the history 'valid_between', whose snapshots are whole; allowed: latest, at_or_before, {window: 1}"),
        ("{flights: {window: 1}, hourly: at_or_before}", "m.yaml:14: trainings.late.inputs.hourly: 'hourly' has the history 'interval', of which every interval up to the date is needed; allowed: latest, all, {window: n}"),
        ("{now: at_or_before}", "m.yaml:14: trainings.late.inputs: no input is dated, so nothing says when to run; allowed: {window: n} or all for at least one input"),
        ("{flights: {window: 1}, hourly: all}", "m.yaml:14: trainings.late.inputs.hourly: the schedule of 'hourly', '@hourly' in UTC, differs from that of 'flights', '@daily' in UTC; allowed: latest, at_or_before, or tables of one schedule and time zone"),
    ],
)  # fmt: skip
def test_a_training(load: Load, inputs: str, message: str) -> None:
    added = (
        "  now: {table: a.b, history: current}\n"
        "  hourly: {table: a.b, history: {interval: {column: c}}, schedule: '@hourly'}\n"
        "  prices: {table: a.b, history: {valid_between: {from: c, to: d}}}\n"
    )
    retention = {INTERVAL: INTERVAL + "\n    retention: {days: 60}", "tables:\n": "tables:\n"}
    loaded = load(added + TRAINING + inputs + "\n", retention)
    line = message.replace("m.yaml:14", "m.yaml:17")
    assert [str(problem) for problem in loaded.problems] == [line]
    assert [problem.subject for problem in loaded.problems] == ["trainings.late"]
    assert loaded.manifest is not None
    assert (list(loaded.manifest.tables), loaded.manifest.trainings) == (["flights", "now", "hourly", "prices"], {})


def test_dated_inputs_share_the_time_zone(load: Load) -> None:
    added = "  berlin: {table: a.b, history: {interval: {column: c}}, source: berlin}\n"
    added += TRAINING + "{flights: {window: 1}, berlin: {window: 1}}\n"
    source = "sources:\n  berlin: {connection: b, time_zone: Europe/Berlin}\n"
    assert messages(load, added, {"sources:\n": source}) == [
        "m.yaml:15: trainings.late.inputs.berlin: the schedule of 'berlin', '@daily' in Europe/Berlin, differs from that of "
        "'flights', '@daily' in UTC; allowed: latest, at_or_before, or tables of one schedule and time zone"
    ]


@pytest.mark.parametrize(
    ("lookback", "retention", "message"),
    [
        (6, "{keep: 7}", None),
        (7, "{keep: 7}", "a lookback of 7 reaches beyond what the retention {keep: 7} keeps, 7; allowed: up to 6"),
        (1, "{keep: 1}", "a lookback of 1 reaches beyond what the retention {keep: 1} keeps, 1; allowed: 0"),
        (2, "{days: 2}", "a lookback of 2 reaches beyond what the retention {days: 2} keeps, 2; allowed: up to 1"),
        (400, "null", None),
    ],
)
def test_what_is_captured_again_is_kept(load: Load, lookback: int, retention: str, message: str | None) -> None:
    history = f"{{interval: {{column: day, lookback: {lookback}}}}}"
    expected = [] if message is None else [f"m.yaml:9: tables.flights.history.interval.lookback: {message}"]
    assert messages(load, f"    retention: {retention}\n", {INTERVAL: history}) == expected


@pytest.mark.parametrize(
    ("schedule", "retention", "kept"),
    [
        ("@daily", "{keep: 7}", 7),
        ("@daily", "{keep: 90, days: 60}", 60),
        ("@hourly", "{days: 2}", 48),
        ("@weekly", "{days: 30}", 4),
        ("@monthly", "{days: 10}", 1),
        ("0 6 * * 1-5", "{days: 9}", 3),
    ],
)
def test_retention_in_days_is_counted_in_intervals(load: Load, schedule: str, retention: str, kept: int) -> None:
    added = f"    retention: {retention}\n{TRAINING}{{flights: {{window: %d}}}}\n"
    assert messages(load, added % kept, {"@daily": schedule}) == []
    (problem,) = load(added % (kept + 1), {"@daily": schedule}).problems
    assert problem.allowed == (f"1 to {kept}",)


def test_an_equal_schedule_in_other_words_is_the_same(load: Load) -> None:
    added = "  other: {table: a.b, history: {interval: {column: c}}, schedule: 0 0 * * *}\n"
    assert messages(load, added + TRAINING + "{flights: all, other: all}\n") == []


@pytest.mark.parametrize(
    ("added", "message"),
    [
        ("  late: {inputs: {flights: all}}", "m.yaml:11: trainings.late.application: is missing"),
        ("  late: {application: a.py}", "m.yaml:11: trainings.late.inputs: is missing"),
        ("  late: {application: ../a.py, inputs: {flights: all}}", "m.yaml:11: trainings.late.application: '../a.py' is not a Python file under spark_jobs/; allowed: a path such as train_model.py"),
        ("  late: {application: /a.py, inputs: {flights: all}}", "m.yaml:11: trainings.late.application: '/a.py' is not a Python file under spark_jobs/; allowed: a path such as train_model.py"),
        ("  late: {application: a.py, inputs: {flights: all}, keep_inputs: maybe}", "m.yaml:11: trainings.late.keep_inputs: 'maybe' is not a truth value; allowed: true, false"),
        ("  late: {application: a.py, inputs: {flights: all}, arguments: {since: 2013-01-01}}", "m.yaml:11: trainings.late.arguments.since: 2013-01-01 is not a single value; allowed: text (quote dates), number, true, false"),
        ("  late: {application: a.py, inputs: {flights: all}, arguments: {since: }}", "m.yaml:11: trainings.late.arguments.since: nothing is not a single value; allowed: text (quote dates), number, true, false"),
        ("  late: {application: a.py, inputs: [flights]}", "m.yaml:11: trainings.late.inputs: a list is not a mapping"),
        ("  Late: {application: a.py, inputs: {flights: all}}", f"m.yaml:11: trainings.Late: 'Late' cannot be the name of a training; did you mean 'late'? allowed: {NAME_RULE}"),
    ],
)  # fmt: skip
def test_keys_of_a_training(load: Load, added: str, message: str) -> None:
    assert messages(load, f"trainings:\n{added}\n") == [message]


def test_the_labels_of_a_warehouse_are_its_own(load: Load) -> None:
    labelled = "    columns: {classification: {b: secret}}\n"
    own = {"defaults:": "classification: {labels: [open, secret]}\ndefaults:"}
    assert messages(load, labelled, own) == []
    assert messages(load, labelled.replace("secret", "sekret"), own) == [
        "m.yaml:11: tables.flights.columns.classification.b: there is no label 'sekret'; did you mean 'secret'? allowed: open, secret"
    ]
    assert messages(load, "", {"defaults:": "classification: {label: [a]}\ndefaults:"}) == [
        "m.yaml:5: classification.label: unknown key; did you mean 'labels'? allowed: labels"
    ]


def test_validity_by_a_masked_column(load: Load) -> None:
    history = {INTERVAL: "{valid_between: {from: since, to: until}}"}
    assert messages(load, "    columns: {mask: {until: redact}}\n", history) == [
        "m.yaml:10: tables.flights.columns.mask.until: the column 'until' says to which 'valid_between' a row belongs, and cannot be masked; exclude it"
    ]
    assert messages(load, "    columns: {exclude: [until]}\n", history) == []


def test_labels_that_all_tables_need(load: Load) -> None:
    required = {"defaults: {": "defaults: {require_classification: true, "}
    table = "    columns: {include: [day]}\n"
    assert "'day' has no label" in messages(load, table, required)[0]
    assert messages(load, table + "    require_classification: false\n", required) == []
