"""A PgBouncer in front of a PostgreSQL server, for tests: the one that is installed, else Debian's, unpacked.

Like PostgreSQL it refuses to run as root, and becomes the same account as the server then.
"""

from __future__ import annotations

import os
from collections.abc import Callable
from dataclasses import dataclass
from pathlib import Path
from typing import Literal

from local_stack.debian import Program, ensure_program
from local_stack.ports import LOOPBACK, is_listening
from local_stack.postgres import PostgresServer, account
from local_stack.processes import Service, wait_for
from local_stack.secret_files import write_private

PACKAGE = "pgbouncer"

PoolMode = Literal["session", "transaction", "statement"]


def ensure_pgbouncer(report: Callable[[str], None] = print) -> Program:
    """The program, unpacking Debian's where none is installed.

    :raises StackError: none is installed, and apt-get is not there or could not download it.
    """
    return ensure_program(PACKAGE, "usr/sbin/pgbouncer", report, libraries_only=True)


@dataclass(frozen=True)
class PgBouncer:
    """One pooler on ``port`` for the owner of ``server``. ``take_turns``: hands out its connections in turn."""

    server: PostgresServer
    state: Path
    port: int
    pool_mode: PoolMode
    take_turns: bool = False

    @property
    def service(self) -> Service:
        """The pooler's process."""
        return Service(f"pgbouncer-{self.port}", self.state / "run")

    def start(self) -> None:
        """Start the pooler.

        :raises StackError: there is none to run, or it ended.
        """
        program = ensure_pgbouncer()
        users, settings = (self.state / f"pgbouncer-{self.port}.{name}" for name in ("users", "ini"))
        self.state.mkdir(parents=True, exist_ok=True)
        write_private(users, f'"{self.server.owner}" "{self.server.password}"\n')
        settings.write_text(
            "[databases]\n"
            f"* = host={LOOPBACK} port={self.server.port}\n"
            "[pgbouncer]\n"
            f"listen_addr = {LOOPBACK}\nlisten_port = {self.port}\nunix_socket_dir =\n"
            f"auth_type = scram-sha-256\nauth_file = {users}\n"
            f"pool_mode = {self.pool_mode}\nserver_round_robin = {int(self.take_turns)}\n"
            # As every site that has pgjdbc behind it.
            "ignore_startup_parameters = extra_float_digits\n"
        )
        runs_as = account()
        if runs_as is not None:
            os.chown(users, runs_as.pw_uid, runs_as.pw_gid)
        become = ["-u", runs_as.pw_name] if runs_as is not None else []
        self.service.start([program.path, *become, settings], env=program.environment, cwd=Path("/"))
        wait_for(lambda: is_listening(self.port), f"PgBouncer on port {self.port}", timeout=20, services=[self.service])

    def stop(self) -> None:
        """End the pooler and its connections. Idempotent."""
        self.service.stop()

    def jdbc_url(self, database: str) -> str:
        """JDBC URL without user or password."""
        return f"jdbc:postgresql://{LOOPBACK}:{self.port}/{database}"
