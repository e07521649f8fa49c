"""The contract between Airflow and Spark: what a job is asked to do and what it answers.

Airflow's ``check`` task freezes a spec once per run; each Spark application receives its spec as one JSON argument
and writes one JSON answer to ``result_path`` in the store. Both sides import this module, which needs the standard
library only, so that it travels with ``--py-files`` as it is.

Nothing here may hold a password or a value of the data: specs and answers are kept in XCom and in logs.
"""

from __future__ import annotations

import hashlib
import re
from dataclasses import dataclass, field, replace
from typing import Literal

from warehouse.access_spec import AccessSpec as AccessSpec
from warehouse.fingerprints import ValidateMode as ValidateMode
from warehouse.forgotten import Forgotten as Forgotten
from warehouse.spec_json import SPEC_VERSION as SPEC_VERSION
from warehouse.spec_json import SpecError as SpecError
from warehouse.spec_json import from_json as from_json
from warehouse.spec_json import to_json as to_json

PASSWORD_VARIABLE = "WAREHOUSE_SOURCE_PASSWORD"  # noqa: S105  # a name, not a password
"""Environment variable in which the source's password reaches the driver; never an argument, never in a spec."""

RUN_PREFIX = "run_"
"""Of run branches, and of the folders of their data files."""

PROMISES_FOLDER = "_promised"

_PATH_PART = re.compile(r"[A-Za-z0-9_][A-Za-z0-9_.~:+-]*")

HistoryMode = Literal["interval", "valid_between", "time_travel", "current"]
FailureKind = Literal["permanent", "retryable"]
InputMode = Literal["window", "all", "latest", "at_or_before"]
SchemaPolicy = Literal["fail", "additive", "evolve"]
"""Which changes of its source's columns a table takes: none, new ones only, or all that keep what is published."""


@dataclass(frozen=True)
class RunSpec:
    """Which run asks: ``attempt`` is Airflow's try number of the task, unique within the run and task.

    ``again``: label of the earlier interval that the run captures again, beside its own; empty for its own.
    """

    dag_id: str
    run_id: str
    attempt: int
    again: str = ""

    @property
    def key(self) -> str:
        """Name of the run that is safe in paths and in branch names: readable, and unique by its digest."""
        readable = re.sub(r"[^a-z0-9]+", "_", self.run_id.lower()).strip("_")[:60]
        digest = hashlib.sha256(f"{self.dag_id}/{self.run_id}".encode()).hexdigest()[:8]
        return f"{readable}_{digest}"

    @property
    def branch_prefix(self) -> str:
        """Prefix of the run branches of all tries of this run."""
        return f"{RUN_PREFIX}{self.key}_try"

    @property
    def branch(self) -> str:
        """Iceberg branch into which this try writes."""
        return f"{self.branch_prefix}{self.attempt}{self._of}"

    def replaces(self, branch: str) -> bool:
        """Whether ``branch`` is of this run and has to go when this one is made.

        The one of the run's own interval is made first, in place of all that earlier tries left.
        """
        return branch.startswith(self.branch_prefix) and branch.endswith(self._of)

    def try_of(self, branch: str) -> int | None:
        """Number of the try of this run that a run branch is of; None for one of another run."""
        found = re.fullmatch(rf"{re.escape(self.branch_prefix)}(\d+)(_of_.+)?", branch)
        return int(found[1]) if found else None

    @property
    def _of(self) -> str:
        return f"_of_{self.again}" if self.again else ""


@dataclass(frozen=True)
class StoreSpec:
    """Where snapshots live: an Iceberg Hadoop catalog under ``uri``. ``memory_only``: no row may reach a disk.
    ``replication``: copies of each file, in the memory of as many workers."""

    uri: str
    catalog: str = "warehouse"
    namespace: str = "snapshots"
    memory_only: bool = True
    replication: int = 1

    def identifier(self, table: str) -> str:
        """Spark identifier of a table, ``catalog.namespace.table``."""
        return f"{self.catalog}.{self.namespace}.{table}"

    def run_path(self, run: RunSpec, task: str) -> str:
        """Path of the answer of one try of one task."""
        return f"{self.run_folder(run)}/{_part(task)}-try{run.attempt}.json"

    def run_folder(self, run: RunSpec) -> str:
        """Folder of what a run keeps beside the tables: its answers, and the source's fingerprints."""
        return f"{self.uri.rstrip('/')}/_runs/{_part(run.dag_id)}/{run.key}"

    def promise_path(self, run: RunSpec) -> str:
        """Path of the run's promise (see ``warehouse.promises``)."""
        return f"{self.uri.rstrip('/')}/{PROMISES_FOLDER}/{_part(run.dag_id)}/{run.key}.json"

    def fingerprint_folder(self, run: RunSpec, table: str, as_of: str) -> str:
        """Folder of the source's fingerprint of a table, until its run branch is published; a file for each try."""
        return self.fingerprint_folder_of(run.dag_id, run.key, table, as_of)

    def fingerprint_folder_of(self, dag_id: str, run_key: str, table: str, as_of: str) -> str:
        """As :meth:`fingerprint_folder`, by the run's key."""
        parts = "/".join(map(_part, (dag_id, run_key, "fingerprints", table, as_of)))
        return f"{self.uri.rstrip('/')}/_runs/{parts}"


def _part(name: str) -> str:
    """``name``, if it is one step of a path and nothing else. :raises SpecError: it is not."""
    if not _PATH_PART.fullmatch(name):
        raise SpecError(f"{name!r} cannot be part of a path in the store")
    return name


@dataclass(frozen=True)
class SourceSpec:
    """A source as Spark reaches it. ``url`` carries no password."""

    name: str
    dialect: str
    url: str
    user: str | None
    driver: str
    time_zone: str
    fetch_size: int = 10_000
    consistency: Literal["snapshot", "best_effort"] = "snapshot"
    reader: Literal["auto", "jdbc"] = "auto"

    def __post_init__(self) -> None:
        if self.fetch_size < 1:
            # Without one PostgreSQL's driver leaves autocommit on: it would ignore the shared state in silence.
            raise SpecError(f"fetch_size of source {self.name} is {self.fetch_size}, and at least 1 is needed")


@dataclass(frozen=True)
class IntervalSpec:
    """The data interval ``[start, end)`` as ISO 8601 in UTC (``2013-06-01T00:00:00Z``), and its label."""

    as_of: str
    start: str
    end: str


@dataclass(frozen=True)
class ColumnSpec:
    """A column as ``check`` found it in the source; ``type`` is the source's own name of its type.

    ``as_kind``: the kind (see ``warehouse.kinds``) as which the manifest wants it captured; None for the type's own.
    ``mask``: what the source puts in its place (see ``warehouse.masks``); ``classification``: its label.
    """

    name: str
    type: str
    nullable: bool = True
    as_kind: str | None = None
    mask: str | None = None
    classification: str | None = None


@dataclass(frozen=True)
class HistorySpec:
    """How a table knows its past.

    ``interval``: ``column`` says to which interval a row belongs, ``lookback`` how many earlier intervals are captured
    again. ``valid_between``: columns ``valid_from`` and ``valid_to``, the latter being the first moment at which the
    row no longer holds or, with ``to_inclusive``, the last at which it does. ``current``: ``lateness_seconds``.
    """

    mode: HistoryMode
    column: str | None = None
    lateness_seconds: int | None = None
    lookback: int = 0
    valid_from: str | None = None
    valid_to: str | None = None
    to_inclusive: bool = False

    @property
    def columns(self) -> tuple[str, ...]:
        """The source's columns that the mode asks for."""
        return tuple(name for name in (self.column, self.valid_from, self.valid_to) if name is not None)


@dataclass(frozen=True)
class SplitSpec:
    """How a read is divided: at most ``parts`` connections at once; by ``column``, or as the dialect knows best."""

    parts: int = 2
    column: str | None = None


@dataclass(frozen=True)
class ChecksSpec:
    """What must hold before a snapshot is published.

    ``rows``: name → SQL expression (Spark SQL) that must be true, not null, for every row.
    ``max_change``: largest allowed relative change of the row count against the newest earlier snapshot
    (0.5 allows half to one and a half times).
    """

    rows: dict[str, str] = field(default_factory=dict)
    min_rows: int | None = None
    max_change: float | None = None


@dataclass(frozen=True)
class RetentionSpec:
    """How many as-of dates (``keep``), or how many days before the newest (``days``), stay published."""

    keep: int | None = None
    days: int | None = None


@dataclass(frozen=True)
class TableSpec:
    """One table of a run. ``filter`` is SQL of the source; ``start`` the table's first interval, ISO 8601 in UTC.

    ``earlier``: the intervals before the run's, oldest first, that it captures again where they are published
    (``history.lookback``).
    ``estimated_bytes`` are those of the source's rows, ``store_bytes`` what an interval may take in the store.
    ``validate``: how what is stored is compared with the source.
    ``key_checks``: of each connection whose password is the key of a mask, what tells that key from another.
    ``access``: who may read it; None where the manifest does not say, and the store stays as it is.
    """

    name: str
    source_schema: str
    source_table: str
    columns: tuple[ColumnSpec, ...]
    history: HistorySpec
    split: SplitSpec
    checks: ChecksSpec
    retention: RetentionSpec
    schedule: str
    start: str
    filter: str | None = None
    estimated_rows: int | None = None
    estimated_bytes: int | None = None
    store_bytes: int | None = None
    earlier: tuple[IntervalSpec, ...] = ()
    validate: ValidateMode = "columns"
    schema_policy: SchemaPolicy = "additive"
    key_checks: dict[str, str] = field(default_factory=dict)
    access: AccessSpec | None = None

    @property
    def masked(self) -> dict[str, str]:
        """Column → mask, of those that have one."""
        return {column.name: column.mask for column in self.columns if column.mask is not None}

    @property
    def classification(self) -> dict[str, str]:
        """Column → label, of those that have one."""
        return {column.name: column.classification for column in self.columns if column.classification is not None}

    @property
    def source_name(self) -> str:
        """``schema.table`` as people write it, for messages only: SQL is built by the dialect, with quotes."""
        return f"{self.source_schema}.{self.source_table}"


@dataclass(frozen=True)
class EndedRun:
    """A run that Airflow takes for ended, and that did not see to what it had written; ``start``: of its interval."""

    run_id: str
    as_of: str
    start: str


@dataclass(frozen=True)
class SnapshotJob:
    """Asks for the run branches of a group's tables, read from one consistent state of the source.

    ``ended``: runs of the same DAG that may have left something in the store.
    """

    run: RunSpec
    store: StoreSpec
    source: SourceSpec
    interval: IntervalSpec
    tables: tuple[TableSpec, ...]
    result_path: str
    capture_late: bool = False
    ended: tuple[EndedRun, ...] = ()
    version: int = SPEC_VERSION

    def of(self, interval: IntervalSpec) -> SnapshotJob:
        """The same for an earlier interval, on a run branch of its own."""
        return replace(self, interval=interval, run=replace(self.run, again=interval.as_of))


@dataclass(frozen=True)
class TableCapture:
    """What the snapshot job wrote for one table; nothing of it is visible to readers yet.

    ``captured_at``: ISO 8601 in UTC, the source's clock when its state was fixed. ``source_position``: the source's
    own name of that state (PostgreSQL: WAL position and snapshot). ``splits``: connections used. ``again``: the earlier
    interval that was captured again; None for the run's own. ``fingerprint``: path of
    the source's fingerprint in the store, where its values may be; empty where only rows are counted.
    """

    table: str
    branch: str
    iceberg_snapshot_id: int | None
    source_rows: int
    written_rows: int
    bytes: int
    captured_at: str
    source_position: str
    consistency: str
    splits: int
    seconds: float
    again: IntervalSpec | None = None
    fingerprint: str = ""


@dataclass(frozen=True)
class SnapshotResult:
    """Answer to a :class:`SnapshotJob`, in the order of its tables; of each, the run's interval before earlier ones."""

    captures: tuple[TableCapture, ...]
    seconds: float


@dataclass(frozen=True)
class ValidateJob:
    """Asks to read run branches back, compare, check, publish and expire. ``source``: its name, for the record;
    ``time_zone``: the source's.

    ``reader_grace_seconds``: how long the files of a replaced or expired snapshot stay for readers in flight.
    ``ended``: as in :class:`SnapshotJob`.
    """

    run: RunSpec
    store: StoreSpec
    source: str
    interval: IntervalSpec
    tables: tuple[TableSpec, ...]
    captures: tuple[TableCapture, ...]
    result_path: str
    reader_grace_seconds: int = 3600
    time_zone: str = "UTC"
    ended: tuple[EndedRun, ...] = ()
    version: int = SPEC_VERSION

    def of(self, interval: IntervalSpec) -> ValidateJob:
        """As :meth:`SnapshotJob.of`."""
        return replace(self, interval=interval, run=replace(self.run, again=interval.as_of))


@dataclass(frozen=True)
class SnapshotRecord:
    """What is known of a published snapshot: the table property ``warehouse.snapshot.<as-of>`` and the asset event.

    ``digest``: order-independent digest of all stored rows (hexadecimal). ``bytes``: of the stored data files.
    ``validate``: how it was compared with the source, and ``fingerprint`` the digest of the fingerprint in which both
    agreed (SHA-256, hexadecimal; empty where only rows were counted).
    ``late``: captured after the table's lateness. ``iceberg_snapshot_id``: the Iceberg snapshot that publishing made
    readable (of ``main`` for interval tables, of the tag for the others). ``schema_id``: id of the Iceberg schema with
    the columns that were captured; None in records from before it was kept. ``in_memory``: whether every file of the
    snapshot was found wholly in memory and on no disk before it was published; None where the store cannot tell.
    ``forgotten``: rows that were removed since, the earliest removal first; ``rows``, ``bytes``, ``files`` and
    ``digest`` are then of what is left, and ``fingerprint`` is empty.
    ``masked``: column → mask, ``classification``: column → label, as they were when it was captured.
    ``access``: who the manifest lets read it then; None where it does not say.
    """

    table: str
    as_of: str
    start: str
    end: str
    history: HistoryMode
    rows: int
    source_rows: int
    bytes: int
    files: int
    digest: str
    captured_at: str
    published_at: str
    source: str
    source_position: str
    consistency: str
    late: bool
    schedule: str
    dag_id: str
    run_id: str
    branch: str
    iceberg_snapshot_id: int | None
    session_time_zone: str = "UTC"
    validate: ValidateMode = "count"
    fingerprint: str = ""
    schema_id: int | None = None
    in_memory: bool | None = None
    forgotten: tuple[Forgotten, ...] = ()
    masked: dict[str, str] = field(default_factory=dict)
    classification: dict[str, str] = field(default_factory=dict)
    access: AccessSpec | None = None
    version: int = SPEC_VERSION

    @property
    def property_name(self) -> str:
        """Name of the Iceberg table property that holds this record."""
        return f"{RECORD_PREFIX}{self.as_of}"


RECORD_PREFIX = "warehouse.snapshot."


@dataclass(frozen=True)
class PublishedTable:
    """``adopted``: an earlier try of this run had published it. ``expired``: as-of dates that retention ended.

    ``again``: an earlier interval, captured again by the run and found to differ from what was published.
    ``superseded``: ``record`` is that of another run, which captured a later state meanwhile; it stays.
    """

    record: SnapshotRecord
    adopted: bool
    expired: tuple[str, ...]
    seconds: float
    again: bool = False
    superseded: bool = False


@dataclass(frozen=True)
class ValidateResult:
    """Answer to a :class:`ValidateJob`: earlier intervals first, then the run's own in the order of its tables.

    ``report``: path of the comparisons in the store, a JSON list of ``warehouse.fingerprints.Comparison``.
    """

    published: tuple[PublishedTable, ...]
    seconds: float
    report: str = ""


@dataclass(frozen=True)
class InputSpec:
    """An input of a training.

    ``window``: the last ``window`` intervals up to the as-of date; ``all``: all since the table's start;
    ``latest``: the newest published snapshot, whatever the as-of date (reference tables); ``at_or_before``: the newest
    one whose interval had ended when that of the as-of date did, of tables that keep whole states.
    """

    table: str
    mode: InputMode
    window: int | None = None


@dataclass(frozen=True)
class TrainJob:
    """Asks to train a model as of a date. ``arguments`` come from the manifest as they are.

    ``as_of_end``: end of the as-of date's interval, ISO 8601 in UTC; what ``at_or_before`` inputs had to know.
    """

    run: RunSpec
    store: StoreSpec
    training: str
    as_of: str
    inputs: tuple[InputSpec, ...]
    arguments: dict[str, str | int | float | bool]
    model_path: str
    result_path: str
    keep_inputs: bool = False
    as_of_end: str | None = None
    version: int = SPEC_VERSION


@dataclass(frozen=True)
class InputRead:
    """Exactly what a training read of one input. ``late``: those of the dates that were captured late."""

    table: str
    mode: InputMode
    as_of: tuple[str, ...]
    iceberg_snapshot_id: int
    rows: int
    late: tuple[str, ...] = ()


@dataclass(frozen=True)
class TrainResult:
    """Answer to a :class:`TrainJob`."""

    training: str
    as_of: str
    metrics: dict[str, float]
    inputs: tuple[InputRead, ...]
    model_path: str
    seconds: float


@dataclass(frozen=True)
class JobFailure:
    """Why a job ended without a result: one sentence for a person, no trace, no value of the data."""

    kind: FailureKind
    message: str


Result = SnapshotResult | ValidateResult | TrainResult


@dataclass(frozen=True)
class JobAnswer:
    """What a Spark application writes to its ``result_path``: a result or a failure, never both."""

    snapshot: SnapshotResult | None = None
    validate: ValidateResult | None = None
    train: TrainResult | None = None
    failure: JobFailure | None = None
    version: int = SPEC_VERSION
