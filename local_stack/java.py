"""Finding Java, and its version."""

from __future__ import annotations

import os
import re
import shutil
import subprocess
from pathlib import Path

from local_stack.errors import StackError


def java_program() -> Path:
    """The ``java`` to run: of ``JAVA_HOME`` if that is set, else from ``PATH``; links resolved.

    :raises StackError: there is none.
    """
    home = os.environ.get("JAVA_HOME")
    found = shutil.which("java", path=str(Path(home, "bin"))) if home else shutil.which("java")
    if found is None:
        where = f"under JAVA_HOME={home}" if home else "on PATH"
        raise StackError(f"there is no java {where}; install Java 17 (Debian: apt install openjdk-17-jre-headless)")
    return Path(found).resolve()


def java_home() -> Path:
    """The folder that ``JAVA_HOME`` is to name."""
    return java_program().parent.parent


def java_version(program: Path) -> int:
    """Major version.

    :raises StackError: the program does not say one.
    """
    text = subprocess.run([program, "-version"], capture_output=True, text=True, check=False).stderr
    match = re.search(r'version "(?:1\.)?(\d+)', text)
    if match is None:
        raise StackError(f"{program} -version does not tell a version")
    return int(match.group(1))
