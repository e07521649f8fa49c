"""Splits against a real source: every row once, whatever the key's type and wherever the rows are."""

from __future__ import annotations

from collections import Counter
from dataclasses import dataclass, replace

import pytest
from pyspark.sql import functions as sf
from warehouse import source_read
from warehouse.capture_failures import SplitImpossible
from warehouse.consistent_read import hold_source_state
from warehouse.source_read import plan_read, read_table
from warehouse.table_spec import SplitSpec, TableSpec

from tests.spark.databases import MariadbDatabase
from tests.spark.runs import Runs, interval

DAY = "2013-06-01"
ROWS = 600


@dataclass(frozen=True)
class Reading:
    """How a table was read: numbers ``n`` of its rows, rows of each connection, and what the log said."""

    numbers: list[int]
    sizes: list[int]
    line: str


@dataclass(frozen=True)
class Reader:
    """Reads tables that have a column ``n``, without the part that stores them."""

    runs: Runs
    capsys: pytest.CaptureFixture[str]

    def __call__(self, table: TableSpec, *, day: str = DAY, consistency: str = "snapshot") -> Reading:
        # Only by what is captured is a table split: borders are values of it.
        names = {"n", table.split.column, table.history.column}
        table = replace(table, columns=tuple(column for column in table.columns if column.name in names))
        source = replace(self.runs.database.source(), consistency=consistency)  # type: ignore[arg-type]
        with hold_source_state(self.runs.session, source) as state:
            frame = read_table(self.runs.session, state, plan_read(state, table, interval(day)))
            rows = frame.select("n", sf.spark_partition_id()).collect()
            connections = frame.rdd.getNumPartitions()
        sizes = Counter(row[1] for row in rows)
        lines = [line for line in self.capsys.readouterr().out.splitlines() if line.startswith(f"{table.name}: ")]
        return Reading(sorted(row[0] for row in rows), [sizes[number] for number in range(connections)], lines[-1])


@pytest.fixture
def reader(tmpfs_runs: Runs, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]) -> Reader:
    monkeypatch.setattr(source_read, "SMALL_ROWS", 0)
    return Reader(tmpfs_runs, capsys)


MARIADB_KEYS = {
    "tinyint unsigned": "n % 200",
    "bigint": "n * 9000000000000000",
    "decimal(20,4)": "n",
    "double": "n / 3e0",
    "date": "date '2013-01-01' + interval n day",
    "datetime(6)": "timestamp '2013-01-01 00:00:00' + interval n minute",
    "timestamp": "timestamp '2013-01-01 00:00:00' + interval n minute",
    "varchar(20)": "concat(elt(n % 3 + 1, 'O''Hare', 'back\\\\slash', 'žluť'), n)",
    "varchar(20) CHARACTER SET latin1": "concat('é', n)",
    "uuid": "concat(left(md5(n), 8), '-0000-0000-0000-000000000000')",
    "varbinary(16)": "unhex(md5(n))",
}


def test_keys_of_mariadb(reader: Reader, mariadb: MariadbDatabase) -> None:
    # Without a shared state: with one, no other connection could read it.
    here = Reader(replace(reader.runs, database=mariadb), reader.capsys)
    for number, (kind, value) in enumerate(MARIADB_KEYS.items()):
        name = f"keyed{number}"
        mariadb.run(
            f"CREATE TABLE {name} (n integer PRIMARY KEY, k {kind} NULL);"
            f"INSERT INTO {name} SELECT seq, CASE WHEN seq % 10 > 0 THEN {value} "
            f"END FROM (SELECT seq, seq AS n FROM seq_1_to_{ROWS}) numbers"
        )
        reading = here(here.runs.table(name, mode="current", split=SplitSpec(3, "k")), consistency="best_effort")
        assert reading.numbers == list(range(1, ROWS + 1)), kind
        assert len(reading.sizes) == 3 and all(size >= ROWS / 6 for size in reading.sizes), (kind, reading.sizes)
    unnamed = here(here.runs.table("keyed0", mode="current", split=SplitSpec(2)), consistency="best_effort")
    assert unnamed.line == "keyed0: 2 connections by column 'n'" and min(unnamed.sizes) >= 290
    alone = here(here.runs.table("keyed0", mode="current", split=SplitSpec(2)))
    assert alone.line == "keyed0: 1 connection, the one that holds the state"
    assert alone.numbers == list(range(1, ROWS + 1))
    mariadb.run(
        "SET @@timestamp = unix_timestamp('2013-06-01 12:00:00');"
        "CREATE TABLE past (n integer PRIMARY KEY) WITH SYSTEM VERSIONING;"
        f"INSERT INTO past SELECT seq FROM seq_1_to_{ROWS};"
        "SET @@timestamp = unix_timestamp('2013-06-02 12:00:00'); DELETE FROM past WHERE n > 10"
    )
    past = here(here.runs.table("past", mode="time_travel", split=SplitSpec(2)))
    assert past.line == "past: 2 connections by column 'n'" and past.numbers == list(range(1, ROWS + 1))


KEYS = {
    "bigint": "n * 9000000000000000",
    "numeric(20,4)": "n",
    "money": "n::numeric",
    "double precision": "CASE n WHEN 5 THEN float8 'NaN' WHEN 6 THEN '-Infinity' ELSE n END",
    "date": "CASE n WHEN 5 THEN date 'infinity' WHEN 6 THEN '0044-03-15 BC' ELSE date '2013-01-01' + n END",
    "timestamp without time zone": "timestamp '2013-01-01' + n * interval '1 day 1 microsecond'",
    "timestamp with time zone": "timestamptz '2013-01-01' + n * interval '1 day 1 microsecond'",
    "interval": "n * interval '1 minute'",
    "text": "(ARRAY['O''Hare', 'back\\slash', 'žluť', '', E'line\\nbreak', '$$'])[n % 6 + 1] || n",
    "character varying(500)": "repeat('long', 100) || n",
    "character(8)": "n::text",
    'text COLLATE "pg_c_utf8"': "chr(97 + n % 26) || n",
    "uuid": "md5(n::text)::uuid",
    "bytea": "decode(md5(n::text), 'hex')",
    "inet": "inet '10.0.0.0' + n",
    "jsonb": "jsonb_build_object('n', n)",
    "mood": "(ARRAY['ok', 'it''s \"fine\"'])[n % 2 + 1]::mood",
}


def test_keys_of_every_ordered_type(reader: Reader) -> None:
    run = reader.runs.database.run
    run("CREATE TYPE mood AS ENUM ('it''s \"fine\"', 'ok')")
    for number, (kind, value) in enumerate(KEYS.items()):
        name = f"keyed{number}"
        run(f"CREATE TABLE {name} (n integer, k {kind})")
        plain = kind.partition(" COLLATE")[0]
        run(
            f"INSERT INTO {name} SELECT n, CASE WHEN n % 10 > 0 THEN ({value})::{plain} END "
            f"FROM generate_series(1, {ROWS}) n"
        )
        parts = 2 if kind == "mood" else 3
        reading = reader(reader.runs.table(name, mode="current", split=SplitSpec(parts, "k")))
        assert reading.numbers == list(range(1, ROWS + 1)), kind
        assert len(reading.sizes) == parts and all(size >= ROWS / 6 for size in reading.sizes), (kind, reading.sizes)
        assert reading.line == f"{name}: {parts} connections by column 'k'"


@pytest.mark.parametrize("kind", ["json", "point"])
def test_keys_without_order(reader: Reader, kind: str) -> None:
    reader.runs.database.run(f"CREATE TABLE odd (n integer, k {kind}); INSERT INTO odd VALUES (1, NULL)")
    with pytest.raises(
        SplitImpossible, match=f"table odd cannot be split: its column 'k': keys of type {kind} have no"
    ):
        reader(reader.runs.table("odd", mode="current", split=SplitSpec(2, "k")))


def test_skewed_keys(reader: Reader) -> None:
    reader.runs.database.run(
        # Nine rows in ten have the key 7; strides between least and greatest would give all but one row to one split.
        f"CREATE TABLE skewed AS SELECT n, CASE WHEN n % 10 > 0 THEN 7 WHEN n = {ROWS} THEN 2000000000 ELSE n END AS k "
        f"FROM generate_series(1, {ROWS}) n;"
        f"CREATE TABLE same AS SELECT n, 7 AS k FROM generate_series(1, {ROWS}) n;"
        f"CREATE TABLE unknown AS SELECT n, NULL::integer AS k FROM generate_series(1, {ROWS}) n"
    )

    def read(name: str, parts: int) -> Reading:
        return reader(reader.runs.table(name, mode="current", split=SplitSpec(parts, "k")))

    skewed = read("skewed", 3)
    assert skewed.numbers == list(range(1, ROWS + 1))
    assert len(skewed.sizes) == 3 and 540 <= max(skewed.sizes) <= 550
    for name in ("same", "unknown"):
        assert read(name, 2).line == f"{name}: 1 connection: all keys of column 'k' are equal"


def test_tables_of_no_and_one_row(reader: Reader) -> None:
    reader.runs.database.run("CREATE TABLE few (n integer PRIMARY KEY)")
    for rows in ([], [1]):
        reader.runs.database.run(f"TRUNCATE few; INSERT INTO few SELECT unnest('{{{str(rows)[1:-1]}}}'::integer[])")
        by_place = reader(reader.runs.table("few", mode="current", split=SplitSpec(4)))
        assert (by_place.numbers, by_place.line) == (rows, "few: 1 connection: at most one page")
        by_column = reader(reader.runs.table("few", mode="current", split=SplitSpec(4, "n")))
        why = "all keys of column 'n' are equal" if rows else "no rows"
        assert (by_column.numbers, by_column.line) == (rows, f"few: 1 connection: {why}")


def test_small_tables_and_one_part(reader: Reader, monkeypatch: pytest.MonkeyPatch) -> None:
    reader.runs.database.run("CREATE TABLE small AS SELECT n FROM generate_series(1, 300) n; ANALYZE small")
    assert reader(reader.runs.table("small", mode="current", split=SplitSpec(1))).line == (
        "small: 1 connection: split.parts is 1"
    )
    monkeypatch.undo()
    monkeypatch.setenv("WAREHOUSE_SOURCE_PASSWORD", reader.runs.database.password)
    for column in (None, "n"):
        table = reader.runs.table("small", mode="current", split=SplitSpec(2, column))
        assert reader(table).line == "small: 1 connection: about 300 rows"


def relations(runs: Runs) -> None:
    runs.database.run(
        "CREATE TABLE partitioned (n integer PRIMARY KEY, filler text) PARTITION BY RANGE (n);"
        "CREATE TABLE low PARTITION OF partitioned FOR VALUES FROM (0) TO (1000);"
        "CREATE TABLE high PARTITION OF partitioned FOR VALUES FROM (1000) TO (10000);"
        "INSERT INTO partitioned SELECT n, repeat('x', 100) FROM generate_series(0, 4999) n;"
        "CREATE TABLE parent AS SELECT * FROM partitioned WHERE n < 2500;"
        "CREATE TABLE child () INHERITS (parent); INSERT INTO child SELECT * FROM partitioned WHERE n >= 2500;"
        "CREATE MATERIALIZED VIEW materialised AS SELECT * FROM partitioned;"
        "CREATE VIEW viewed AS SELECT * FROM partitioned;"
        # No wrapper comes with the tests' server: what is outside can be looked up, not read.
        "CREATE TABLE mixed (n integer) PARTITION BY RANGE (n);"
        "CREATE TABLE inside PARTITION OF mixed FOR VALUES FROM (0) TO (5000);"
        "INSERT INTO mixed SELECT n FROM partitioned;"
        "DROP FOREIGN DATA WRAPPER IF EXISTS nothing CASCADE;"
        "CREATE FOREIGN DATA WRAPPER nothing; CREATE SERVER nowhere FOREIGN DATA WRAPPER nothing;"
        "CREATE FOREIGN TABLE outside PARTITION OF mixed FOR VALUES FROM (-5000) TO (0) SERVER nowhere"
    )


def test_what_is_divided_without_a_column(reader: Reader) -> None:
    relations(reader.runs)
    unindexed = "has no unique index to split by; split.column may name a column"
    expected = {
        "partitioned": "3 connections by place",
        "parent": "3 connections by place",
        "materialised": "3 connections by place",
        "viewed": f"1 connection: a view {unindexed}",
        "mixed": f"1 connection: a foreign table {unindexed}",
    }
    for name, how in expected.items():
        reading = reader(reader.runs.table(name, mode="current", split=SplitSpec(3), filter="n >= 0"))
        assert reading.numbers == list(range(5000)), name
        assert reading.line == f"{name}: {how}"
        if "place" in how:
            assert all(reading.sizes), (name, reading.sizes)
        named = reader(reader.runs.table(name, mode="current", split=SplitSpec(3, "n"), filter="n >= 0"))
        assert named.numbers == list(range(5000)) and all(size > 1500 for size in named.sizes), name


def test_without_a_shared_state_places_are_not_used(reader: Reader) -> None:
    relations(reader.runs)
    keyed = reader(reader.runs.table("partitioned", mode="current", split=SplitSpec(2)), consistency="best_effort")
    assert keyed.line == "partitioned: 2 connections by column 'n'" and keyed.numbers == list(range(5000))
    other = reader(reader.runs.table("materialised", mode="current", split=SplitSpec(2)), consistency="best_effort")
    assert other.line == (
        "materialised: 1 connection: there is no unique index to split by; split.column may name a column"
    )


def test_a_small_interval_is_read_by_its_index(reader: Reader) -> None:
    reader.runs.database.run(
        "CREATE TABLE log AS SELECT n, timestamptz '2013-01-01 00:00+00' + n * interval '10 minutes' AS at "
        "FROM generate_series(0, 29999) n; CREATE INDEX ON log (at); ANALYZE log"
    )
    table = reader.runs.table("log", split=SplitSpec(2))
    reading = reader(table)
    assert reading.line == "log: 2 connections by column 'at'"
    assert len(reading.numbers) == 144 and min(reading.sizes) >= 70
    reader.runs.database.run("DROP INDEX log_at_idx")
    assert reader(table).line == "log: 2 connections by place"


def test_keys_of_a_large_table_are_sampled(reader: Reader, monkeypatch: pytest.MonkeyPatch) -> None:
    reader.runs.database.run(
        "CREATE TABLE large AS SELECT n, md5(n::text)::uuid AS k FROM generate_series(1, 60000) n; ANALYZE large;"
        "CREATE VIEW seen AS SELECT * FROM large"
    )
    monkeypatch.setattr("warehouse.splits.SAMPLE_ROWS", 6_000)
    for name in ("large", "seen"):
        reading = reader(reader.runs.table(name, mode="current", split=SplitSpec(2, "k")))
        assert reading.numbers == list(range(1, 60_001))
        assert all(size > 27_000 for size in reading.sizes)


def test_a_sample_that_finds_no_row_is_made_again(reader: Reader) -> None:
    """The planner knows nothing of this filter and expects a third of the rows; all of them lie in the last page."""
    reader.runs.database.run(
        "CREATE TABLE late AS SELECT n FROM generate_series(1, 200000) n; ANALYZE late;"
        "CREATE FUNCTION wanted(n integer) RETURNS boolean LANGUAGE sql VOLATILE AS 'SELECT n > 199900'"
    )
    reading = reader(reader.runs.table("late", mode="current", split=SplitSpec(2, "n"), filter="wanted(n)"))
    assert reading.numbers == list(range(199_901, 200_001)) and min(reading.sizes) >= 47
