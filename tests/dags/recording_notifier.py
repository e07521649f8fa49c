"""A notifier as a provider would have it: it keeps what it is told, with its template rendered."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any, ClassVar

from airflow.sdk import BaseNotifier


class RecordingNotifier(BaseNotifier):
    """``message`` is a template, ``broken`` says whether its service is down."""

    template_fields: Sequence[str] = ("message",)
    told: ClassVar[list[str]] = []

    def __init__(self, message: str = "{{ warehouse_problem }}", broken: bool = False) -> None:
        super().__init__()
        self.message = message
        self.broken = broken

    def notify(self, context: Any) -> None:
        if self.broken:
            raise ConnectionError("token abc at chat.example")
        self.told.append(self.message)


class SecondNotifier(RecordingNotifier):
    """Another, whose service may be down for a while."""

    told: ClassVar[list[str]] = []
    works: ClassVar[bool] = True

    def notify(self, context: Any) -> None:
        self.broken = not self.works
        super().notify(context)
