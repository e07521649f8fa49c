"""The search of the leak tests finds what it is to find: a value on a disk, in each form, in each kind of place."""

from __future__ import annotations

import base64
import mmap
import os
import secrets
import struct
import subprocess
import sys
import tempfile
import time
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path

import pytest

from local_stack.processes import wait_for
from tests.support import leaks
from tests.support.leaks import Leak, Needle

TEXT = f"canary-{secrets.token_hex(12)}"
NUMBER = secrets.randbits(62) | 1 << 61
NEEDLES = [text_needle := leaks.text_needle("text", TEXT), number_needle := leaks.number_needle("number", NUMBER)]


@pytest.fixture
def disk() -> Iterator[Path]:
    """A folder on a disk: what pytest gives may be in memory."""
    if not any(leaks.Mount(mount.point, mount.kind, "").is_disk for mount in leaks.mounts()):
        pytest.skip("nothing of this machine is on a disk")
    with tempfile.TemporaryDirectory(prefix="warehouse-leaks-", dir="/var/tmp") as folder:
        yield Path(folder)


@pytest.mark.parametrize(
    "data",
    [
        TEXT.encode(),
        b"\xff" * 100 + TEXT.encode() + b"-17",
        TEXT.encode("utf-16-le"),
        TEXT.encode("utf-16-be"),
        *(base64.b64encode(b"user:pass"[:length] + TEXT.encode() + b"!") for length in range(3)),
    ],
    ids=["utf-8", "within", "utf-16-le", "utf-16-be", "base64-0", "base64-1", "base64-2"],
)
def test_a_text_is_found_in_every_form(disk: Path, data: bytes) -> None:
    (disk / "file").write_bytes(data)
    search = leaks.search_files([disk / "file"], NEEDLES)
    assert search.leaks == (Leak("text", str(disk / "file")),)
    assert (search.places, search.bytes) == (1, len(data))


@pytest.mark.parametrize(
    "data", [struct.pack("<q", NUMBER), struct.pack(">q", NUMBER), str(NUMBER).encode()], ids=["<", ">", "digits"]
)
def test_a_number_is_found_in_every_form(disk: Path, data: bytes) -> None:
    (disk / "file").write_bytes(b"x" * 13 + data)
    assert leaks.search_files([disk / "file"], NEEDLES).found == {"number"}


def test_a_number_found_by_chance_is_refused() -> None:
    with pytest.raises(ValueError, match="of 7 bits is found by chance"):
        leaks.number_needle("small", 100)


def test_it_is_found_across_the_border_of_two_reads(disk: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(leaks, "_CHUNK", 64)
    for before in range(40, 66):
        (disk / "file").write_bytes(b"x" * before + TEXT.encode() + b"x" * 200)
        assert leaks.search_files([disk / "file"], NEEDLES).found == {"text"}


def test_nothing_is_found_where_nothing_is(disk: Path) -> None:
    (disk / "file").write_bytes(TEXT[:-1].encode() + b"?" + struct.pack("<q", NUMBER + 1))
    search = leaks.search_files([disk / "file", disk / "gone"], NEEDLES)
    assert (search.leaks, search.places) == ((), 1)


def test_what_cannot_be_read_is_told(disk: Path) -> None:
    search = leaks.search_files([disk], NEEDLES)
    assert (search.places, search.unreadable) == (0, (f"{disk}: Is a directory",))


def test_what_changed_on_a_disk_is_searched(disk: Path) -> None:
    (disk / "before").write_text(TEXT)
    wait_for(lambda: time.time() > (disk / "before").stat().st_ctime + 0.3, "the clock", timeout=5)
    since = time.time()
    for name in ("deep/er/file", "aside/file"):
        (disk / name).parent.mkdir(parents=True)
        (disk / name).write_text(TEXT)
    os.utime(disk / "deep/er/file", (0, 0))  # a time that is a lie
    with tempfile.NamedTemporaryFile(dir="/dev/shm") as in_memory:
        files = set(leaks.changed_files(since, aside=[disk / "aside"]))
    assert disk / "deep/er/file" in files
    assert not files & {disk / "before", disk / "aside/file", Path(in_memory.name)}
    (disk / "before").rename(disk / "renamed")
    assert disk / "renamed" in set(leaks.changed_files(since, roots=[str(disk)]))


def test_an_unknown_kind_of_file_system_is_a_disk() -> None:
    assert leaks.Mount("/a", "newfs", "rw").is_disk
    assert leaks.Mount("/", "overlay", "rw,upperdir=/no/such/folder,workdir=/w").is_disk
    assert not leaks.Mount("/", "overlay", "rw,upperdir=/,workdir=/w").is_disk


@contextmanager
def child(code: str, *arguments: str) -> Iterator[subprocess.Popen[str]]:
    """A process that prints a line when it is ready and lives until the block ends."""
    command = [sys.executable, "-c", f"{code}; print('ready', flush=True); sys.stdin.read()", *arguments]
    with subprocess.Popen(command, stdin=subprocess.PIPE, stdout=subprocess.PIPE, text=True) as process:
        assert process.stdout is not None and process.stdout.readline() == "ready\n"
        yield process
        process.kill()


OPENED = "import sys, os; f = open(sys.argv[1], 'r+b'); os.unlink(sys.argv[1])"
MAPPED = "import sys, os, mmap; f = open(sys.argv[1], 'r+b'); m = mmap.mmap(f.fileno(), 0); os.unlink(sys.argv[1])"


@pytest.mark.parametrize("code", [OPENED, f"{MAPPED}; f.close()"], ids=["open", "mapped"])
def test_a_deleted_file_that_a_process_still_has_is_searched(disk: Path, code: str) -> None:
    if "mmap" in code and os.geteuid() != 0:
        pytest.skip("only root reads what another process has mapped")
    (disk / "file").write_bytes(TEXT.encode() + b"x" * mmap.PAGESIZE)
    with child(code, str(disk / "file")) as process:
        assert leaks.search_deleted(NEEDLES).leaks == (
            Leak("text", f"{disk / 'file'} (deleted) of process {process.pid}"),
        )
        assert leaks.search_deleted(NEEDLES, aside=[disk]).leaks == ()
    assert leaks.search_deleted(NEEDLES).leaks == ()


def test_a_deleted_file_in_memory_is_not() -> None:
    with tempfile.NamedTemporaryFile(dir="/dev/shm", delete=False) as file:
        file.write(TEXT.encode())
    with child(OPENED, file.name):
        assert leaks.search_deleted(NEEDLES).leaks == ()


def test_arguments_are_watched() -> None:
    with leaks.ArgumentWatch(NEEDLES, interval=0.01) as watch:
        with child("import sys", "--password", TEXT) as process:
            wait_for(lambda: watch.search.leaks != (), "the watch", timeout=10)
        assert watch.search.leaks == (Leak("text", f"the arguments of {sys.executable}, process {process.pid}"),)
        assert watch.saw("--password") and not watch.saw("no such argument")


def test_a_needle_is_not_shown() -> None:
    assert TEXT not in repr(text_needle) and repr(Needle("name", (b"x",))) == "Needle('name')"
    assert str(NUMBER) not in repr(number_needle)
