"""How the PostgreSQL client library reaches the server that a JDBC URL names: pure.

The two clients name most settings differently, and each has settings of its own. Only what is known to mean the same is
translated; anything else leaves the read to the JDBC driver.

Sources: pgjdbc's manual, "Connecting to the Database"; PostgreSQL's manual, "Database Connection Control Functions".
"""

from __future__ import annotations

from collections.abc import Mapping
from urllib.parse import parse_qsl, quote, unquote, urlencode, urlsplit

JDBC_PREFIX = "jdbc:"
DEFAULT_PORT = 5432

SAME_MEANING = {
    "user": "user",
    "password": "password",
    "options": "options",
    "sslmode": "sslmode",
    "sslrootcert": "sslrootcert",
    "ApplicationName": "application_name",
    "connectTimeout": "connect_timeout",
}
"""pgjdbc's name of a setting → the client library's. Not among them: ``sslkey``, since pgjdbc wants another format."""

OF_THE_DRIVER = {"defaultRowFetchSize", "prepareThreshold", "binaryTransfer", "reWriteBatchedInserts", "tcpKeepAlive"}
"""Settings of pgjdbc that change how it works, and neither where it connects nor what it reads."""

DEFAULTS = {"client_encoding": "UTF8", "sslmode": "prefer", "options": "", "application_name": "logical-warehouse"}
"""What pgjdbc has unless told otherwise, where the library would take the database's encoding or ``PG…`` variables."""

PATIENCE = {"connect_timeout": "30", "keepalives_idle": "60", "keepalives_interval": "10", "keepalives_count": "6"}
"""Seconds, and lost answers, until a server that has fallen silent is given up: to connect, the library would wait for
ever, and for rows as long as the kernel keeps a connection, which is two hours by default."""


class NotTranslatable(ValueError):
    """Something of a JDBC URL that the client library may not understand in the same way; the message names it."""


def connection_uri(url: str, properties: Mapping[str, str]) -> str:
    """The client library's URI for what pgjdbc would connect to. It holds the password: for the library alone.

    :param url: ``jdbc:postgresql://host:port/database?name=value&…``.
    :param properties: JDBC properties, which pgjdbc puts before those of the URL.
    :raises NotTranslatable: several hosts, or a setting without a known translation; the message has no value of one.
    """
    parts = urlsplit(url.removeprefix(JDBC_PREFIX))
    if not url.startswith(JDBC_PREFIX) or parts.scheme != "postgresql" or "," in parts.netloc or "@" in parts.netloc:
        raise NotTranslatable("its URL names no single host")
    try:
        host, port = parts.hostname, parts.port
    except ValueError as error:
        raise NotTranslatable("its URL names no single host") from error
    database = unquote(parts.path.removeprefix("/"))
    asked = dict(parse_qsl(parts.query, keep_blank_values=True)) | dict(properties)
    if host is None or not (database or asked.get("user")):
        raise NotTranslatable("its URL names no host or no database")
    settings = {
        "host": host,
        "port": str(port or DEFAULT_PORT),
        "dbname": database or asked["user"],
        **DEFAULTS,
        **PATIENCE,
    }
    for name, value in asked.items():
        if name in OF_THE_DRIVER:
            continue
        if name not in SAME_MEANING:
            raise NotTranslatable(f"its setting {name} is one of the JDBC driver alone")
        settings[SAME_MEANING[name]] = value
    return f"postgresql://?{urlencode(settings, quote_via=quote)}"
