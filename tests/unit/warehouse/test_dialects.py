"""SQL that the dialects build: quoting of hostile names, and bounds that are exact in the source's time zone."""

from __future__ import annotations

from datetime import UTC, datetime

import pytest
from warehouse.dialects import DIALECTS, Dialect, DialectError, dialect_of_url
from warehouse.table_spec import ColumnSpec

POSTGRESQL = DIALECTS["postgresql"]
MARIADB = DIALECTS["mariadb"]
DAY = (datetime(2013, 6, 1, tzinfo=UTC), datetime(2013, 6, 2, tzinfo=UTC))


DOUBLE_QUOTED = {name: DIALECTS[name] for name in ("postgresql", "generic")}


@pytest.mark.parametrize("dialect", DOUBLE_QUOTED.values(), ids=DOUBLE_QUOTED)
def test_a_name_with_quotes_stays_one_name(dialect: Dialect) -> None:
    hostile = 'x"; DROP TABLE accounts; --'
    assert dialect.quote(hostile) == '"x""; DROP TABLE accounts; --"'
    assert dialect.relation("public", hostile) == '"public"."x""; DROP TABLE accounts; --"'
    assert dialect.select({"c0": dialect.quote(hostile)}, '"t"', "a = 1") == (
        'SELECT "x""; DROP TABLE accounts; --" AS "c0" FROM "t" WHERE a = 1'
    )


def test_a_name_with_backticks_stays_one_name() -> None:
    hostile = "x`; DROP TABLE accounts; --"
    assert MARIADB.relation("bank", hostile) == "`bank`.`x``; DROP TABLE accounts; --`"


@pytest.mark.parametrize("dialect", DIALECTS.values(), ids=DIALECTS)
@pytest.mark.parametrize("name", ["", "a\0b"])
def test_what_is_no_name_is_refused(dialect: Dialect, name: str) -> None:
    with pytest.raises(DialectError, match="is not an identifier"):
        dialect.quote(name)


def test_postgresql_would_cut_a_longer_name() -> None:
    assert POSTGRESQL.quote("n" * 63)
    with pytest.raises(DialectError, match="1 to 63 bytes"):
        POSTGRESQL.quote("ü" * 32)


def test_a_literal_stays_one_literal() -> None:
    assert POSTGRESQL.literal("it's \\ here") == "E'it''s \\\\ here'"


@pytest.mark.parametrize(
    ("type_name", "zone", "expected"),
    [
        (
            "timestamp with time zone", "America/New_York",
            "\"at\" >= TIMESTAMPTZ '2013-06-01 00:00:00.000000+00' "
            "AND \"at\" < TIMESTAMPTZ '2013-06-02 00:00:00.000000+00'",
        ),
        (
            "timestamp without time zone", "Europe/Berlin",
            "\"at\" >= TIMESTAMP '2013-06-01 02:00:00.000000' AND \"at\" < TIMESTAMP '2013-06-02 02:00:00.000000'",
        ),
        ("date", "UTC", "\"at\" >= DATE '2013-06-01' AND \"at\" < DATE '2013-06-02'"),
    ],
)  # fmt: skip
def test_an_interval_in_the_terms_of_its_column(type_name: str, zone: str, expected: str) -> None:
    assert POSTGRESQL.interval_predicate("at", type_name, *DAY, zone) == expected


@pytest.mark.parametrize(
    ("type_name", "start", "zone", "reason"),
    [
        ("date", "2013-06-01T06:00+00:00", "UTC", "a date cannot express the bound 2013-06-01 06:00 in UTC"),
        ("timestamp without time zone", "2013-11-03T05:30+00:00", "America/New_York", "01:30 comes twice"),
        ("text", "2013-06-01T00:00+00:00", "UTC", "is neither a timestamp nor a date"),
    ],
)
def test_bounds_that_a_column_cannot_express_are_refused(type_name: str, start: str, zone: str, reason: str) -> None:
    with pytest.raises(DialectError, match=reason):
        POSTGRESQL.interval_predicate("at", type_name, datetime.fromisoformat(start), DAY[1], zone)


def test_a_place_is_a_page() -> None:
    assert POSTGRESQL.place_split([90], 3) == ("ctid", ["'(30,0)'::tid", "'(60,0)'::tid"])


def test_a_border_is_compared_as_its_column_is() -> None:
    assert POSTGRESQL.key_literal("O'Hare", "text") == "E'O''Hare'::text"
    assert POSTGRESQL.key_text("split_key", "bigint") == "split_key::text"
    assert POSTGRESQL.key_text("split_key", "character varying(900)") == "left(split_key::text, 1000)"


@pytest.mark.parametrize("type_name", ["json", "point", "xml", "json[]"])
def test_keys_without_order_are_refused(type_name: str) -> None:
    with pytest.raises(DialectError, match="have no order"):
        POSTGRESQL.key_text("split_key", type_name)


@pytest.mark.parametrize(
    ("share", "stored", "source"),
    [
        (1.0, True, '"t" WHERE x > 1'),
        (0.01, True, '"t" TABLESAMPLE SYSTEM (1.000000) WHERE x > 1'),
        (0.01, False, '"t" WHERE (x > 1\n) AND (random() < 0.01000000\n)'),
    ],
)
def test_keys_are_sampled_by_page_where_there_are_pages(share: float, stored: bool, source: str) -> None:
    column = ColumnSpec("k", "bigint")
    sql = POSTGRESQL.key_sample_sql(column, '"t"', "x > 1", share=share, stored=stored, grid=32)
    assert f'FROM (SELECT "k" AS split_key FROM {source}) sampled_keys' in sql


@pytest.mark.parametrize(
    ("url", "name"),
    [
        ("jdbc:postgresql://host:5432/bank", "postgresql"),
        ("jdbc:mariadb://host/bank", "mariadb"),
        ("jdbc:mysql://host/bank", "mysql"),
        ("jdbc:oracle:thin:@//host:1521/bank", "oracle"),
        ("jdbc:sqlserver://host:1433;databaseName=bank", "sqlserver"),
        ("jdbc:db2://host:50000/bank", "generic"),
    ],
)
def test_a_url_names_its_dialect(url: str, name: str) -> None:
    assert dialect_of_url(url).name == name


def test_what_is_no_jdbc_url_is_refused() -> None:
    with pytest.raises(DialectError, match="has the form jdbc:"):
        dialect_of_url("postgresql://host/bank")


FROM, TO = "valid_from", "valid_to"
END = datetime(2013, 6, 2, tzinfo=UTC)


@pytest.mark.parametrize(
    ("type_name", "inclusive", "zone", "begins", "ends"),
    [
        ("timestamp with time zone", False, "America/New_York", "TIMESTAMPTZ '2013-06-02 00:00:00.000000+00'", None),
        ("timestamp with time zone", True, "UTC", "TIMESTAMPTZ '2013-06-02 00:00:00.000000+00'",
         "TIMESTAMPTZ '2013-06-01 23:59:59.999999+00'"),
        ("timestamp without time zone", False, "Europe/Berlin", "TIMESTAMP '2013-06-02 02:00:00.000000'", None),
        ("timestamp(0) without time zone", True, "Europe/Berlin", "TIMESTAMP '2013-06-02 02:00:00.000000'",
         "TIMESTAMP '2013-06-02 01:59:59.000000'"),
        ("timestamp(3) without time zone", True, "UTC", "TIMESTAMP '2013-06-02 00:00:00.000000'",
         "TIMESTAMP '2013-06-01 23:59:59.999000'"),
        ("date", False, "UTC", "DATE '2013-06-02'", None),
        ("date", True, "UTC", "DATE '2013-06-02'", "DATE '2013-06-01'"),
    ],
)  # fmt: skip
def test_rows_valid_just_before_the_end(
    type_name: str, inclusive: bool, zone: str, begins: str, ends: str | None
) -> None:
    predicate = POSTGRESQL.validity_predicate(
        ColumnSpec(FROM, type_name), ColumnSpec(TO, type_name), END, zone, to_inclusive=inclusive
    )
    assert predicate == f'"valid_from" < {begins} AND ("valid_to" >= {ends or begins} OR "valid_to" IS NULL)'


def test_a_validity_of_two_types() -> None:
    predicate = POSTGRESQL.validity_predicate(
        ColumnSpec(FROM, "date"), ColumnSpec(TO, "timestamp(0) with time zone"), END, "UTC"
    )
    assert predicate == (
        "\"valid_from\" < DATE '2013-06-02' AND (\"valid_to\" >= TIMESTAMPTZ '2013-06-02 00:00:00.000000+00' "
        'OR "valid_to" IS NULL)'
    )


@pytest.mark.parametrize("inclusive", [False, True])
@pytest.mark.parametrize(
    ("type_name", "end", "zone", "reason"),
    [
        ("date", "2013-06-01T06:00+00:00", "UTC", "a date cannot express the bound 2013-06-01 06:00 in UTC"),
        ("timestamp without time zone", "2013-11-03T05:30+00:00", "America/New_York", "01:30 comes twice"),
        ("integer", "2013-06-01T00:00+00:00", "UTC", "'valid_from' of type integer is neither"),
    ],
)
def test_a_validity_that_its_columns_cannot_express(
    type_name: str, end: str, zone: str, reason: str, inclusive: bool
) -> None:
    columns = (ColumnSpec(FROM, type_name), ColumnSpec(TO, type_name))
    with pytest.raises(DialectError, match=reason):
        POSTGRESQL.validity_predicate(*columns, datetime.fromisoformat(end), zone, to_inclusive=inclusive)


def test_what_is_not_known_of_any_engine_is_not_guessed() -> None:
    columns = (ColumnSpec(FROM, "timestamp"), ColumnSpec(TO, "timestamp"))
    assert "{ts '2013-06-02 00:00:00'}" in DIALECTS["generic"].validity_predicate(*columns, END, "UTC")
    with pytest.raises(DialectError, match="no last value before a moment that is known"):
        DIALECTS["generic"].validity_predicate(*columns, END, "UTC", to_inclusive=True)


@pytest.mark.parametrize("name", ["postgresql", "generic"])
def test_an_engine_without_a_history_of_its_own_says_what_to_use(name: str) -> None:
    with pytest.raises(DialectError, match="cannot be time_travel; use valid_between, interval or current"):
        DIALECTS[name].relation("public", "t", at=END)
    assert DIALECTS[name].history_begins_sql("public", "t") is None
