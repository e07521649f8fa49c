"""Where a value was left that must not be there: on a disk, in a deleted file that is still open, in a process's
arguments, in a database.

A search that finds nothing is worth what it looked at, so that each one says how much that was and what it could not
read; tests prove each of them on a value put there on purpose. What is found is told by the needle's name and the
place: the needle itself is a secret. Compressed and encrypted data hide what they hold: whoever searches sees to it
that the writers do neither. The environment of processes is not searched: it is how passwords reach a driver.
"""

from __future__ import annotations

import base64
import os
import re
import stat
import struct
import threading
from collections.abc import Collection, Iterable, Iterator, Sequence
from contextlib import suppress
from dataclasses import dataclass
from pathlib import Path
from typing import Any

PROC = Path("/proc")
DELETED = " (deleted)"
_CHUNK = 8 << 20
_IN_MEMORY = ("tmpfs", "ramfs", "devtmpfs", "hugetlbfs")
_OF_THE_KERNEL = (
    "autofs", "binfmt_misc", "bpf", "cgroup", "cgroup2", "configfs", "debugfs", "devpts", "efivarfs", "fusectl",
    "mqueue", "nsfs", "proc", "pstore", "rpc_pipefs", "securityfs", "selinuxfs", "sysfs", "tracefs",
)  # fmt: skip
_ON_NO_DISK = frozenset((*_IN_MEMORY, *_OF_THE_KERNEL))
"""Types of file systems that keep nothing on a disk; of any other one it is believed, known or not."""


@dataclass(frozen=True)
class Needle:
    """A value to look for, in the forms in which programs write it."""

    name: str
    forms: tuple[bytes, ...]

    def __repr__(self) -> str:
        return f"Needle({self.name!r})"


def text_needle(name: str, text: str) -> Needle:
    """As UTF-8 (which JVMs keep for ASCII), as UTF-16 of both byte orders, and in base64 at any position.

    Some serializers mark the last character of a string: for a value give the beginning that many values share.
    """
    data = text.encode()
    shifted = (base64.b64encode(data[skip:])[: (len(data) - skip) // 3 * 4] for skip in range(3))
    return Needle(name, (data, text.encode("utf-16-le"), text.encode("utf-16-be"), *shifted))


def number_needle(name: str, number: int) -> Needle:
    """As eight bytes of either order and as decimal digits.

    :raises ValueError: it has fewer than 50 bits, so that others write it too.
    """
    if number.bit_length() < 50:
        raise ValueError(f"a number of {number.bit_length()} bits is found by chance")
    return Needle(name, (struct.pack("<q", number), struct.pack(">q", number), str(number).encode()))


@dataclass(frozen=True)
class Leak:
    """A needle and where it is."""

    needle: str
    place: str


@dataclass(frozen=True)
class Search:
    """What was found, and in how much."""

    leaks: tuple[Leak, ...]
    places: int
    bytes: int = 0
    unreadable: tuple[str, ...] = ()

    def __add__(self, other: Search) -> Search:
        return Search(
            self.leaks + other.leaks,
            self.places + other.places,
            self.bytes + other.bytes,
            self.unreadable + other.unreadable,
        )

    @property
    def found(self) -> set[str]:
        """Names of the needles that are somewhere."""
        return {leak.needle for leak in self.leaks}


# Disks


@dataclass(frozen=True)
class Mount:
    """A mounted file system; ``options`` are those of its type."""

    point: str
    kind: str
    options: str

    @property
    def is_disk(self) -> bool:
        """Whether what is written there may end on a disk, and is not another mount's as well."""
        if self.kind == "overlay":  # its changes are files of the disk below, unless that is out of sight: a container
            upper = re.search(r"upperdir=([^,]+)", self.options)
            return upper is None or not Path(upper[1]).is_dir()
        return self.kind not in _ON_NO_DISK


def mounts() -> list[Mount]:
    """What is mounted for this process. Source: ``proc_pid_mountinfo(5)``."""
    found = []
    for line in (PROC / "self/mountinfo").read_text().splitlines():
        before, _, after = line.partition(" - ")
        kind, _, options = after.split(" ", 2)
        point = re.sub(r"\\(\d{3})", lambda match: chr(int(match[1], 8)), before.split(" ")[4])
        found.append(Mount(point, kind, options))
    return found


def disk_mounts() -> list[str]:
    """Mount points of every file system that keeps its files on a disk."""
    return list(dict.fromkeys(mount.point for mount in mounts() if mount.is_disk))


def changed_files(since: float, aside: Collection[Path] = (), roots: Iterable[str] | None = None) -> Iterator[Path]:
    """Every file on a disk that was made, written, renamed or linked since then.

    The time of the inode's change decides: unlike that of the contents no program can set it.

    :param since: seconds since the epoch.
    :param aside: folders that are not looked into.
    :param roots: folders of one file system each, instead of all disks.
    """
    skipped = {str(folder.resolve()) for folder in aside}
    since -= 0.1  # a file's time is that of the kernel's last tick
    seen: set[tuple[int, int]] = set()
    for root in disk_mounts() if roots is None else roots:
        device = Path(root).stat().st_dev
        folders = [root]
        while folders:
            folder = folders.pop()
            with suppress(OSError), os.scandir(folder) as entries:  # it has gone, or is another user's
                for entry in entries:
                    with suppress(OSError):
                        status = entry.stat(follow_symlinks=False)
                        identity = (status.st_dev, status.st_ino)
                        if status.st_dev != device or entry.path in skipped:
                            continue
                        if stat.S_ISDIR(status.st_mode) and identity not in seen:
                            seen.add(identity)
                            folders.append(entry.path)
                        elif stat.S_ISREG(status.st_mode) and status.st_ctime >= since and identity not in seen:
                            seen.add(identity)
                            yield Path(entry.path)


def search_disks(since: float, needles: Sequence[Needle], aside: Collection[Path] = ()) -> Search:
    """Every file on a disk that changed since then, and every deleted one there that a process still has."""
    return search_files(changed_files(since, aside), needles) + search_deleted(needles, aside)


def search_files(files: Iterable[Path], needles: Sequence[Needle]) -> Search:
    """The contents of files; one that has gone meanwhile is passed over."""
    return _search([(str(file), file) for file in files], needles)


def search_deleted(needles: Sequence[Needle], aside: Collection[Path] = ()) -> Search:
    """Deleted files on a disk whose blocks live on, since a process has them open or mapped.

    Those of other users' processes are seen by root alone.
    """
    disks = {Path(point).stat().st_dev for point in disk_mounts()}
    skipped = tuple(f"{folder.resolve()}/" for folder in aside)
    found: dict[tuple[int, int], tuple[str, Path]] = {}
    for pid in process_ids():
        for kind in ("fd", "map_files"):
            with suppress(OSError):
                for link in (PROC / pid / kind).iterdir():
                    with suppress(OSError):
                        target = str(link.readlink())
                        if not target.endswith(DELETED) or target.startswith(skipped):
                            continue
                        status = link.stat()
                        if stat.S_ISREG(status.st_mode) and status.st_dev in disks:
                            found.setdefault((status.st_dev, status.st_ino), (f"{target} of process {pid}", link))
    return _search(found.values(), needles)


def _search(places: Iterable[tuple[str, Path]], needles: Sequence[Needle]) -> Search:
    leaks: list[Leak] = []
    unreadable: list[str] = []
    count = size = 0
    for name, file in places:
        try:
            held, read = _held_in(file, needles)
        except (FileNotFoundError, ProcessLookupError):
            continue
        except OSError as error:
            unreadable.append(f"{name}: {error.strerror}")
            continue
        leaks += [Leak(needle, name) for needle in held]
        count, size = count + 1, size + read
    return Search(tuple(leaks), count, size, tuple(unreadable))


def _held_in(file: Path, needles: Sequence[Needle]) -> tuple[list[str], int]:
    """Names of the needles in a file, and its length in bytes."""
    longest = max(len(form) for needle in needles for form in needle.forms)
    wanted = list(needles)
    held: list[str] = []
    size, tail = 0, b""
    with file.open("rb", buffering=0) as opened:
        while chunk := opened.read(_CHUNK):
            size += len(chunk)
            data = tail + chunk
            found = [needle for needle in wanted if any(form in data for form in needle.forms)]
            held += [needle.name for needle in found]
            wanted = [needle for needle in wanted if needle not in found]
            tail = data[-(longest - 1) :]
    return held, size


# Processes


def process_ids() -> list[str]:
    """Ids of all processes but this one, which holds the needles themselves."""
    return [entry.name for entry in PROC.iterdir() if entry.name.isdigit() and int(entry.name) != os.getpid()]


class ArgumentWatch:
    """Reads the arguments of every process again and again while the block runs.

    A process that lives for less than ``interval`` seconds may be missed: none of the project's does.
    """

    def __init__(self, needles: Sequence[Needle], interval: float = 0.2) -> None:
        self._needles = needles
        self._interval = interval
        self._leaks: set[Leak] = set()
        self._programs: set[str] = set()
        self._stop = threading.Event()
        self._thread = threading.Thread(target=self._watch, daemon=True)

    def __enter__(self) -> ArgumentWatch:
        self._thread.start()
        return self

    def __exit__(self, *_: object) -> None:
        self._stop.set()
        self._thread.join()

    @property
    def search(self) -> Search:
        """What was found until now; its places are the different command lines that were read."""
        return Search(tuple(self._leaks), len(self._programs))

    def saw(self, part: str) -> bool:
        """Whether some process had ``part`` in its arguments."""
        return any(part in program for program in list(self._programs))

    def _watch(self) -> None:
        while not self._stop.wait(self._interval):
            for pid in process_ids():
                with suppress(OSError):  # the process has ended
                    self._read(pid, (PROC / pid / "cmdline").read_bytes())

    def _read(self, pid: str, arguments: bytes) -> None:
        shown = arguments.replace(b"\0", b" ").decode(errors="replace")
        if shown in self._programs:
            return
        self._programs.add(shown)
        for needle in self._needles:
            if any(form in arguments for form in needle.forms):
                program = shown.split(" ", 1)[0]
                self._leaks.add(Leak(needle.name, f"the arguments of {program}, process {pid}"))


# Databases


def search_database(connection: Any, needles: Sequence[Needle]) -> Search:
    """Every column of every table of a PostgreSQL database, through a psycopg2 connection.

    Its files are no substitute: long values are compressed in them.
    """
    leaks: list[Leak] = []
    with connection.cursor() as cursor:
        cursor.execute(
            "SELECT table_schema, table_name, array_agg(column_name::text) FILTER (WHERE data_type = 'bytea') "
            "FROM information_schema.columns JOIN information_schema.tables USING (table_schema, table_name) "
            "WHERE table_type = 'BASE TABLE' AND table_schema NOT IN ('pg_catalog', 'information_schema') "
            "GROUP BY table_schema, table_name ORDER BY table_schema, table_name"
        )
        tables = cursor.fetchall()
        for schema, table, binary in tables:
            # A row's text has bytes in hexadecimal digits, where no text is found.
            parts = [f'position(%(form)s::bytea IN "{column}") > 0' for column in binary or ()]
            where = " OR ".join(["strpos(t::text, %(text)s) > 0", *parts])
            for needle in needles:
                for form in needle.forms:
                    values = {"form": form, "text": form.decode("ascii", "replace").replace("\0", "�")}
                    cursor.execute(f'SELECT count(*) FROM "{schema}"."{table}" t WHERE {where}', values)
                    if cursor.fetchone()[0]:
                        leaks.append(Leak(needle.name, f"table {schema}.{table}"))
                        break
    return Search(tuple(leaks), len(tables))
