"""A notifier that a running Airflow imports; by itself, as a provider's would be."""

from __future__ import annotations

from collections.abc import Sequence
from pathlib import Path
from typing import Any

from airflow.sdk import BaseNotifier


class FileNotifier(BaseNotifier):
    """Adds what it is told to ``file``, a line each; ``message`` is a template."""

    template_fields: Sequence[str] = ("message",)

    def __init__(self, file: str, message: str = "{{ warehouse_problem }}") -> None:
        super().__init__()
        self.file = file
        self.message = message

    def notify(self, context: Any) -> None:
        with Path(self.file).open("a") as told:
            told.write(f"{' '.join(self.message.split())}\n")
