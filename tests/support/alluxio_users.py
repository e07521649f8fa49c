"""Users and groups of a test's own: Alluxio believes every name, and asks the program ``id`` for its groups."""

from __future__ import annotations

import shutil
from collections.abc import Iterator, Mapping
from contextlib import contextmanager
from pathlib import Path

from pyspark.sql import SparkSession
from warehouse.jvm import jvm_of

GROUPS = {"ana": "analysts", "aron": "auditors", "mallory": "visitors"}
"""User → group."""
LOGIN = "alluxio.security.login.username"


def program_folder(folder: Path, groups: Mapping[str, str] = GROUPS) -> Path:
    """A folder with an ``id`` that knows these users, beside those of the machine."""
    folder.mkdir()
    cases = "".join(f"{user}) echo {group};;\n" for user, group in groups.items())
    program = folder / "id"
    program.write_text(f'#!/bin/sh\ncase "$2" in\n{cases}*) exec {shutil.which("id")} "$@";;\nesac\n')
    program.chmod(0o755)
    return folder


@contextmanager
def session_of(session: SparkSession, user: str) -> Iterator[SparkSession]:
    """A session, with catalogs of its own, as if the JVM ran under the account ``user``; while the block runs it does
    so in all threads. Hadoop keeps file systems by its own name of the user, Alluxio connects under its own."""
    users = jvm_of(session).org.apache.hadoop.security.UserGroupInformation
    configuration = session._jsc.hadoopConfiguration()
    before = users.getLoginUser()
    users.setLoginUser(users.createRemoteUser(user))
    configuration.set(LOGIN, user)
    try:
        yield session.newSession()
    finally:
        configuration.unset(LOGIN)
        users.setLoginUser(before)
        jvm_of(session).org.apache.spark.sql.classic.SparkSession.setActiveSession(session._jsparkSession)
