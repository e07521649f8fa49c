"""A table's columns as its JDBC driver describes them: for engines whose catalogue nothing here knows.

Works on the ``java.sql.DatabaseMetaData`` of py4j (Spark) and of JPype (Airflow's check) alike.
"""

from __future__ import annotations

from typing import Any

COLUMN_NO_NULLS = 0
STANDARD_NAMES = {
    16: "boolean",
    -7: "boolean",
    -6: "smallint",
    5: "smallint",
    4: "integer",
    -5: "bigint",
    7: "real",
    6: "double precision",
    8: "double precision",
    91: "date",
    93: "timestamp",
    2014: "timestamp with time zone",
    1: "character",
    -15: "character",
    12: "varchar",
    -9: "varchar",
    -1: "varchar",
    -16: "varchar",
    2005: "varchar",
    -2: "binary",
    -3: "varbinary",
    -4: "varbinary",
    2004: "varbinary",
}
"""``java.sql.Types`` → standard name. A ``BIT`` is a boolean only while it has one bit."""
BIT, NUMERIC, DECIMAL = -7, 2, 3


def described_columns(metadata: Any, schema: str, table: str) -> list[tuple[str, str, str, str]]:
    """Rows as of ``Dialect.columns_sql``; of a type without a standard name the driver's own name.

    A schema is what the driver calls a schema or, where it has none, a catalogue.
    """
    listed = metadata.getColumns(None, None, _pattern(metadata, table), None)
    found = []
    while listed.next():
        # Compared again: not every driver escapes as it says, and some have catalogues instead of schemas.
        places = (listed.getString("TABLE_SCHEM"), listed.getString("TABLE_CAT"))
        if str(listed.getString("TABLE_NAME")) == table and schema in map(str, places):
            nullable = "false" if int(listed.getInt("NULLABLE")) == COLUMN_NO_NULLS else "true"
            found.append((int(listed.getInt("ORDINAL_POSITION")), str(listed.getString("COLUMN_NAME")),
                          _type_name(listed), nullable))  # fmt: skip
    listed.close()
    return [(name, type_name, nullable, "true") for _, name, type_name, nullable in sorted(found)]


def _pattern(metadata: Any, name: str) -> str:
    """The name as a pattern that matches it."""
    escape = str(metadata.getSearchStringEscape() or "")
    return "".join(f"{escape}{letter}" if letter in f"_%{escape}" else letter for letter in name) if escape else "%"


def _type_name(listed: Any) -> str:
    code, size, digits = (int(listed.getInt(name)) for name in ("DATA_TYPE", "COLUMN_SIZE", "DECIMAL_DIGITS"))
    if code in (NUMERIC, DECIMAL):
        return f"decimal({size},{digits})"
    if code == BIT and size > 1:
        return f"bit({size})"
    return STANDARD_NAMES.get(code, str(listed.getString("TYPE_NAME")).lower())
