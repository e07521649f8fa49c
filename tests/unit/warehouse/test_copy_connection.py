"""JDBC URLs as the client library understands them, or not at all."""

from __future__ import annotations

from urllib.parse import parse_qs, urlsplit

import pytest
from warehouse.copy_connection import NotTranslatable, connection_uri


def settings(url: str, **properties: str) -> dict[str, str]:
    uri = urlsplit(connection_uri(url, properties))
    assert uri.scheme == "postgresql" and not uri.netloc and not uri.path
    return {name: value for name, [value] in parse_qs(uri.query, keep_blank_values=True, strict_parsing=True).items()}


def test_what_pgjdbc_would_connect_to() -> None:
    found = settings(
        "jdbc:postgresql://db.bank:6432/core%20data?sslmode=verify-full", user="reader", password="p&=%/ ü"
    )
    assert found == {
        "host": "db.bank",
        "port": "6432",
        "dbname": "core data",
        "user": "reader",
        "password": "p&=%/ ü",
        "sslmode": "verify-full",
        "options": "",
        "client_encoding": "UTF8",
        "application_name": "logical-warehouse",
        "connect_timeout": "30",
        "keepalives_idle": "60",
        "keepalives_interval": "10",
        "keepalives_count": "6",
    }
    assert settings("jdbc:postgresql://db/core?connectTimeout=5")["connect_timeout"] == "5"


def test_defaults_are_those_of_pgjdbc() -> None:
    found = settings("jdbc:postgresql://db/", user="reader")
    assert (found["port"], found["dbname"], found["sslmode"]) == ("5432", "reader", "prefer")


def test_an_address_of_version_6() -> None:
    assert settings("jdbc:postgresql://[::1]:15432/core")["host"] == "::1"


def test_properties_come_before_the_url() -> None:
    found = settings("jdbc:postgresql://db/core?options=-c%20a%3D1&ApplicationName=x", options="-c warehouse.k=00ff")
    assert (found["options"], found["application_name"]) == ("-c warehouse.k=00ff", "x")


def test_what_only_changes_how_the_driver_works_is_left_out() -> None:
    assert "prepareThreshold" not in settings("jdbc:postgresql://db/core?prepareThreshold=-1&binaryTransfer=true")


@pytest.mark.parametrize(
    ("url", "named"),
    [
        ("jdbc:postgresql://one,two/core", "single host"),
        ("jdbc:postgresql://one:1,two:2/core", "single host"),
        ("jdbc:postgresql://db:port/core", "single host"),
        ("jdbc:postgresql:core", "host"),
        ("jdbc:mariadb://db/core", "single host"),
        ("jdbc:postgresql://db/", "database"),
        ("jdbc:postgresql://db/core?sslkey=/secret/path", "sslkey"),
        ("jdbc:postgresql://db/core?targetServerType=secondary", "targetServerType"),
        ("jdbc:postgresql://db/core?currentSchema=bank", "currentSchema"),
        ("jdbc:postgresql://db/core?ssl=true", "ssl"),
    ],
)
def test_what_has_no_known_translation_is_refused_by_name(url: str, named: str) -> None:
    with pytest.raises(NotTranslatable, match=named) as refused:
        connection_uri(url, {})
    assert "/secret/path" not in str(refused.value)
