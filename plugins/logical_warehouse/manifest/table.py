"""Sections ``tables`` and ``defaults``: tables as written, and as resolved."""

from __future__ import annotations

import datetime
from dataclasses import dataclass
from typing import Annotated, Literal, get_args

from pydantic import BeforeValidator, Field
from warehouse.fingerprints import ValidateMode
from warehouse.table_spec import SchemaPolicy

from logical_warehouse.intervals import Schedule
from logical_warehouse.manifest.access import Access
from logical_warehouse.manifest.columns import Columns
from logical_warehouse.manifest.history import History, HistoryConfig
from logical_warehouse.manifest.section import (
    Date,
    Duration,
    GroupName,
    NotNegative,
    NotNegativeNumber,
    Positive,
    Section,
    Text,
    TextList,
    one_of,
    refusal,
)

DEFAULT_OWNER = "airflow"
DEFAULT_RETRIES = 2
DEFAULT_RETRY_DELAY = datetime.timedelta(minutes=1)
DEFAULT_VALIDATION: ValidateMode = "columns"

Validation = Annotated[ValidateMode, BeforeValidator(lambda value: one_of(value, get_args(ValidateMode)))]


def _schema_and_table(value: object) -> object:
    if isinstance(value, str) and (value.count(".") != 1 or not all(part.strip() for part in value.split("."))):
        raise refusal(f"{value!r} does not name a table of the source", allowed=["schema.table"])
    return value


class Split(Section):
    """How a read is divided over connections."""

    parts: Positive = 2
    """Connections that read at once; with the one that holds the source's state, at most the source's budget."""
    column: Text | None = None
    """Column to divide by; unset, as the database does it best."""


class Retention(Section):
    """Which as-of dates stay published; without any, all of them."""

    keep: Positive | None = None
    """The newest so many as-of dates."""
    days: Positive | None = None
    """As-of dates at most so many days older than the newest."""

    def __str__(self) -> str:
        parts = (f"keep: {self.keep}" if self.keep else "", f"days: {self.days}" if self.days else "")
        return f"{{{', '.join(part for part in parts if part)}}}"

    def intervals(self, schedule: Schedule) -> int | None:
        """How many intervals of ``schedule`` stay published for certain; None for all."""
        by_days = max(1, datetime.timedelta(days=self.days) // schedule.longest) if self.days else None
        return min((bound for bound in (self.keep, by_days) if bound is not None), default=None)


class Checks(Section):
    """What must hold before a snapshot is published."""

    rows: dict[str, Text] = Field(default_factory=dict)
    """Name to Spark SQL expression that must be true for every row."""
    min_rows: NotNegative | None = None
    """Fewest rows of a snapshot."""
    max_change: NotNegativeNumber | None = None
    """Largest relative change of the row count against the newest earlier snapshot; 0.5 allows half to one and a half
    times."""


class Defaults(Section):
    """Settings for all tables and trainings that do not set them; a list or mapping is replaced as a whole."""

    owner: Text | None = None
    """Owner in Airflow."""
    tags: TextList | None = None
    """Tags in Airflow."""
    source: Text | None = None
    """Name of the source."""
    schedule: Text | None = None
    """Cron expression of five fields, or `@hourly`, `@daily`, `@weekly`, `@monthly`, `@quarterly`, `@yearly`, in the
    source's time zone."""
    start: Date | None = None
    """Date from which there are intervals, in the source's time zone."""
    end: Date | None = None
    """Date of the last interval; `null` for no end, also where the defaults have one."""
    retention: Retention | None = None
    """Which as-of dates stay published; all, where unset."""
    split: Split | None = None
    """How the read is divided over connections."""
    validation: Annotated[Validation | None, Field(alias="validate")] = DEFAULT_VALIDATION
    """What of the stored snapshot must equal the source: the `count` of rows; also null counts, range and sum of all
    `columns`; or also a hash of all `rows`."""
    schema_policy: Annotated[Literal["fail", "evolve"] | None, Field(alias="schema")] = None
    """When the source's columns change: `fail` takes no change, `evolve` every change that leaves what is published as
    it is; unset, new columns only."""
    freshness: Duration | None = None
    """How long after the end of an interval its snapshot is published at the latest; later, notifiers are told."""
    require_classification: bool | None = None
    """Whether a column without a label in `columns.classification` is refused."""
    access: Access | None = None
    """Who may read the snapshots: the members of a group, or `everyone` who reaches the store; unset, the store is left
    as it is. [access.md](access.md)"""
    retries: NotNegative | None = DEFAULT_RETRIES
    """How often a task is tried again after a failure that may pass."""
    retry_delay: Duration | None = DEFAULT_RETRY_DELAY
    """Time between tries."""


class TableConfig(Section):
    """A source table; keys that it does not set come from `defaults`, and `null` takes a default away."""

    table: Annotated[str, BeforeValidator(_schema_and_table), Field(json_schema_extra={"pattern": r"^[^.]+\.[^.]+$"})]
    """`schema.table` in the source."""
    history: HistoryConfig
    """What a run may claim about the past: `{interval: {column: …}}`, `{valid_between: {from: …, to: …}}`,
    `time_travel` or `current`."""
    description: str = ""
    """Shown on the DAG's page."""
    source: Text | None = None
    """Name of the source."""
    owner: Text | None = None
    """Owner in Airflow."""
    tags: TextList | None = None
    """Tags in Airflow."""
    schedule: Text | None = None
    """Cron expression of five fields, or `@hourly`, `@daily`, `@weekly`, `@monthly`, `@quarterly`, `@yearly`, in the
    source's time zone."""
    start: Date | None = None
    """Date from which there are intervals, in the source's time zone."""
    end: Date | None = None
    """Date of the last interval; `null` for no end, also where the defaults have one."""
    group: GroupName | None = None
    """Tables of one group are captured together, from one state of the source; alone, where unset."""
    split: Split | None = None
    """How the read is divided over connections."""
    columns: Columns | None = None
    """Which columns are read, all where unset, as what, and under which masks."""
    filter: Text | None = None
    """SQL condition of the source that rows must meet to be read."""
    schema_policy: Annotated[Literal["fail", "evolve"] | None, Field(alias="schema")] = None
    """When the source's columns change: `fail` takes no change, `evolve` every change that leaves what is published as
    it is; unset, new columns only."""
    retention: Retention | None = None
    """Which as-of dates stay published; all, where unset."""
    validation: Annotated[Validation | None, Field(alias="validate")] = None
    """What of the stored snapshot must equal the source: the `count` of rows; also null counts, range and sum of all
    `columns`; or also a hash of all `rows`."""
    checks: Checks = Checks()
    """Conditions; a snapshot that breaks one of them is not published."""
    freshness: Duration | None = None
    """How long after the end of an interval its snapshot is published at the latest; later, notifiers are told."""
    require_classification: bool | None = None
    """Whether a column without a label in `columns.classification` is refused."""
    access: Access | None = None
    """Who may read the snapshots: the members of a group, or `everyone` who reaches the store; unset, the store is left
    as it is. [access.md](access.md)"""
    retries: NotNegative | None = None
    """How often a task is tried again after a failure that may pass."""
    retry_delay: Duration | None = None
    """Time between tries."""


@dataclass(frozen=True)
class Table:
    """A table with everything filled in; attributes are named as the manifest's keys, ``validation`` for ``validate``.

    ``source`` is the name of its source and ``schedule`` the cron expression or preset as written. ``group`` is the
    table's own name where the manifest has none. ``start`` and ``end`` are dates of the source's
    time zone, both included; ``retention`` without ``keep`` and ``days`` keeps all.
    """

    name: str
    table: str
    source: str
    schedule: str
    start: datetime.date
    end: datetime.date | None
    history: History
    group: str
    description: str = ""
    owner: str = DEFAULT_OWNER
    tags: tuple[str, ...] = ()
    split: Split = Split()  # noqa: RUF009 - frozen
    columns: Columns | None = None
    filter: str | None = None
    retention: Retention = Retention()  # noqa: RUF009 - frozen
    validation: ValidateMode = DEFAULT_VALIDATION
    checks: Checks = Checks()  # noqa: RUF009 - frozen
    schema_policy: SchemaPolicy = "additive"
    require_classification: bool = False
    access: Access | None = None
    retries: int = DEFAULT_RETRIES
    retry_delay: datetime.timedelta = DEFAULT_RETRY_DELAY
    freshness: datetime.timedelta | None = None

    @property
    def source_schema(self) -> str:
        """Schema of the source table."""
        return self.table.split(".")[0]

    @property
    def source_table(self) -> str:
        """Name of the source table in its schema."""
        return self.table.split(".")[1]
