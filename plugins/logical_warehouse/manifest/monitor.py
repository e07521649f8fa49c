"""Sections ``monitor`` and ``notify``: looking for what the store has lost, and who is told."""

from __future__ import annotations

import datetime
from typing import Annotated

from pydantic import BeforeValidator, Field

from logical_warehouse.intervals import Schedule, ScheduleError
from logical_warehouse.manifest.section import Duration, Positive, Section, refusal
from logical_warehouse.manifest.spark import ScalarMap


def _cron(value: object) -> object:
    if isinstance(value, str):
        try:
            Schedule(value, "UTC")
        except ScheduleError as error:
            raise refusal(str(error)) from error
    return value


class Monitor(Section):
    """How what was published is compared with what the store holds in memory."""

    schedule: Annotated[str, BeforeValidator(_cron)] = "*/15 * * * *"
    """Cron expression of five fields or preset, in UTC: when to look."""
    repair: bool = True
    """Whether lost snapshots are captured again where their history allows it, and what remains of a table whose
    metadata are lost is removed for that. What is lost for good runs let go all the same."""
    wait_for_workers: Duration = datetime.timedelta(hours=1)
    """How long what is lost may come back with a worker of Alluxio: a table whose metadata are lost is left as it is
    so long, and lost states stay in their table."""
    at_once: Positive = 2
    """Most runs that repair at the same time; the Airflow pool `warehouse-repair` has this size."""


class Notifier(Section):
    """A notifier of Airflow that is told of late, failed and lost snapshots."""

    notifier: Annotated[str, Field(pattern=r"^[A-Za-z_]\w*(\.[A-Za-z_]\w*)+$")]
    """Its class, `airflow.providers.smtp.notifications.smtp.SmtpNotifier`; whom it reaches say its arguments and its
    Airflow connection."""
    arguments: ScalarMap = Field(default_factory=dict)
    """Given to its class; what it renders as templates may use `{{ warehouse_problem }}`, one sentence."""
