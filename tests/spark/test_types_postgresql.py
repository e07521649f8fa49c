"""Every type of PostgreSQL with the values that break readers: each arrives exact, or is refused."""

from __future__ import annotations

import hashlib
from collections.abc import Iterator
from dataclasses import replace

import pytest
from pyspark.sql import functions as sf
from warehouse import source_read
from warehouse.capture_failures import RefusedValues, UnsupportedColumn
from warehouse.dialects import DIALECTS
from warehouse.dialects.postgresql_types import EXAMPLES, SESSION_SETTINGS
from warehouse.fingerprints import ValidateMode
from warehouse.table_spec import ColumnSpec, SplitSpec

from tests.spark.databases import Database
from tests.spark.runs import Runs

DAY = "2013-06-01"
DIALECT = DIALECTS["postgresql"]
SCHEMA = """
CREATE TYPE mood AS ENUM ('sad', 'it''s "fine"', 'ž');
CREATE TYPE address AS (street text, number integer, since date, price numeric, weight double precision);
CREATE DOMAIN cents AS numeric(12,2) CHECK (VALUE <> 3);
CREATE DOMAIN price AS cents NOT NULL DEFAULT 0;
CREATE DOMAIN born AS date;
"""
LAST = "294247-01-10 04:00:54.775807"

# (type, kind asked for, kind stored, {value in SQL: the stored value as Spark writes it}); None: as PostgreSQL
# itself writes the value. Every column also holds NULL.
Expected = dict[str, str | None]
ARRIVING: list[tuple[str, str | None, str, Expected]] = [
    ("boolean", None, "boolean", {"true": "true", "false": "false"}),
    ("smallint", None, "int", {"-32768": "-32768", "32767": "32767"}),
    ("integer", None, "int", {"-2147483648": "-2147483648", "2147483647": "2147483647"}),
    ("bigint", None, "bigint", {"'-9223372036854775808'": "-9223372036854775808", "9223372036854775807": None}),
    ("oid", None, "bigint", {"4294967295": "4294967295", "0": "0"}),
    (
        "real",
        None,
        "float",
        {"'NaN'": "NaN", "'Infinity'": "Infinity", "'-Infinity'": "-Infinity", "'-0'": "-0.0", "'3.4028235e38'":
         "3.4028235E38", "'1.4e-45'": "1.4E-45", "0.1": "0.1", "16777217": "1.6777216E7"},
    ),
    (
        "double precision",
        None,
        "double",
        {"'NaN'": "NaN", "'Infinity'": "Infinity", "'-Infinity'": "-Infinity", "'-0'": "-0.0", "'5e-324'": "4.9E-324",
         "1.7976931348623157e308": "1.7976931348623157E308", "0.1": "0.1", "0.30000000000000004": None},
    ),
    ("real", "double", "double", {"0.1": "0.10000000149011612", "'NaN'": "NaN"}),
    ("numeric(12,2)", None, "decimal(12,2)", {"9999999999.99": None, "-0.01": None, "1.5": "1.50"}),
    ("numeric(38,10)", None, "decimal(38,10)", {"1234567890123456789012345678.0123456789": None}),
    ("numeric(38,38)", None, "decimal(38,38)", {"'-0." + "9" * 38 + "'": None}),
    ("numeric(38,0)", None, "decimal(38,0)", {"9" * 38: None, "-" + "9" * 38: None}),
    ("numeric(5,-3)", None, "decimal(8,0)", {"-99999000": "-99999000", "1499": "1000"}),
    ("numeric(3,5)", None, "decimal(5,5)", {"0.00999": "0.00999", "-0.00001": "-0.00001"}),
    ("numeric(40,-2)", "text", "string", {"-1" + "0" * 41: None, "'NaN'": "NaN"}),
    ("numeric(50,2)", "text", "string", {"9" * 48 + ".01": None}),
    ("numeric(50,2)", "decimal(38,2)", "decimal(38,2)", {"9" * 36 + ".01": None}),
    ("numeric", "decimal(38,10)", "decimal(38,10)",
     {"9" * 28 + "." + "9" * 10: None, "-1.5": "-1.5000000000", "1.50000000000000000": "1.5000000000",
      "0": "0.0000000000"}),
    ("numeric", "text", "string",
     {"'NaN'": "NaN", "'Infinity'": "Infinity", "'-Infinity'": "-Infinity", "1.50": "1.50", "1e100": None,
      "'1e-1000'": None}),
    ("numeric", "double", "double", {"0.1": "0.1", "'NaN'": "NaN", "12345678.12345678": "1.234567812345678E7"}),
    ("numeric", "long", "bigint", {"9223372036854775807.000": "9223372036854775807", "'-9223372036854775808'": None}),
    ("bigint", "decimal(38,2)", "decimal(38,2)", {"9223372036854775807": "9223372036854775807.00"}),
    ("bigint", "integer", "int", {"2147483647": None, "-2147483648": None}),
    ("integer", "long", "bigint", {"-2147483648": None}),
    ("price", None, "decimal(12,2)", {"-0.01": "-0.01"}),
    ("born", None, "date", {"'0044-03-15 BC'": "-0043-03-15"}),
    ("money", None, "decimal(19,2)", {"'-92233720368547758.08'": "-92233720368547758.08", "0.01": "0.01"}),
    ("money", "text", "string", {"'-1234.5'": "-$1,234.50"}),
    (
        "date",
        None,
        "date",
        {"'4713-01-01 BC'": "-4712-01-01", "'0001-12-31 BC'": "0000-12-31", "'0001-01-01'": "0001-01-01",
         "'1500-02-28'": "1500-02-28", "'1582-10-04'": "1582-10-04", "'1582-10-10'": "1582-10-10",
         "'1582-10-15'": "1582-10-15", "'1899-12-31'": None, "'1969-12-31'": None, "'9999-12-31'": None,
         "'10000-01-01'": "+10000-01-01", "'5874897-12-31'": "+5874897-12-31"},
    ),
    ("date", "text", "string", {"'infinity'": "infinity", "'-infinity'": "-infinity", "'0044-03-15 BC'": None}),
    (
        "timestamp",
        None,
        "timestamp_ntz",
        {"'4713-11-24 00:00:00 BC'": "-4712-11-24 00:00:00", "'0001-01-01 00:00:00.000001'": None,
         "'1582-10-10 12:34:56.789012'": None, "'1969-12-31 23:59:59.999999'": None,
         "'2013-03-10 02:30:00.123456'": None, "'2013-11-03 01:30:00'": None, "'9999-12-31 23:59:59.999999'": None,
         f"'{LAST}'": f"+{LAST}"},
    ),
    ("timestamp(3)", None, "timestamp_ntz", {"'2013-03-10 02:30:00.1236'": "2013-03-10 02:30:00.124"}),
    ("timestamp", "text", "string", {"'infinity'": "infinity", "'2013-03-10 02:30:00.1'": "2013-03-10 02:30:00.1"}),
    (
        "timestamptz",
        None,
        "timestamp",
        {"'4713-11-24 00:00:00+00 BC'": "-4712-11-24 00:00:00", "'1582-10-10 12:34:56.789012+00'":
         "1582-10-10 12:34:56.789012", "'1883-11-17 12:00:00 America/New_York'": "1883-11-17 16:56:02",
         "'2013-03-10 02:30:00.123456-05'": "2013-03-10 07:30:00.123456", f"'{LAST}+00'": f"+{LAST}",
         "'9999-12-31 23:59:59.999999-12'": "+10000-01-01 11:59:59.999999"},
    ),
    ("timestamptz(0)", None, "timestamp", {"'2013-03-10 02:30:00.5+00'": "2013-03-10 02:30:01"}),
    ("timestamptz", "text", "string", {"'-infinity'": "-infinity", "'2013-06-01 12:00+02'": "2013-06-01 10:00:00+00"}),
    ("time", None, "string", {"'24:00:00'": "24:00:00", "'23:59:59.999999'": "23:59:59.999999", "'00:00'": "00:00:00"}),
    ("timetz", None, "string", {"'12:00:00.5+05:30'": "12:00:00.5+05:30", "'00:00-15:59'": "00:00:00-15:59"}),
    (
        "interval",
        None,
        "string",
        {"'1 year 2 mons -3 days 04:05:06.789'": "P1Y2M-3DT4H5M6.789S", "'-0.000001 s'": "PT-0.000001S",
         "'178000000 years'": "P178000000Y", "'0'": "PT0S"},
    ),
    ("text", None, "string", {"''": "", "' '": " ", "E'tab\\t\\nline\\r \\\\ end '": "tab\t\nline\r \\ end ",
     "U&'e\\0301 \\00e9 \\200b\\200f \\feff \\ffff \\+01F468\\200d\\+01F469 \\+10FFFF'": None, "'NULL'": "NULL"}),
    ("varchar(5)", None, "string", {"'ž字👍é '": "ž字👍é "}),
    ("char(5)", None, "string", {"'ab'": "ab   ", "'ž👍'": "ž👍   ", "''": "     "}),
    ("bpchar", None, "string", {"'ab  '": "ab  "}),
    ('"char"', None, "string", {"'x'": "x", "''": ""}),
    ("name", None, "string", {"'pg_class'": "pg_class"}),
    ("bytea", None, "binary", {"'\\x00ff5c27'": "00FF5C27", "''": ""}),
    ("bytea", "text", "string", {"'\\x00ff'": "\\x00ff"}),
    ("uuid", None, "string", {"'A0EEBC99-9C0B-4EF8-BB6D-6BB9BD380A11'": "a0eebc99-9c0b-4ef8-bb6d-6bb9bd380a11"}),
    ("json", None, "string", {"""'{"b": 1,  "a": 1e400, "a": "\\u0000"}'""": '{"b": 1,  "a": 1e400, "a": "\\u0000"}'}),
    ("jsonb", None, "string", {"""'{"b": 1.10, "a": [null, "ž"]}'""": '{"a": [null, "ž"], "b": 1.10}'}),
    ("xml", None, "string", {}),  # the tests' server is built without it: its columns can only hold NULL
    ("integer[]", None, "string", {"'{{1,2},{NULL,4}}'": "{{1,2},{NULL,4}}", "'[0:1]={1,2}'": "[0:1]={1,2}",
                                   "'{}'": "{}"}),
    ("text[]", None, "string", {"""'{"NULL",NULL,"a,\\"b"}'""": None}),
    ("timestamptz[]", None, "string", {"'{2013-06-01 12:00+02,infinity}'": '{"2013-06-01 10:00:00+00",infinity}'}),
    ("double precision[]", None, "string", {"'{0.1,NaN,1e-300}'": "{0.1,NaN,1e-300}"}),
    ("mood", None, "string", {"'sad'": "sad", "'it''s \"fine\"'": "it's \"fine\"", "'ž'": "ž"}),
    ("address", None, "string", {"ROW('Main, St', NULL, '0044-03-15 BC', 'NaN', 0.1)":
                                 '("Main, St",,"0044-03-15 BC",NaN,0.1)', "ROW(NULL,NULL,NULL,NULL,NULL)": "(,,,,)"}),
    ("inet", None, "string", {"'10.1.2.3'": "10.1.2.3", "'10.1.2.3/8'": "10.1.2.3/8", "'::1'": "::1",
                              "'::ffff:1.2.3.4/128'": "::ffff:1.2.3.4"}),
    ("cidr", None, "string", {"'10.1.0.0/16'": "10.1.0.0/16", "'10.1.2.3'": "10.1.2.3/32"}),
    ("macaddr", None, "string", {"'08-00-2b-01-02-03'": "08:00:2b:01:02:03"}),
    ("macaddr8", None, "string", {"'08-00-2b-01-02-03-04-05'": "08:00:2b:01:02:03:04:05"}),
    ("bit(1)", None, "string", {"B'1'": "1"}),
    ("bit(70)", None, "string", {"B'" + "01" * 35 + "'": "01" * 35}),
    ("bit(8)", None, "string", {"5::bit(8)": "00000101"}),
    ("bit varying(8)", None, "string", {"B'00101'": "00101", "B''": ""}),
    ("int4range", None, "string", {"'(0,5]'": "[1,6)", "'empty'": "empty", "'[,]'": "(,)"}),
    ("tstzrange", None, "string", {"'[2013-06-01 12:00+02,)'": '["2013-06-01 10:00:00+00",)'}),
    ("nummultirange", None, "string", {"'{[1.0,2.50),[3,)}'": "{[1.0,2.50),[3,)}"}),
    ("tsvector", None, "string", {"'a:1A fat:2,4 cat'": None}),
    ("tsquery", None, "string", {"'fat & (rat | cat:A*)'": None}),
    ("point", None, "string", {"'(0.1,-1e-300)'": "(0.1,-1e-300)"}),
    ("polygon", None, "string", {"'((0,0),(1,0.3))'": "((0,0),(1,0.3))"}),
    ("regclass", None, "string", {"'pg_catalog.pg_class'": "pg_class"}),
    ("pg_lsn", None, "string", {"'16/B374D848'": "16/B374D848"}),
]  # fmt: skip

# (type, kind asked for, value): that no stored value equals.
REFUSED: list[tuple[str, str | None, str]] = [
    ("numeric(12,2)", None, "'NaN'"),
    ("price", None, "'NaN'"),
    ("numeric", "decimal(38,10)", "'NaN'"),
    ("numeric", "decimal(38,10)", "'Infinity'"),
    ("numeric", "decimal(38,10)", "'-Infinity'"),
    ("numeric", "decimal(38,10)", "1e28"),
    ("numeric", "decimal(38,10)", "-1e28"),
    ("numeric", "decimal(38,10)", "0.00000000001"),
    ("numeric", "integer", "2147483648"),
    ("numeric", "long", "0.5"),
    ("numeric", "long", "'-9223372036854775809'"),
    ("numeric", "double", "0.1000000000000000000001"),
    ("numeric", "double", "'1e-400'"),
    ("numeric", "double", "'1e400'"),
    ("numeric", "double", "'Infinity'"),
    ("bigint", "integer", "-2147483649"),
    ("bigint", "double", "9007199254740993"),
    ("bigint", "decimal(4,2)", "100"),
    ("money", "integer", "0.01"),
    ("date", None, "'infinity'"),
    ("date", None, "'-infinity'"),
    ("timestamp", None, "'infinity'"),
    ("timestamp", None, "'-infinity'"),
    ("timestamp", None, "'294247-01-10 04:00:54.775808'"),
    ("timestamp", None, "'294276-12-31 23:59:59.999999'"),
    ("timestamptz", None, "'infinity'"),
    ("timestamptz", None, "'-infinity'"),
    ("timestamptz", None, "'294247-01-10 04:00:54.775808+00'"),
]


@pytest.fixture
def odd_settings(database: Database) -> Iterator[None]:
    """An account whose sessions write values in other ways than the warehouse wants them."""
    settings = {"IntervalStyle": "sql_standard", "extra_float_digits": "-3", "bytea_output": "escape"}
    for setting, value in settings.items():
        database.run(f"ALTER ROLE CURRENT_USER SET {setting} = '{value}'")
    yield
    database.run("ALTER ROLE CURRENT_USER RESET ALL")


def type_names(database: Database, types: list[str]) -> list[str]:
    """As ``check`` finds them in a table of such columns."""
    columns = ", ".join(f"c{index} {name}" for index, name in enumerate(types))
    database.run(f"{SCHEMA} CREATE TABLE typed ({columns})")
    sql = DIALECT.columns_sql("public", "typed")
    assert sql is not None
    return [row[1] for row in database.run(sql)]


@pytest.mark.parametrize("reader", ["auto", "jdbc"])
def test_every_value_arrives_exact(
    tmpfs_runs: Runs, odd_settings: None, monkeypatch: pytest.MonkeyPatch, reader: str
) -> None:
    # Two connections: what values look like as text must be fixed in every one.
    monkeypatch.setattr(source_read, "SMALL_ROWS", 0)
    database = tmpfs_runs.database
    names = type_names(database, [name for name, *_ in ARRIVING])
    deep = max(len(values) for *_, values in ARRIVING)
    for row in range(deep + 1):
        listed = []
        for name, _, _, values in ARRIVING:
            # What a domain does not let be null repeats itself.
            value = [*values, next(iter(values)) if name == "price" else "NULL"][min(row, len(values))]
            listed.append(f"({value})::{name}")
        database.run(f"INSERT INTO typed VALUES ({', '.join(listed)})")
    # So that it has several pages.
    database.run(
        "CREATE TABLE once AS SELECT * FROM typed; INSERT INTO typed SELECT o.* FROM once o, generate_series(2, 9)"
    )
    table = tmpfs_runs.table("typed", mode="current", split=SplitSpec(2))
    columns = tuple(
        ColumnSpec(f"c{index}", names[index], as_kind=asked) for index, (_, asked, _, _) in enumerate(ARRIVING)
    )
    table = replace(table, columns=columns, validate="rows")
    captured = tmpfs_runs.snapshot([table], DAY, reader=reader)
    rows = tmpfs_runs.session.table(tmpfs_runs.branch(captured, "typed"))
    shown = rows.select(
        *(
            sf.hex(field.name) if field.dataType.typeName() == "binary" else sf.col(field.name).cast("string")
            for field in rows.schema.fields
        )
    ).collect()
    settings = ";".join(SESSION_SETTINGS)
    wrong: list[tuple[str, str | None, object]] = []
    for index, (name, asked, kind, values) in enumerate(ARRIVING):
        if rows.schema.fields[index].dataType.simpleString() != kind:
            wrong.append((name, asked, rows.schema.fields[index].dataType.simpleString()))
        own = database.run(f"{settings}; SELECT format('%s', c{index}) FROM typed WHERE c{index}::text IS NOT NULL")
        expected = {text for text in values.values() if text is not None}
        if None in values.values():
            # As PostgreSQL writes them, where Spark writes them so too.
            own_of = {
                value: database.run(f"{settings}; SELECT format('%s', ({value})::{name})")[0][0] for value in values
            }
            expected |= {own_of[value] for value, text in values.items() if text is None}
        found = [row[index] for row in shown]
        nulls = found.count(None)
        if {text for text in found if text is not None} != expected or len(found) - nulls != len(own):
            wrong.append((name, asked, sorted({text for text in found if text is not None} ^ expected)))
    assert wrong == []
    assert captured.captures[0].source_rows == len(shown) == 9 * (deep + 1)
    assert captured.captures[0].splits == 2
    # The source and Spark compute the same of every one of them.
    assert tmpfs_runs.validate([table], DAY, captured).published[0].record.rows == len(shown)


def test_every_character_of_unicode_arrives(tmpfs_runs: Runs) -> None:
    codes = [code for code in range(1, 0x110000) if not 0xD800 <= code <= 0xDFFF]
    tmpfs_runs.database.run(
        "CREATE TABLE characters AS SELECT string_agg(chr(n), '' ORDER BY n) AS t FROM generate_series(1, 1114111) n "
        "WHERE n NOT BETWEEN 55296 AND 57343"
    )
    captured = tmpfs_runs.snapshot([tmpfs_runs.table("characters", mode="current")], DAY)
    rows = tmpfs_runs.session.table(tmpfs_runs.branch(captured, "characters"))
    digest = hashlib.sha256("".join(map(chr, codes)).encode()).hexdigest()
    assert rows.select(sf.sha2("t", 256)).collect()[0][0] == digest


def test_values_that_cannot_be_held_are_told_from_those_that_can(database: Database) -> None:
    """Both conditions run in the source: none of the values that arrive is refused, and each other one is."""
    cases = [(name, asked, value, True) for name, asked, value in REFUSED]
    cases += [(name, asked, value, False) for name, asked, _, values in ARRIVING for value in [*values, "NULL"]]
    names = type_names(database, [name for name, *_ in cases])
    selects = []
    for (name, asked, value, _), type_name in zip(cases, names, strict=True):
        captured = DIALECT.capture(ColumnSpec("v", type_name, as_kind=asked))
        # NULL of a domain that has none is not asked for.
        literal = f"({value})::{name}" if name != "price" else f"({value})::cents"
        selects.append(
            f"SELECT coalesce({captured.refused_sql or 'false'}, false), ({captured.sql}) IS NULL, "
            f"(v::text IS NULL) FROM (SELECT {literal} AS v) one"
        )
    answers = database.run(" UNION ALL ".join(selects))
    wrong = [
        (name, asked, value)
        for (name, asked, value, refused), (found, is_null, was_null) in zip(cases, answers, strict=True)
        if found != refused or is_null != (refused or was_null)
    ]
    assert wrong == []


@pytest.mark.parametrize("validate", ["count", "columns"])
def test_a_table_with_such_a_value_is_refused(tmpfs_runs: Runs, validate: ValidateMode) -> None:
    tmpfs_runs.database.run(
        "CREATE TABLE spans (id integer, valid_to date, amount numeric(12,2));"
        "INSERT INTO spans VALUES (1, 'infinity', 1), (2, '-infinity', 2), (3, '2013-06-01', 3), (4, NULL, NULL)"
    )
    table = replace(tmpfs_runs.table("spans", mode="current"), validate=validate)
    with pytest.raises(RefusedValues) as caught:
        tmpfs_runs.snapshot([table], DAY)
    assert str(caught.value) == (
        "table spans: column 'valid_to' of type date has 2 values that cannot be stored exactly (infinite); name "
        "another kind for it in columns.types, or exclude it with columns.exclude"
    )
    as_text = tuple(replace(one, as_kind="text" if one.name == "valid_to" else None) for one in table.columns)
    captured = tmpfs_runs.snapshot([replace(table, name="texts", columns=as_text)], DAY)
    found = tmpfs_runs.session.table(tmpfs_runs.branch(captured, "texts")).orderBy("id").collect()
    assert [row.valid_to for row in found] == ["infinity", "-infinity", "2013-06-01", None]


def test_the_documented_types_are_those_tried(database: Database) -> None:
    names = set(type_names(database, [name for name, *_ in ARRIVING]))
    assert {name for name, _ in EXAMPLES} - names - {"hstore", "character varying(20)", "character(3)"} == set()


@pytest.mark.parametrize(
    ("type_name", "asked", "reason"),
    [
        ("numeric", None, "'what' of type numeric has no precision.*columns.types to {what: text}"),
        ("numeric(39,2)", None, "has more than 38 digits.*columns.types to {what: text}"),
        ("numeric(39,-1)", None, "has more than 38 digits"),
        ("text", "integer", "cannot be captured as integer; take what out of columns.types, or set it to text"),
        ("timestamp", "timestamp", "cannot be captured as timestamp;"),
        ("double precision", "decimal(38,10)", "cannot be captured as decimal"),
    ],
)
def test_what_has_no_exact_kind_is_refused(tmpfs_runs: Runs, type_name: str, asked: str | None, reason: str) -> None:
    tmpfs_runs.database.run(f"CREATE TABLE odd (id integer, what {type_name})")
    table = tmpfs_runs.table("odd", mode="current")
    columns = tuple(replace(column, as_kind=asked if column.name == "what" else None) for column in table.columns)
    with pytest.raises(UnsupportedColumn, match=f"table odd: column .*{reason}"):
        tmpfs_runs.snapshot([replace(table, columns=columns)], DAY)
