"""The class-data archive (AppCDS) that shortens the start of every Spark driver.

An archive fits one Java, one class path and one set of jars down to their times; they are in its name, with the
application that makes it. The JVM ignores one that does not fit (``-Xshare:auto``), and then starts as slowly as
without any.
"""

from __future__ import annotations

import hashlib
import tempfile
from collections.abc import Callable
from pathlib import Path

from local_stack.alluxio import SHARED_MEMORY
from local_stack.errors import StackError
from local_stack.jars import cache_directory, ensure_jars, pyspark_jars
from local_stack.java import java_program
from local_stack.spark import submit

_APPLICATION = Path(__file__).with_name("class_data_job.py")


def class_data_archive() -> Path:
    """Where the archive for this environment, Java and set of jars is, or would be."""
    java = java_program()
    # A reinstalled Spark has the same jars with other times, which the JVM refuses.
    files = [java, *(jar for folder in (pyspark_jars(), ensure_jars("spark")) for jar in sorted(folder.iterdir()))]
    parts = [f"{file} {file.stat().st_size} {file.stat().st_mtime_ns}" for file in files]
    parts.append(_APPLICATION.read_text())
    digest = hashlib.sha256("\n".join(parts).encode()).hexdigest()[:12]
    return cache_directory() / "class-data" / f"spark-{digest}.jsa"


def ensure_class_data_archive(report: Callable[[str], None] = print) -> Path:
    """The archive, made by one short Spark application when it is not there (about 30 s).

    :raises StackError: that application failed.
    """
    archive = class_data_archive()
    if archive.exists():
        return archive
    report("class-data archive: running a small Spark application once")
    archive.parent.mkdir(parents=True, exist_ok=True)
    write_class_data_archive(archive, ensure_jars("spark"))
    return archive


def write_class_data_archive(archive: Path, jars: Path) -> None:
    """Make ``archive`` for drivers whose class path has all of the folder ``jars``.

    :raises StackError: the application failed, or the JVM wrote nothing.
    """
    partial = archive.with_suffix(".partial")  # beside it: it is larger than the /dev/shm where images are built
    partial.unlink(missing_ok=True)
    with tempfile.TemporaryDirectory(prefix="warehouse-scratch-", dir=SHARED_MEMORY) as scratch:
        submit(
            _APPLICATION,
            ["warehouse.snapshots.class_data", str(jars)],
            store=f"file://{scratch}/store",
            jars=jars,
            java_options=f"-XX:ArchiveClassesAtExit={partial}",
        )
    if not partial.exists():
        raise StackError("the JVM wrote no class-data archive")
    partial.rename(archive)
