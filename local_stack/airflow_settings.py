"""Airflow's settings that are the same wherever this project runs it. Option names: Airflow 3.3's ``config.yml``.

They are written into ``airflow.cfg``, none into the environment, where every task and every spark-submit would inherit
keys and passwords.
"""

from __future__ import annotations

import configparser
import io
import json
import secrets
from base64 import urlsafe_b64encode
from collections.abc import Mapping

USER = "admin"
Sections = Mapping[str, Mapping[str, object]]

SETTINGS: Sections = {
    "core": {
        "load_examples": False,
        "dags_are_paused_at_creation": True,
        "auth_manager": "airflow.api_fastapi.auth.managers.simple.simple_auth_manager.SimpleAuthManager",
        "simple_auth_manager_users": f"{USER}:admin",
        "min_serialized_dag_update_interval": 5,
    },
    "api": {"workers": 1, "expose_config": False},
    "dag_processor": {"parsing_processes": 1, "refresh_interval": 10, "min_file_process_interval": 30},
    "scheduler": {"catchup_by_default": False},
    "logging": {"colored_console_log": False},
    "usage_data_collection": {"enabled": False},
}


def database(address: str) -> dict[str, object]:
    """Section ``database`` of a PostgreSQL at ``user:password@host:port/database``."""
    return {
        "sql_alchemy_conn": f"postgresql+psycopg2://{address}",
        "sql_alchemy_conn_async": f"postgresql+asyncpg://{address}",
    }


def settings_text(*layers: Sections) -> str:
    """Text of an ``airflow.cfg``; of an option in several layers the last one counts."""
    # No interpolation: a "%" in a key stays what it is. Airflow's own reader wants it doubled.
    parser = configparser.ConfigParser(interpolation=None)
    for layer in layers:
        for section, options in layer.items():
            if not parser.has_section(section):
                parser.add_section(section)
            for option, value in options.items():
                parser.set(section, option, str(value).replace("%", "%%"))
    text = io.StringIO()
    parser.write(text)
    return text.getvalue()


def passwords_text(password: str) -> str:
    """Contents of the file that ``simple_auth_manager_passwords_file`` names."""
    return json.dumps({USER: password})


def fernet_key() -> str:
    """A new key for connections' passwords in the metadata database."""
    return urlsafe_b64encode(secrets.token_bytes(32)).decode()


def jwt_secret() -> str:
    """A new key for tokens."""
    return secrets.token_urlsafe(64)
