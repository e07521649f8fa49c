"""The manifest as a whole: as written, and as resolved."""

from __future__ import annotations

from dataclasses import dataclass
from typing import Annotated, Literal

from pydantic import Field

from logical_warehouse.intervals import Schedule
from logical_warehouse.manifest.monitor import Monitor, Notifier
from logical_warehouse.manifest.section import Section, SomeTexts
from logical_warehouse.manifest.source import Source, SourceConfig
from logical_warehouse.manifest.spark import Spark
from logical_warehouse.manifest.store import Store
from logical_warehouse.manifest.table import Defaults, Table, TableConfig
from logical_warehouse.manifest.training import Training, TrainingConfig

VERSION = 1


class Classification(Section):
    """The labels of this warehouse."""

    labels: SomeTexts = ("public", "internal", "confidential", "restricted")
    """Labels that a table's `columns.classification` may use."""


class ManifestConfig(Section):
    """The table manifest of the warehouse."""

    version: Literal[1]
    """Version of this format."""
    sources: Annotated[dict[str, SourceConfig], Field(min_length=1)]
    """Name to relational database."""
    store: Store
    """Where snapshots live."""
    spark: Spark = Spark()
    """How Spark applications are submitted."""
    classification: Classification = Classification()
    """How columns may be labelled."""
    defaults: Defaults = Defaults()
    """Settings for all tables and trainings that do not set them."""
    tables: dict[str, TableConfig]
    """Name to table. Names are small letters, digits and `_`."""
    trainings: dict[str, TrainingConfig] = Field(default_factory=dict)
    """Name to training."""
    monitor: Monitor = Monitor()
    """How losses of the store are found and repaired."""
    notify: tuple[Notifier, ...] = ()
    """Notifiers of Airflow that are told of late, failed and lost snapshots."""


@dataclass(frozen=True)
class Group:
    """Tables captured together; they share source, schedule, start, end and whether they can be backfilled."""

    name: str
    tables: tuple[Table, ...]


@dataclass(frozen=True)
class Manifest:
    """The healthy part of a manifest by name, everything filled in, in the manifest's order.

    ``monitor`` is None where that section has a problem.
    """

    sources: dict[str, Source]
    store: Store
    spark: Spark
    tables: dict[str, Table]
    trainings: dict[str, Training]
    monitor: Monitor | None = None
    notify: tuple[Notifier, ...] = ()

    def groups(self) -> tuple[Group, ...]:
        """Groups by their first table; a table without a group is a group of its own name."""
        members: dict[str, list[Table]] = {}
        for table in self.tables.values():
            members.setdefault(table.group, []).append(table)
        return tuple(Group(name, tuple(tables)) for name, tables in members.items())

    def schedule_of(self, table: Table) -> Schedule:
        """A table's schedule in the time zone of its source."""
        return Schedule(table.schedule, self.sources[table.source].time_zone)
