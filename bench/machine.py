"""The machine and the versions that a result belongs to."""

from __future__ import annotations

import os
import platform
import re
import subprocess
from datetime import UTC, datetime
from importlib.metadata import version
from pathlib import Path

PACKAGES = ("pyspark", "apache-airflow", "connectorx", "pyarrow", "tpchgen-cli")


def describe(scale: float, runs: int) -> str:
    """Date, scale, size of the machine and versions, as a few lines of Markdown."""
    memory = re.search(r"MemTotal:\s+(\d+)", Path("/proc/meminfo").read_text())
    gib = int(memory[1]) / 2**20 if memory else 0
    model = re.search(r"model name\s*:\s*(.+)", Path("/proc/cpuinfo").read_text())
    java = subprocess.run(["java", "-version"], capture_output=True, text=True, check=True).stderr.splitlines()[0]
    versions = ", ".join(f"{name} {version(name)}" for name in PACKAGES)
    cores = len(os.sched_getaffinity(0))
    return "\n".join(
        (
            f"{datetime.now(UTC):%Y-%m-%d}, TPC-H lineitem at scale {scale:g}, medians of {runs} runs (least - most).",
            f"Machine: {cores} cores ({model[1] if model else platform.machine()}), {gib:.0f} GiB of memory;",
            "source, store and Spark on it together, every file on tmpfs.",
            f"{java}; Python {platform.python_version()}; {versions}.",
        )
    )
