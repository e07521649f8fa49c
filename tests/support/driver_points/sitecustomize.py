"""Test only: kills a Spark driver at a chosen point. On the PYTHONPATH of the end-to-end tests' Airflow alone.

A file ``kill_<entry point>`` in the folder ``$WAREHOUSE_TEST_FAULTS`` ends the next driver of that entry point with
SIGKILL when its work is done and its answer is not yet written; the file is removed first, so that the next try lives.
"""

from __future__ import annotations

import importlib.abc
import importlib.machinery
import os
import signal
import sys
from pathlib import Path
from types import ModuleType

FOLDER = os.environ.get("WAREHOUSE_TEST_FAULTS")


class _AnswersLoader(importlib.abc.Loader):
    def __init__(self, loader: importlib.abc.Loader) -> None:
        self.loader = loader

    def create_module(self, spec: importlib.machinery.ModuleSpec) -> ModuleType | None:
        return self.loader.create_module(spec)

    def exec_module(self, module: ModuleType) -> None:
        self.loader.exec_module(module)
        write_text = module.write_text

        def killed_before_writing(*arguments: object) -> None:
            switch = Path(str(FOLDER)) / f"kill_{Path(sys.argv[0]).stem}"
            if switch.exists():
                switch.unlink()
                os.kill(os.getppid(), signal.SIGKILL)  # the JVM that spark-submit became
                os.kill(os.getpid(), signal.SIGKILL)
            write_text(*arguments)

        module.write_text = killed_before_writing  # type: ignore[attr-defined]


class _AnswersFinder(importlib.abc.MetaPathFinder):
    def find_spec(self, name: str, path: object = None, target: object = None) -> importlib.machinery.ModuleSpec | None:
        if name != "warehouse.answers":
            return None
        spec = importlib.machinery.PathFinder.find_spec(name, path)  # type: ignore[arg-type]
        if spec is not None and spec.loader is not None:
            spec.loader = _AnswersLoader(spec.loader)
        return spec


if FOLDER:
    sys.meta_path.insert(0, _AnswersFinder())
