"""A MariaDB server for tests: the one that is installed, else Debian's, unpacked into the cache and not installed.

As root the server runs as root, on the loopback interface, with its data in the stack's own folder.
"""

from __future__ import annotations

import os
import shutil
import socket
import subprocess
from collections.abc import Callable
from dataclasses import dataclass
from pathlib import Path

from local_stack.debian import Program, ensure_program
from local_stack.errors import StackError
from local_stack.ports import LOOPBACK
from local_stack.processes import Service, wait_for
from local_stack.secret_files import secret, write_private

PACKAGE = "mariadb-server-core"

_SETTINGS = {
    "bind-address": LOOPBACK,
    "skip-name-resolve": "ON",
    "default-time-zone": "+00:00",
    "character-set-server": "utf8mb4",
    "collation-server": "utf8mb4_general_ci",
    # What tests may risk: their data is made again.
    "innodb-flush-log-at-trx-commit": "0",
    "innodb-doublewrite": "OFF",
    "innodb-buffer-pool-size": "96M",
    "innodb-log-file-size": "48M",
    "key-buffer-size": "1M",
    "aria-pagecache-buffer-size": "8M",
    "max-connections": "60",
    "performance-schema": "OFF",
    # Containers forbid io_uring.
    "innodb-use-native-aio": "OFF",
}
_SYSTEM_TABLES = ("system_tables.sql", "performance_tables.sql", "system_tables_data.sql")


@dataclass(frozen=True)
class Programs:
    """A MariaDB installation."""

    program: Program

    @property
    def server(self) -> Path:
        """The server's program."""
        return self.program.path

    @property
    def base(self) -> Path:
        """What the server calls its basedir."""
        return self.server.parent.parent

    @property
    def share(self) -> Path:
        """Folder of messages and of the scripts that make the system tables."""
        for folder in ("share/mysql", "share/mariadb"):
            if (self.base / folder / "english").is_dir():
                return self.base / folder
        raise StackError(f"{self.server} has no folder share/mysql beside it; install {PACKAGE}")


def ensure_programs(report: Callable[[str], None] = print) -> Programs:
    """A server to run, unpacking Debian's where none is installed.

    :raises StackError: none is installed, and apt-get is not there or could not download it.
    """
    return Programs(ensure_program(PACKAGE, "usr/sbin/mariadbd", report))


@dataclass(frozen=True)
class MariadbServer:
    """One server with its data under ``state/<name>``; ``owner`` may do everything, by password only."""

    name: str
    state: Path
    port: int
    owner: str = "warehouse_owner"

    @property
    def service(self) -> Service:
        """The server process."""
        return Service(f"mariadb-{self.name}", self.state / "run")

    @property
    def _data(self) -> Path:
        return self.state / self.name

    @property
    def password(self) -> str:
        """The owner's password."""
        return secret(self.state, f"{self.name}-owner")

    def start(self) -> None:
        """Start the server unless it runs; make its data folder first where there is none.

        :raises StackError: there is no server to run, or it ended.
        """
        if self.service.is_running():
            return
        programs = ensure_programs()
        if not (self._data / "mysql").is_dir():
            self._initialise(programs)
        accounts = self.state / f".{self.name}-accounts.sql"
        write_private(accounts, self._accounts_sql())
        try:
            self.service.start(
                [*self._command(programs), f"--port={self.port}", f"--init-file={accounts}"],
                env=programs.program.environment,
                cwd=Path("/"),
            )
            # The server greets nobody before it has run the init file.
            wait_for(self._greets, f"MariaDB {self.name} on port {self.port}", timeout=60, services=[self.service])
        finally:
            accounts.unlink(missing_ok=True)

    def stop(self) -> None:
        """End the server and its connections. Idempotent."""
        self.service.stop(grace=20, whole_group=False)

    def is_running(self) -> bool:
        """Whether the server's process is alive."""
        return self.service.is_running()

    def jdbc_url(self, database: str = "") -> str:
        """JDBC URL without user or password."""
        return f"jdbc:mariadb://{LOOPBACK}:{self.port}/{database}"

    def _command(self, programs: Programs) -> list[str | Path]:
        temporary = self.state / f"{self.name}-tmp"
        temporary.mkdir(mode=0o700, parents=True, exist_ok=True)
        account = ["--user=root"] if os.geteuid() == 0 else []
        return [
            programs.server, "--no-defaults", *account,
            f"--basedir={programs.base}", f"--lc-messages-dir={programs.share}",
            f"--datadir={self._data}", f"--tmpdir={temporary}", f"--socket={self._data / 'socket'}",
            *(f"--{name}={value}" for name, value in _SETTINGS.items()),
        ]  # fmt: skip

    def _initialise(self, programs: Programs) -> None:
        shutil.rmtree(self._data, ignore_errors=True)  # an interrupted one
        self._data.mkdir(mode=0o700, parents=True)
        script = ["CREATE DATABASE mysql;\nUSE mysql;\n"]
        for name in _SYSTEM_TABLES:
            found = [path for prefix in ("mariadb", "mysql") if (path := programs.share / f"{prefix}_{name}").exists()]
            if not found:
                raise StackError(f"{programs.share} lacks {name}, with which MariaDB's system tables are made")
            script.append(found[0].read_text())
        done = subprocess.run(
            [*map(str, self._command(programs)), "--bootstrap"],
            input="".join(script), env=programs.program.environment, cwd="/",
            capture_output=True, text=True, check=False,
        )  # fmt: skip
        if done.returncode or not (self._data / "mysql").is_dir():
            shutil.rmtree(self._data, ignore_errors=True)
            raise StackError(f"making {self._data} failed: {' '.join(done.stderr.split())[-500:]}")

    def _accounts_sql(self) -> str:
        # Root's account comes without a password.
        return (
            "DROP USER IF EXISTS 'root'@'localhost';\n"
            f"CREATE OR REPLACE USER '{self.owner}'@'%' IDENTIFIED BY '{self.password}';\n"
            f"GRANT ALL PRIVILEGES ON *.* TO '{self.owner}'@'%' WITH GRANT OPTION;\n"
        )

    def _greets(self) -> bool:
        """Whether the server opens the conversation, as its protocol's first packet does, with the number 10."""
        try:
            with socket.create_connection((LOOPBACK, self.port), timeout=5) as connection:
                greeting = connection.recv(5)
        except OSError:
            return False
        return len(greeting) == 5 and greeting[4] == 10  # noqa: PLR2004 - length 3, sequence 1, protocol version
