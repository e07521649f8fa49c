"""What docker-compose.yaml reads beside itself: ``.env`` and a file for each secret. Plain Python, no packages."""

from __future__ import annotations

import os
from collections.abc import Callable
from pathlib import Path

from local_stack.airflow_settings import fernet_key, jwt_secret
from local_stack.errors import StackError
from local_stack.secret_files import secret

REPOSITORY = Path(__file__).resolve().parent.parent
STATE = ".compose"
UID_VARIABLE = "WAREHOUSE_UID"
ROOTS_CHOICE = 50000
"""The containers' account where root sets them up: they never run as root."""

SECRETS: dict[str, Callable[[], str] | None] = {
    "postgres-owner": None,
    "redis": None,
    "airflow-fernet": fernet_key,
    "airflow-api": None,
    "airflow-jwt": jwt_secret,
    "airflow-admin": None,
    "sample-owner": None,
    "sample-reader": None,
}
"""Names of the secrets, and what makes one that is not just random characters."""


def write_compose_files(folder: Path = REPOSITORY) -> list[str]:
    """Write what is missing and keep what is there; a line about each file that was written.

    The containers run as the account that calls this, or as :data:`ROOTS_CHOICE` when root does, and only that account
    can read the secrets.

    :raises StackError: the account in ``.env`` is another.
    """
    lines = []
    environment = folder / ".env"
    if not environment.exists():
        uid = os.getuid() or ROOTS_CHOICE
        text = (folder / ".env.example").read_text()
        environment.write_text(text.replace(f"{UID_VARIABLE}={ROOTS_CHOICE}", f"{UID_VARIABLE}={uid}"))
        lines.append(f"{environment}: from .env.example, with {UID_VARIABLE}={uid}")
    uid = _uid(environment)
    if os.getuid() not in (0, uid):
        raise StackError(
            f"{environment} says {UID_VARIABLE}={uid} and this is user {os.getuid()}, whose files those containers "
            f"cannot read; set {UID_VARIABLE}={os.getuid()} and build the images again"
        )
    state = folder / STATE
    for name, make in SECRETS.items():
        path = state / "secrets" / name
        if not path.exists():
            _ = secret(state, name, make) if make else secret(state, name)
            lines.append(f"{path}: made")
        if os.getuid() == 0:
            os.chown(path, uid, uid)
        path.chmod(0o400)
    return lines or ["everything is there already"]


def admin_password(folder: Path = REPOSITORY) -> str:
    """Of the user ``admin`` in Airflow's UI.

    :raises StackError: it was never made, or belongs to another account.
    """
    path = folder / STATE / "secrets" / "airflow-admin"
    try:
        return path.read_text()
    except OSError as error:
        raise StackError(f"{path} cannot be read ({error.strerror}); run `make compose-init`") from error


def _uid(environment: Path) -> int:
    for line in environment.read_text().splitlines():
        name, _, value = line.partition("=")
        if name.strip() == UID_VARIABLE:
            return int(value)
    return ROOTS_CHOICE
