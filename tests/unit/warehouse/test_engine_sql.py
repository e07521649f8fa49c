"""The SQL of engines that no test can run, statement by statement, and of those where a server is not always there."""

from __future__ import annotations

from datetime import UTC, datetime

import pytest
from warehouse.dialects import DIALECTS, DialectError
from warehouse.dialects.dialect import CaptureRefused
from warehouse.table_spec import ColumnSpec

ORACLE, SQLSERVER, MYSQL, MARIADB = (DIALECTS[name] for name in ("oracle", "sqlserver", "mysql", "mariadb"))
AT = datetime(2013, 6, 1, 23, 59, 59, 999999, tzinfo=UTC)
DAY = (datetime(2013, 6, 1, tzinfo=UTC), datetime(2013, 6, 2, tzinfo=UTC))


def test_how_each_engine_holds_a_state() -> None:
    means = {name: (d.shares_snapshots, d.holds_state, d.isolation) for name, d in DIALECTS.items()}
    assert means == {
        "postgresql": (True, True, 4),
        "mariadb": (False, True, 4),
        "mysql": (False, True, 4),
        "oracle": (True, True, None),
        "sqlserver": (False, True, 4096),
        "generic": (False, False, 4),
    }
    assert MYSQL.begin_statements == MARIADB.begin_statements == (
        "START TRANSACTION WITH CONSISTENT SNAPSHOT, READ ONLY",
    )  # fmt: skip
    assert MYSQL.properties["useCursorFetch"] == "true"


def test_the_drivers() -> None:
    assert {name: dialect.driver_class for name, dialect in DIALECTS.items()} == {
        "postgresql": "org.postgresql.Driver",
        "mariadb": "org.mariadb.jdbc.Driver",
        "mysql": "com.mysql.cj.jdbc.Driver",
        "oracle": "oracle.jdbc.OracleDriver",
        "sqlserver": "com.microsoft.sqlserver.jdbc.SQLServerDriver",
        "generic": "",
    }


def test_oracle_reads_a_system_change_number_from_every_connection() -> None:
    assert ORACLE.export_snapshot_sql() == "SELECT to_char(dbms_flashback.get_system_change_number) FROM dual"
    relation = ORACLE.in_state(ORACLE.relation("BANK", "ACCOUNTS"), "8123456")
    assert relation == '"BANK"."ACCOUNTS" AS OF SCN 8123456'
    assert ORACLE.select({"c0": '"A"'}, relation, "A = 1") == (
        'SELECT "A" AS "c0" FROM "BANK"."ACCOUNTS" AS OF SCN 8123456 WHERE A = 1'
    )
    assert ORACLE.import_statements("8123456") == ("ALTER SESSION SET TIME_ZONE = '+00:00'",)
    with pytest.raises(ValueError, match="invalid literal"):
        ORACLE.in_state(relation, "1; DROP TABLE ACCOUNTS")


def test_the_past_in_each_engine() -> None:
    assert ORACLE.relation("BANK", "T", AT) == (
        '"BANK"."T" AS OF TIMESTAMP TIMESTAMP \'2013-06-01 23:59:59.999999 +00:00\''
    )
    assert SQLSERVER.relation("bank", "t", AT) == "[bank].[t] FOR SYSTEM_TIME AS OF '2013-06-01T23:59:59.999999'"
    assert MARIADB.relation("bank", "t", AT) == (
        "`bank`.`t` FOR SYSTEM_TIME AS OF TIMESTAMP '2013-06-01 23:59:59.999999'"
    )
    with pytest.raises(DialectError, match="mysql keeps no history"):
        MYSQL.relation("bank", "t", AT)


def test_open_writers_by_the_clock_of_the_servers_system() -> None:
    assert MARIADB.open_writers_sql(DAY[1]) == (
        "SELECT count(*) FROM information_schema.innodb_trx WHERE trx_rows_modified > 0 AND trx_started <= "
        "convert_tz(TIMESTAMP '2013-06-02 00:00:00.000000', '+00:00', 'SYSTEM')"
    )


def test_names_stay_names() -> None:
    assert SQLSERVER.quote("x]; DROP TABLE accounts; --") == "[x]]; DROP TABLE accounts; --]"
    assert MYSQL.quote("x`; --") == "`x``; --`"
    with pytest.raises(DialectError, match="no double quote"):
        ORACLE.quote('x"; --')
    with pytest.raises(DialectError, match="1 to 64 characters"):
        MARIADB.quote("n" * 65)


def test_literals_stay_literals() -> None:
    assert SQLSERVER.literal("it's") == "N'it''s'"
    assert ORACLE.literal("it's") == "'it''s'"
    assert MARIADB.literal("it's \\ here") == "'it''s \\\\ here'"


@pytest.mark.parametrize(
    ("engine", "type_name", "expected"),
    [
        ("oracle", "date", "\"at\" >= TIMESTAMP '2013-06-01 02:00:00.000000' AND "
                           "\"at\" < TIMESTAMP '2013-06-02 02:00:00.000000'"),
        ("oracle", "timestamp(6) with time zone", "\"at\" >= TIMESTAMP '2013-06-01 00:00:00.000000 +00:00' AND "
                                                  "\"at\" < TIMESTAMP '2013-06-02 00:00:00.000000 +00:00'"),
        ("sqlserver", "datetime2(3)", "[at] >= CAST('2013-06-01T02:00:00.000000' AS datetime2) AND "
                                      "[at] < CAST('2013-06-02T02:00:00.000000' AS datetime2)"),
        ("sqlserver", "datetimeoffset(6)", "[at] >= CAST('2013-06-01T00:00:00.000000+00:00' AS datetimeoffset) AND "
                                           "[at] < CAST('2013-06-02T00:00:00.000000+00:00' AS datetimeoffset)"),
        ("mysql", "datetime(6)", "`at` >= TIMESTAMP '2013-06-01 02:00:00.000000' AND "
                                 "`at` < TIMESTAMP '2013-06-02 02:00:00.000000'"),
        ("mariadb", "timestamp", "`at` >= TIMESTAMP '2013-06-01 00:00:00.000000' AND "
                                 "`at` < TIMESTAMP '2013-06-02 00:00:00.000000'"),
    ],
)  # fmt: skip
def test_an_interval_of_a_source_in_berlin(engine: str, type_name: str, expected: str) -> None:
    assert DIALECTS[engine].interval_predicate("at", type_name, *DAY, "Europe/Berlin") == expected


@pytest.mark.parametrize(
    ("engine", "type_name", "expected"),
    [
        ("oracle", "date", "TIMESTAMP '2013-06-01 23:59:59.000000'"),
        ("oracle", "timestamp(3)", "TIMESTAMP '2013-06-01 23:59:59.999000'"),
        ("sqlserver", "date", "CAST('2013-06-01' AS date)"),
        ("sqlserver", "datetime2(0)", "CAST('2013-06-01T23:59:59.000000' AS datetime2)"),
        ("mariadb", "datetime", "TIMESTAMP '2013-06-01 23:59:59.000000'"),
        ("mariadb", "datetime(6)", "TIMESTAMP '2013-06-01 23:59:59.999999'"),
        ("mariadb", "date", "DATE '2013-06-01'"),
    ],
)
def test_the_last_value_before_midnight(engine: str, type_name: str, expected: str) -> None:
    assert DIALECTS[engine].time_bound("at", type_name, DAY[1], "UTC", last_before=True) == expected


@pytest.mark.parametrize(
    ("engine", "type_name", "sql", "kind"),
    [
        ("oracle", "number(12,2)", '"c"', "decimal(12,2)"),
        ("sqlserver", "tinyint", "[c]", "integer"),
        ("sqlserver", "numeric(38,10)", "[c]", "decimal(38,10)"),
        ("mysql", "int unsigned", "`c`", "long"),
        ("mysql", "bigint(20) unsigned", "`c`", "decimal(20,0)"),
    ],
)
def test_types(engine: str, type_name: str, sql: str, kind: str) -> None:
    captured = DIALECTS[engine].capture(ColumnSpec("c", type_name))
    assert (captured.sql, str(captured.kind)) == (sql, kind)


@pytest.mark.parametrize(
    ("engine", "type_name", "value", "first", "kind"),
    [
        ("oracle", "date", '"c"', "TIMESTAMP '1582-10-15 00:00:00'", "timestamp_ntz"),
        ("oracle", "timestamp(6) with local time zone", 'sys_extract_utc("c")', "TIMESTAMP '1582-10-15 00:00:00'",
         "timestamp"),
        ("sqlserver", "date", "[c]", "CAST('1582-10-15' AS date)", "date"),
        ("sqlserver", "datetimeoffset(6)", "CAST([c] AT TIME ZONE 'UTC' AS datetime2(6))",
         "CAST('1582-10-15' AS datetime2)", "timestamp"),
        ("generic", "date", '"c"', "{d '1582-10-15'}", "date"),
        ("generic", "timestamp(6)", '"c"', "{ts '1582-10-15 00:00:00'}", "timestamp_ntz"),
    ],
)  # fmt: skip
def test_what_jdbc_would_shift_is_refused(engine: str, type_name: str, value: str, first: str, kind: str) -> None:
    captured = DIALECTS[engine].capture(ColumnSpec("c", type_name))
    assert captured.sql == f"CASE WHEN {value} >= {first} THEN {value} END"
    assert captured.refused_sql == f"{value} < {first}"
    assert str(captured.kind) == kind


@pytest.mark.parametrize(
    ("engine", "type_name"),
    [
        ("oracle", "number"),
        ("oracle", "number(38,-2)"),
        ("oracle", "timestamp(9)"),
        ("oracle", "interval day(2) to second(6)"),
        ("sqlserver", "datetime2(7)"),
        ("sqlserver", "money"),
        ("sqlserver", "sql_variant"),
        ("generic", "decimal(60,2)"),
    ],
)
def test_types_that_are_refused(engine: str, type_name: str) -> None:
    with pytest.raises(CaptureRefused) as caught:
        DIALECTS[engine].capture(ColumnSpec("c", type_name))
    assert "exclude" in caught.value.hint


def test_estimates_are_read_from_plans() -> None:
    joined = """{
  "query_block": {
    "nested_loop": [
      {
        "table": {
          "rows": 200,
          "filtered": 50,
          "attached_condition": "events."at" >= 1"
        }
      },
      {
        "table": {
          "rows": 3,
          "filtered": 100,
          "materialized": {
            "query_block": {
              "table": {
                "rows": 9000,
                "filtered": 100
              }
            }
          }
        }
      }
    ]
  }
}"""
    assert MARIADB.read_estimate(joined) == (300, 0)
    assert MARIADB.read_estimate("{}") == (0, 0)
    assert MYSQL.read_estimate('{\n  "table": {\n    "rows_produced_per_join": 42,\n  }\n}') == (42, 0)
