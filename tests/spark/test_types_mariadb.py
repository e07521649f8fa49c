"""Every type of MariaDB with the values that break readers: each arrives exact, or is refused."""

from __future__ import annotations

import hashlib
from dataclasses import replace

import pytest
from pyspark.sql import SparkSession
from pyspark.sql import functions as sf
from warehouse.capture_failures import RefusedValues, UnsupportedColumn
from warehouse.dialects import DIALECTS
from warehouse.dialects.mariadb_types import EXAMPLES
from warehouse.store_spec import StoreSpec
from warehouse.table_spec import ColumnSpec

from tests.spark.databases import MariadbDatabase
from tests.spark.runs import Runs

DAY = "2013-06-01"
DIALECT = DIALECTS["mariadb"]
AS_WRITTEN = "SET sql_mode = 'ALLOW_INVALID_DATES'"

# (type, kind asked for, kind stored, {value in SQL: the stored value as Spark writes it}). Every column has a NULL too.
ARRIVING: list[tuple[str, str | None, str, dict[str, str]]] = [
    ("tinyint(1)", None, "int", {"-128": "-128", "127": "127", "2": "2"}),
    ("tinyint(1)", "boolean", "boolean", {"0": "false", "1": "true"}),
    ("tinyint(3) unsigned", None, "int", {"255": "255"}),
    ("smallint(6)", None, "int", {"-32768": "-32768"}),
    ("smallint(5) unsigned", None, "int", {"65535": "65535"}),
    ("mediumint(9)", None, "int", {"-8388608": "-8388608"}),
    ("mediumint(8) unsigned zerofill", None, "int", {"5": "5", "16777215": "16777215"}),
    ("int(11)", None, "int", {"-2147483648": "-2147483648", "2147483647": "2147483647"}),
    ("int(10) unsigned", None, "bigint", {"4294967295": "4294967295"}),
    ("int(10) unsigned", "integer", "int", {"2147483647": "2147483647"}),
    ("bigint(20)", None, "bigint", {"-9223372036854775808": "-9223372036854775808"}),
    ("bigint(20)", "decimal(38,2)", "decimal(38,2)", {"-9223372036854775808": "-9223372036854775808.00"}),
    ("bigint(20) unsigned", None, "decimal(20,0)", {"18446744073709551615": "18446744073709551615", "0": "0"}),
    ("bigint(20) unsigned", "long", "bigint", {"9223372036854775807": "9223372036854775807"}),
    ("bigint(20)", "double", "double", {"9007199254740992": "9.007199254740992E15"}),
    ("decimal(12,2)", None, "decimal(12,2)", {"-9999999999.99": "-9999999999.99", "1.5": "1.50"}),
    ("decimal(12,2) unsigned zerofill", None, "decimal(12,2)", {"1.5": "1.50"}),
    ("decimal(38,38)", None, "decimal(38,38)", {"0." + "9" * 38: "0." + "9" * 38}),
    ("decimal(65,30)", "text", "string", {"-" + "9" * 35 + "." + "9" * 30: "-" + "9" * 35 + "." + "9" * 30}),
    ("decimal(65,30)", "decimal(38,10)", "decimal(38,10)", {"9" * 28 + "." + "9" * 10: "9" * 28 + "." + "9" * 10}),
    ("decimal(65,30)", "double", "double", {"0.1": "0.1", "-1e17": "-1.0E17"}),
    ("float", None, "float", {"16777217": "1.6777216E7", "0.1": "0.1", "3.4028234663852886e38": "3.4028235E38",
                              "1.1754944e-38": "1.17549435E-38", "'-0e0'": "0.0"}),
    ("float", "double", "double", {"0.1": "0.10000000149011612"}),
    ("float", "text", "string", {"0.1": "0.10000000149011612"}),
    ("float(7,2)", None, "float", {"12345.67": "12345.67"}),
    ("double", None, "double", {"0.30000000000000004": "0.30000000000000004", "5e-324": "4.9E-324",
                                "1.7976931348623157e308": "1.7976931348623157E308", "'-0e0'": "0.0"}),
    ("double(30,2)", None, "double", {"123456789012345678.99": "1.2345678901234568E17"}),
    ("bit(1)", None, "string", {"0": "0", "1": "1"}),
    ("bit(1)", "boolean", "boolean", {"0": "false", "1": "true"}),
    ("bit(10)", None, "string", {"5": "0000000101"}),
    ("bit(64)", None, "string", {"18446744073709551615": "1" * 64}),
    ("bit(64)", "decimal(20,0)", "decimal(20,0)", {"18446744073709551615": "18446744073709551615"}),
    ("year(4)", None, "int", {"0": "0", "1901": "1901", "2155": "2155"}),
    ("year(4)", "text", "string", {"0": "0000"}),
    ("date", None, "date", {"'0001-01-01'": "0001-01-01", "'1500-02-28'": "1500-02-28", "'1582-10-10'": "1582-10-10",
                            "'1969-12-31'": "1969-12-31", "'2000-02-29'": "2000-02-29", "'9999-12-31'": "9999-12-31"}),
    ("date", "text", "string", {"'0000-00-00'": "0000-00-00", "'2013-02-31'": "2013-02-31", "'2013-00-15'":
                                "2013-00-15", "'0000-12-31'": "0000-12-31"}),
    ("datetime", None, "timestamp_ntz", {"'2013-03-31 02:30:00'": "2013-03-31 02:30:00"}),
    ("datetime(6)", None, "timestamp_ntz",
     {"'0001-01-01 00:00:00.000001'": "0001-01-01 00:00:00.000001", "'1582-10-10 12:34:56.789012'":
      "1582-10-10 12:34:56.789012", "'1969-12-31 23:59:59.999999'": "1969-12-31 23:59:59.999999",
      "'9999-12-31 23:59:59.999999'": "9999-12-31 23:59:59.999999"}),
    ("datetime(6)", "text", "string", {"'0000-00-00'": "0000-00-00 00:00:00.000000"}),
    ("timestamp(6)", None, "timestamp", {"'1970-01-01 00:00:00.000001'": "1970-01-01 00:00:00.000001",
                                         "'2038-01-19 03:14:07.999999'": "2038-01-19 03:14:07.999999"}),
    ("timestamp(6)", "text", "string", {"0": "0000-00-00 00:00:00.000000"}),
    ("time(6)", None, "string", {"'-838:59:59.999999'": "-838:59:59.999999", "0": "00:00:00.000000"}),
    ("time", None, "string", {"'838:59:59'": "838:59:59"}),
    ("char(5)", None, "string", {"'ž👍 '": "ž👍", "''": ""}),
    ("varchar(20)", None, "string", {"'ž字👍é '": "ž字👍é ", "concat('a', char(0), 'b')": "a\0b", "'NULL'": "NULL"}),
    ("varchar(20) character set utf16", None, "string", {"'ž👍'": "ž👍"}),
    ("varchar(20) character set sjis", None, "string", {"'日本ｱ'": "日本ｱ"}),
    ("varchar(20) character set cp1251", None, "string", {"'Ж€'": "Ж€"}),
    ("text character set ascii", None, "string", {"'a?'": "a?"}),
    ("longtext", None, "string", {"'{\"b\": 1,  \"b\": 2}'": '{"b": 1,  "b": 2}'}),
    ("enum('a','b')", None, "string", {"'b'": "b"}),
    ("enum('x) character set sjis','it''s','ž')", None, "string", {"'it''s'": "it's", "'ž'": "ž"}),
    ("set('a','b')", None, "string", {"'b,a'": "a,b", "''": ""}),
    ("binary(4)", None, "binary", {"x'0061'": "00610000"}),
    ("varbinary(9)", None, "binary", {"x'00ff5c27'": "00FF5C27", "''": ""}),
    ("longblob", None, "binary", {"x'00ff'": "00FF"}),
    ("longblob", "text", "string", {"x'00ff'": "00FF"}),
    ("uuid", None, "string", {"'A0EEBC99-9C0B-4EF8-BB6D-6BB9BD380A11'": "a0eebc99-9c0b-4ef8-bb6d-6bb9bd380a11"}),
    ("inet4", None, "string", {"'10.1.2.3'": "10.1.2.3"}),
    ("inet6", None, "string", {"'::ffff:10.1.2.3'": "::ffff:10.1.2.3", "'2001:DB8::1'": "2001:db8::1"}),
    ("point", None, "string", {"ST_GeomFromText('POINT(0.1 0.30000000000000004)', 4326)":
                               "SRID=4326;POINT(0.1 0.30000000000000004)"}),
    ("geometry", None, "string", {"ST_GeomFromText('LINESTRING(0 0,1e300 -1e-300)')":
                                  "SRID=0;LINESTRING(0 0,1e300 -1e-300)"}),
]  # fmt: skip

# (type, kind asked for, value): that no stored value equals.
REFUSED: list[tuple[str, str | None, str]] = [
    ("date", None, "'0000-00-00'"),
    ("date", None, "'2013-00-15'"),
    ("date", None, "'2013-02-00'"),
    ("date", None, "'2013-02-31'"),
    ("date", None, "'1500-02-29'"),
    ("date", None, "'0000-01-01'"),
    ("date", None, "'0000-12-31'"),
    ("datetime(6)", None, "'0000-00-00 00:00:00'"),
    ("datetime(6)", None, "'2013-00-15 12:00:00'"),
    ("datetime(6)", None, "'2013-02-31 12:00:00'"),
    ("datetime(6)", None, "'0000-06-01 12:00:00'"),
    ("timestamp(6)", None, "0"),
    ("tinyint(1)", "boolean", "2"),
    ("int(10) unsigned", "integer", "2147483648"),
    ("bigint(20) unsigned", "long", "9223372036854775808"),
    ("bigint(20)", "double", "9007199254740993"),
    ("decimal(65,30)", "decimal(38,10)", "1" + "0" * 28),
    ("decimal(65,30)", "decimal(38,10)", "-0.00000000001"),
    ("decimal(65,30)", "double", "0.1000000000000000000001"),
    ("decimal(12,2)", "long", "0.5"),
    ("varchar(5) character set cp1251", None, "CAST(x'98' AS CHAR CHARACTER SET cp1251)"),
    ("varchar(5) character set tis620", None, "CAST(x'DB' AS CHAR CHARACTER SET tis620)"),
]


@pytest.fixture
def runs(session: SparkSession, tmpfs_store: StoreSpec, mariadb: MariadbDatabase) -> Runs:
    return Runs(session, tmpfs_store, mariadb)


def typed(mariadb: MariadbDatabase, types: list[str], rows: list[list[str]]) -> list[ColumnSpec]:
    """The columns, as ``check`` finds them, of a table ``typed`` with these rows."""
    columns = ", ".join(f"c{index} {name} NULL" for index, name in enumerate(types))
    inserted = ", ".join(f"({', '.join(row)})" for row in rows)
    mariadb.run(f"{AS_WRITTEN}; CREATE TABLE typed ({columns}); INSERT INTO typed VALUES {inserted}")
    return list(mariadb.columns("typed"))


def arriving(mariadb: MariadbDatabase) -> tuple[ColumnSpec, ...]:
    deep = max(len(values) for *_, values in ARRIVING)
    rows = [
        [[*values, "NULL"][min(row, len(values))] for *_, values in ARRIVING]
        for row in range(deep + 1)
    ]  # fmt: skip
    columns = typed(mariadb, [name for name, *_ in ARRIVING], rows)
    return tuple(replace(column, as_kind=asked) for column, (_, asked, *_) in zip(columns, ARRIVING, strict=True))


# Through the connection that holds the state, and through Spark's own.
@pytest.mark.parametrize("consistency", ["snapshot", "best_effort"])
def test_every_value_arrives_exact(runs: Runs, mariadb: MariadbDatabase, consistency: str) -> None:
    columns = arriving(mariadb)
    table = replace(runs.table("typed", mode="current"), columns=columns, validate="rows")
    captured = runs.snapshot([table], DAY, consistency=consistency)
    rows = runs.session.table(runs.branch(captured, "typed"))
    shown = rows.select(
        *(
            sf.hex(field.name) if field.dataType.typeName() == "binary" else sf.col(field.name).cast("string")
            for field in rows.schema.fields
        )
    ).collect()
    wrong: list[tuple[str, str | None, object]] = []
    for index, (name, asked, kind, values) in enumerate(ARRIVING):
        found = [row[index] for row in shown]
        if rows.schema.fields[index].dataType.simpleString() != kind:
            wrong.append((name, asked, rows.schema.fields[index].dataType.simpleString()))
        if sorted(text for text in found if text is not None) != sorted(values.values()):
            wrong.append((name, asked, found))
    assert wrong == []
    # The source and Spark compute the same of every one of them.
    assert runs.validate([table], DAY, captured).published[0].record.rows == len(shown)
    documented = {column.type for column in columns}
    assert {name for name, _ in EXAMPLES} - documented == set()


def test_every_character_of_unicode_arrives(runs: Runs, mariadb: MariadbDatabase) -> None:
    codes = [code for code in range(1, 0x110000) if not 0xD800 <= code <= 0xDFFF]
    mariadb.run(
        "SET group_concat_max_len = 10000000; CREATE TABLE characters (t longtext);"
        "INSERT INTO characters SELECT group_concat(char(seq USING utf32) ORDER BY seq SEPARATOR '') "
        "FROM seq_1_to_1114111 WHERE seq NOT BETWEEN 55296 AND 57343"
    )
    captured = runs.snapshot([runs.table("characters", mode="current")], DAY, consistency="best_effort")
    rows = runs.session.table(runs.branch(captured, "characters"))
    digest = hashlib.sha256("".join(map(chr, codes)).encode()).hexdigest()
    assert rows.select(sf.sha2("t", 256)).collect()[0][0] == digest


def test_values_that_cannot_be_held_are_told_from_those_that_can(mariadb: MariadbDatabase) -> None:
    """Both conditions run in the source: none of the values that arrive is refused, and each other one is."""

    def asked_of(columns: tuple[ColumnSpec, ...]) -> str:
        captured = [DIALECT.capture(column) for column in columns]
        return ", ".join(
            f"CAST(sum(CASE WHEN {one.refused_sql or 'false'} THEN 1 ELSE 0 END) AS SIGNED), count({one.sql})"
            for one in captured
        )

    answer = mariadb.run(f"SELECT {asked_of(arriving(mariadb))} FROM typed")[0]
    expected = [number for *_, values in ARRIVING for number in (0, len(values))]
    assert list(answer) == expected
    mariadb.run("DROP TABLE typed")
    columns = typed(mariadb, [name for name, *_ in REFUSED], [[value for *_, value in REFUSED]])
    refused = tuple(replace(column, as_kind=asked) for column, (_, asked, _) in zip(columns, REFUSED, strict=True))
    answer = mariadb.run(f"SELECT {asked_of(refused)} FROM typed")[0]
    wrong = [case for index, case in enumerate(REFUSED) if answer[2 * index : 2 * index + 2] != (1, 0)]
    assert wrong == []


def test_a_table_with_such_a_value_is_refused(runs: Runs, mariadb: MariadbDatabase) -> None:
    typed(mariadb, ["int", "date"], [["1", "'0000-00-00'"], ["2", "'2013-02-31'"], ["3", "'2013-06-01'"]])
    with pytest.raises(RefusedValues) as caught:
        runs.snapshot([runs.table("typed", mode="current")], DAY)
    assert str(caught.value) == (
        "table typed: column 'c1' of type date has 2 values that cannot be stored exactly (zero, in the year 0 or no "
        "date of the calendar); name another kind for it in columns.types, or exclude it with columns.exclude"
    )


@pytest.mark.parametrize(
    ("type_name", "asked", "reason"),
    [
        ("decimal(65,30)", None, "has more than 38 digits.*columns.types to {what: text}"),
        ("varchar(5)", "integer", "cannot be captured as integer; take what out of columns.types, or set it to text"),
        ("datetime", "timestamp", "cannot be captured as timestamp;"),
        ("bit(2)", "boolean", "cannot be captured as boolean;"),
    ],
)
def test_what_has_no_exact_kind_is_refused(
    runs: Runs, mariadb: MariadbDatabase, type_name: str, asked: str | None, reason: str
) -> None:
    mariadb.run(f"CREATE TABLE odd (id integer, what {type_name})")
    table = runs.table("odd", mode="current")
    columns = tuple(replace(column, as_kind=asked if column.name == "what" else None) for column in table.columns)
    with pytest.raises(UnsupportedColumn, match=f"table odd: column .*{reason}"):
        runs.snapshot([replace(table, columns=columns)], DAY, consistency="best_effort")
