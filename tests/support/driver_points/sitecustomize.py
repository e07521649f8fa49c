"""Test only: stops a Spark driver at a chosen point. On the PYTHONPATH of the tests' Airflow alone.

The folder ``$WAREHOUSE_TEST_FAULTS`` holds switches, files that :mod:`tests.support.driver_switches` makes:

``kill_<entry point>``
    ends the next driver of that entry point with SIGKILL when its work is done and its answer is not yet written; the
    file is removed first, so that the next try lives.
``hold_<point>``
    stops every driver that comes to the point, until the file is removed; it holds how many may pass first. A driver
    that waits has made ``at_<point>.<its process id>``.
"""

from __future__ import annotations

import importlib.abc
import importlib.machinery
import os
import signal
import sys
import time
from collections.abc import Callable
from pathlib import Path
from types import ModuleType
from typing import Any

FOLDER = os.environ.get("WAREHOUSE_TEST_FAULTS")
POLL_SECONDS = 0.05


def _kill_before_answering() -> None:
    switch = Path(str(FOLDER)) / f"kill_{Path(sys.argv[0]).stem}"
    if switch.exists():
        switch.unlink()
        os.kill(os.getppid(), signal.SIGKILL)  # the JVM that spark-submit became
        os.kill(os.getpid(), signal.SIGKILL)


def _held_at(point: str) -> Callable[[], None]:
    passed = 0

    def stop() -> None:
        nonlocal passed
        switch = Path(str(FOLDER)) / f"hold_{point}"
        try:
            first = int(switch.read_text())
        except FileNotFoundError:
            return
        passed += 1
        if passed <= first:
            return
        switch.with_name(f"at_{point}.{os.getpid()}").touch()
        while switch.exists():
            time.sleep(POLL_SECONDS)

    return stop


# Module → its function before which to stop. `retire` is the last that a publish calls before its one commit.
STOPS = {
    "warehouse.answers": ("write_text", _kill_before_answering),
    "warehouse.validation": ("branch_frame", _held_at("validating")),
    "warehouse.publish": ("retire", _held_at("publishing")),
}


class _Loader(importlib.abc.Loader):
    def __init__(self, loader: importlib.abc.Loader) -> None:
        self.loader = loader

    def create_module(self, spec: importlib.machinery.ModuleSpec) -> ModuleType | None:
        return self.loader.create_module(spec)

    def exec_module(self, module: ModuleType) -> None:
        self.loader.exec_module(module)
        name, stop = STOPS[module.__name__]
        function = getattr(module, name)  # a point that is gone breaks every driver, and so the tests

        def stopped(*arguments: Any, **named: Any) -> Any:
            stop()
            return function(*arguments, **named)

        setattr(module, name, stopped)


class _Finder(importlib.abc.MetaPathFinder):
    def find_spec(self, name: str, path: object = None, target: object = None) -> importlib.machinery.ModuleSpec | None:
        if name not in STOPS:
            return None
        spec = importlib.machinery.PathFinder.find_spec(name, path)  # type: ignore[arg-type]
        if spec is not None and spec.loader is not None:
            spec.loader = _Loader(spec.loader)
        return spec


if FOLDER:
    sys.meta_path.insert(0, _Finder())
