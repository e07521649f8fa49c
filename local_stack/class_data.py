"""The class-data archive (AppCDS) that shortens the start of every Spark driver.

An archive fits one Java, one class path and one set of jars; all three are in its name. The JVM ignores one that does
not fit (``-Xshare:auto``).
"""

from __future__ import annotations

import hashlib
import sys
import tempfile
from collections.abc import Callable
from pathlib import Path

from local_stack.alluxio import SHARED_MEMORY
from local_stack.errors import StackError
from local_stack.jars import cache_directory, ensure_jars
from local_stack.java import java_program
from local_stack.spark import submit


def class_data_archive() -> Path:
    """Where the archive for this environment, Java and set of jars is, or would be."""
    java = java_program()
    parts = [str(java), str(java.stat().st_mtime_ns), sys.prefix, str(ensure_jars("spark"))]
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
    with tempfile.TemporaryDirectory(prefix="warehouse-scratch-", dir=SHARED_MEMORY) as scratch:
        made = Path(scratch, "spark.jsa")
        submit(
            Path(__file__).with_name("class_data_job.py"),
            ["warehouse.snapshots.class_data", "jdbc:postgresql://127.0.0.1:1/none"],
            store=f"file://{scratch}/store",
            java_options=f"-XX:ArchiveClassesAtExit={made}",
        )
        if not made.exists():
            raise StackError("the JVM wrote no class-data archive")
        partial = archive.with_suffix(".partial")
        partial.write_bytes(made.read_bytes())
        partial.rename(archive)
    return archive
