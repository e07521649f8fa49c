"""The Airflow connections that the manifest names, read while a task runs."""

from __future__ import annotations

import re
from collections.abc import Callable, Collection
from dataclasses import dataclass
from typing import TYPE_CHECKING, Any

from airflow.sdk import BaseHook
from airflow.sdk.exceptions import AirflowNotFoundException
from warehouse.failures import PermanentError
from warehouse.mask_failures import KeyUnusable
from warehouse.masks import MIN_SECRET_CHARACTERS, connections_of

if TYPE_CHECKING:
    from logical_warehouse.manifest import Source

_SECRET_IN_URL = re.compile(r"(?i)[?&;](password|sslpassword|pwd)=|//[^/@:]+:[^/@]+@")


@dataclass(frozen=True)
class JdbcAddress:
    """Where a source is, without its password."""

    url: str
    user: str | None


def jdbc_address(source: Source) -> JdbcAddress:
    """The JDBC URL and user of a source's connection.

    :raises PermanentError: there is no such connection, it holds no JDBC URL, or its URL holds a password.
    """
    return address_in(_connection(source.connection, f"the source {source.name}"), source)


def address_in(connection: Any, source: Source) -> JdbcAddress:
    """As :func:`jdbc_address`, of a connection that was read already."""
    url = connection.host or ""
    if not url.startswith("jdbc:"):
        raise PermanentError(
            f"The Airflow connection {source.connection!r} of the source {source.name} has no JDBC URL as its host; "
            "set it to something like jdbc:postgresql://host:5432/database."
        )
    if _SECRET_IN_URL.search(url):
        raise PermanentError(
            f"The Airflow connection {source.connection!r} of the source {source.name} has a password in its URL, "
            "where logs would show it; move it to the connection's password field."
        )
    return JdbcAddress(url=url, user=connection.login or None)


def source_password(source: Source) -> str | None:
    """The password of a source's connection, for the environment of a driver on this machine.

    :raises PermanentError: there is no such connection.
    """
    password: str | None = _connection(source.connection, f"the source {source.name}").password
    return password


def mask_secrets(table: str, masks: Collection[str], find: Callable[[str], Any] | None = None) -> dict[str, str]:
    """Connection → password, of the connections that ``masks`` name as their keys; ``table`` is for the message.

    :param find: looks a connection up, where there is no task.
    :raises PermanentError: there is no such connection, or its password is too short for a key.
    """
    secrets = {}
    for connection in connections_of(masks):
        found = find(connection) if find is not None else _connection(connection, f"a mask of the table {table}")
        secret: str = found.password or ""
        if len(secret) < MIN_SECRET_CHARACTERS:
            raise KeyUnusable(table, connection, MIN_SECRET_CHARACTERS)
        secrets[connection] = secret
    return secrets


def spark_master(connection_id: str) -> str:
    """The master URL of the Spark connection.

    SparkSubmitOperator falls back to YARN in silence when the connection is missing, hence this look.

    :raises PermanentError: there is no such connection, or it asks for drivers on the cluster.
    """
    connection = _connection(connection_id, "Spark")
    host = connection.host or ""
    if connection.conn_type == "spark" and host and ("://" in host or not connection.port):
        master = host
    else:
        master = f"{connection.conn_type}://{host}"
    if connection.extra_dejson.get("deploy-mode") == "cluster":
        raise PermanentError(
            f"The Airflow connection {connection_id!r} runs drivers on the cluster ({master}), where passwords would "
            "reach them as plain configuration; set its deploy mode to client."
        )
    return f"{master}:{connection.port}" if connection.port else master


def _connection(connection_id: str, purpose: str) -> Any:
    try:
        return BaseHook.get_connection(connection_id)
    except AirflowNotFoundException as error:
        raise PermanentError(
            f"The Airflow connection {connection_id!r} of {purpose} does not exist; "
            "create it in the UI (Admin → Connections) or with `airflow connections add`."
        ) from error
