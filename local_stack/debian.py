"""Programs of Debian packages: unpacked into the cache, not installed.

``apt-get download`` and ``dpkg-deb --extract`` need no root and change nothing on the system; apt itself verifies what
it downloads.
"""

from __future__ import annotations

import os
import shutil
import subprocess
import tempfile
from collections.abc import Callable, Sequence
from dataclasses import dataclass
from pathlib import Path

from local_stack.errors import StackError
from local_stack.jars import cache_directory

SYSTEM_PATH = "/usr/local/sbin:/usr/local/bin:/usr/sbin:/usr/bin:/usr/libexec"
"""``/usr/sbin`` is not in everybody's PATH."""


@dataclass(frozen=True)
class Program:
    """A program. ``libraries``: folders of shared libraries that the system does not have."""

    path: Path
    libraries: tuple[Path, ...] = ()

    @property
    def environment(self) -> dict[str, str]:
        """Of its process."""
        path = {"PATH": os.environ.get("PATH", os.defpath), "LANG": "C", "TZ": "UTC"}
        return path | ({"LD_LIBRARY_PATH": os.pathsep.join(map(str, self.libraries))} if self.libraries else {})


def find_program(package: str, path: str) -> Program | None:
    """The installed program, else the unpacked one, else None. ``path``: as in the package, ``usr/sbin/mariadbd``."""
    name = Path(path).name
    found = shutil.which(name) or shutil.which(name, path=SYSTEM_PATH)
    if found:
        return Program(Path(found).resolve())
    folder = _folder(package)
    return _program_in(folder, path) if folder.is_dir() else None


def ensure_program(
    package: str, path: str, report: Callable[[str], None] = print, *, libraries_only: bool = False
) -> Program:
    """A program to run, unpacking Debian's where it is not installed.

    :param libraries_only: of what the package depends on, the program needs the libraries only.
    :raises StackError: it is not installed, and apt-get is not there or could not download it.
    """
    found = find_program(package, path)
    if found is not None:
        return found
    for tool in ("apt-get", "dpkg-deb"):
        if shutil.which(tool) is None:
            raise StackError(f"{package} is not installed, and there is no {tool} to unpack Debian's with")
    target = _folder(package)
    target.parent.mkdir(parents=True, exist_ok=True)
    with tempfile.TemporaryDirectory(prefix=f".{package}-", dir=target.parent) as work:
        root = _unpack(package, Path(work), report, libraries_only)
        program = _program_in(root, path)
        done = subprocess.run(
            [program.path, "--version"], env=program.environment, capture_output=True, text=True, check=False
        )
        if done.returncode:
            raise StackError(f"Debian's {package} does not run here: {' '.join(done.stderr.split())}")
        try:
            root.rename(target)
        except OSError:
            if not target.is_dir():  # else another process was quicker
                raise
    return _program_in(target, path)


def _folder(package: str) -> Path:
    return cache_directory() / "debian" / package


def _program_in(root: Path, path: str) -> Program:
    return Program(root / path, tuple(sorted({file.parent for file in root.rglob("*.so*")})))


def _unpack(package: str, work: Path, report: Callable[[str], None], libraries_only: bool) -> Path:
    """Folder with the program and the libraries that this system lacks."""
    archives, root = work / "archives", work / "root"
    archives.mkdir()
    root.mkdir()
    # The system's own package lists first; a container image often has none, or old ones.
    for options in ([], _own_lists(work)):
        if options:
            _apt([*options, "update"], archives)  # one repository that fails need not be the one that is asked
        planned = _apt([*options, "install", "--simulate", "--no-install-recommends", package], archives)
        packages = [line.split()[1] for line in planned.stdout.splitlines() if line.startswith("Inst ")]
        if libraries_only:
            packages = [name for name in packages if name.startswith("lib") or name == package]
        if planned.returncode or not packages:
            continue
        report(f"{package}: downloading {', '.join(packages)}")
        downloaded = _apt([*options, "download", *packages], archives)
        if downloaded.returncode == 0:
            break
    else:
        failed = downloaded if not planned.returncode and packages else planned
        raise StackError(f"apt-get cannot download {package}: {' '.join(failed.stderr.split())[-300:]}")
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
