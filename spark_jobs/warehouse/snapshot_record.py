"""What is known of a published snapshot, as the store keeps it."""

from __future__ import annotations

from dataclasses import dataclass, field

from warehouse.access_spec import AccessSpec
from warehouse.fingerprints import ValidateMode
from warehouse.forgotten import Forgotten
from warehouse.spec_json import SPEC_VERSION
from warehouse.table_spec import HistoryMode

RECORD_PREFIX = "warehouse.snapshot."


@dataclass(frozen=True)
class SnapshotRecord:
    """What is known of a published snapshot: the table property ``warehouse.snapshot.<as-of>`` and the asset event.

    ``digest``: order-independent digest of all stored rows (hexadecimal). ``bytes``: of the stored data files.
    ``validate``: how it was compared with the source, and ``fingerprint`` the digest of the fingerprint in which both
    agreed (SHA-256, hexadecimal; empty where only rows were counted).
    ``late``: captured after the table's lateness. ``iceberg_snapshot_id``: the Iceberg snapshot that publishing made
    readable (of ``main`` for interval tables, of the tag for the others). ``schema_id``: id of the Iceberg schema with
    the columns that were captured; None in records from before it was kept. ``in_memory``: whether every file of the
    snapshot was found wholly in memory and on no disk, before it was published and after; None where the store cannot
    tell.
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
