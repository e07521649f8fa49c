"""A MariaDB server for tests: the one that is installed, else Debian's, unpacked into the cache and not installed.

``apt-get download`` and ``dpkg-deb --extract`` need no root and change nothing on the system; apt itself verifies what
it downloads. As root the server runs as root, on the loopback interface, with its data in the stack's own folder.
"""

from __future__ import annotations

import os
import shutil
import socket
import subprocess
import tempfile
from collections.abc import Callable, Sequence
from dataclasses import dataclass
from pathlib import Path

from local_stack.errors import StackError
from local_stack.jars import cache_directory
from local_stack.ports import LOOPBACK
from local_stack.processes import Service, wait_for
from local_stack.secret_files import secret, write_private

PACKAGE = "mariadb-server-core"
SYSTEM_PATH = "/usr/local/sbin:/usr/local/bin:/usr/sbin:/usr/bin:/usr/libexec"
"""``/usr/sbin`` is not in everybody's PATH."""

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
    """A MariaDB installation. ``libraries``: folders of shared libraries that the system does not have."""

    server: Path
    libraries: tuple[Path, ...] = ()

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

    @property
    def environment(self) -> dict[str, str]:
        """Of the server's process."""
        path = {"PATH": os.environ.get("PATH", os.defpath), "LANG": "C", "TZ": "UTC"}
        return path | ({"LD_LIBRARY_PATH": os.pathsep.join(map(str, self.libraries))} if self.libraries else {})


def find_programs() -> Programs | None:
    """The installed server, else the unpacked one, else None."""
    found = shutil.which("mariadbd") or shutil.which("mariadbd", path=SYSTEM_PATH)
    if found:
        return Programs(Path(found).resolve())
    unpacked = _unpacked()
    return _programs_in(unpacked) if unpacked.is_dir() else None


def ensure_programs(report: Callable[[str], None] = print) -> Programs:
    """A server to run, unpacking Debian's where none is installed.

    :raises StackError: none is installed, and apt-get is not there or could not download it.
    """
    found = find_programs()
    if found is not None:
        return found
    for program in ("apt-get", "dpkg-deb"):
        if shutil.which(program) is None:
            raise StackError(f"MariaDB's server is not installed, and there is no {program} to unpack Debian's with")
    target = _unpacked()
    target.parent.mkdir(parents=True, exist_ok=True)
    with tempfile.TemporaryDirectory(prefix=".mariadb-", dir=target.parent) as work:
        root = _unpack(Path(work), report)
        programs = _programs_in(root)
        done = subprocess.run(
            [programs.server, "--version"], env=programs.environment, capture_output=True, text=True, check=False
        )
        if done.returncode:
            raise StackError(f"Debian's MariaDB does not run here: {' '.join(done.stderr.split())}")
        try:
            root.rename(target)
        except OSError:
            if not target.is_dir():  # else another process was quicker
                raise
    return _programs_in(target)


def _unpacked() -> Path:
    return cache_directory() / "mariadb"


def _programs_in(root: Path) -> Programs:
    libraries = {file.parent for file in root.rglob("*.so*")}
    return Programs(root / "usr/sbin/mariadbd", tuple(sorted(libraries)))


def _unpack(work: Path, report: Callable[[str], None]) -> Path:
    """Folder with the server and the libraries that this system lacks."""
    archives, root = work / "archives", work / "root"
    archives.mkdir()
    root.mkdir()
    # The system's own package lists first; a container image often has none, or old ones.
    for options in ([], _own_lists(work)):
        if options:
            _apt([*options, "update"], archives)  # one repository that fails need not be the one that is asked
        planned = _apt([*options, "install", "--simulate", "--no-install-recommends", PACKAGE], archives)
        packages = [line.split()[1] for line in planned.stdout.splitlines() if line.startswith("Inst ")]
        if planned.returncode or not packages:
            continue
        report(f"MariaDB: downloading {', '.join(packages)}")
        downloaded = _apt([*options, "download", *packages], archives)
        if downloaded.returncode == 0:
            break
    else:
        failed = downloaded if not planned.returncode and packages else planned
        raise StackError(f"apt-get cannot download {PACKAGE}: {' '.join(failed.stderr.split())[-300:]}")
    for archive in archives.glob("*.deb"):
        subprocess.run(["dpkg-deb", "--extract", archive, root], check=True)
    return root


def _own_lists(work: Path) -> list[str]:
    lists, cache = work / "lists", work / "cache"
    for folder in (lists / "partial", cache / "archives/partial"):
        folder.mkdir(parents=True)
    return ["-o", f"Dir::State::lists={lists}", "-o", f"Dir::Cache={cache}"]


def _apt(arguments: Sequence[str], folder: Path) -> subprocess.CompletedProcess[str]:
    # As root, apt downloads as an account that cannot enter a private folder.
    sandbox = ["-o", f"APT::Sandbox::User={'root' if os.geteuid() == 0 else ''}"]
    return subprocess.run(
        ["apt-get", "-q", *sandbox, *arguments],
        cwd=folder,
        env=os.environ | {"LC_ALL": "C"},
        stdin=subprocess.DEVNULL,
        capture_output=True,
        text=True,
        check=False,
    )


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
                env=programs.environment,
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
            input="".join(script), env=programs.environment, cwd="/", capture_output=True, text=True, check=False,
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
