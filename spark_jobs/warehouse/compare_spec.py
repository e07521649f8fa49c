"""What the command ``compare`` asks of Spark. Its answer goes to a terminal: it has values of the data."""

from __future__ import annotations

from dataclasses import dataclass, field

from warehouse.command_spec import IMPOSSIBLE
from warehouse.run_spec import IntervalSpec
from warehouse.source_spec import SourceSpec
from warehouse.spec_json import SPEC_VERSION
from warehouse.store_spec import StoreSpec
from warehouse.table_spec import TableSpec

EQUAL, DIFFERENT = 0, 10
"""Exit codes of the application, beside ``warehouse.command_spec.IMPOSSIBLE``."""
FOUND = (DIFFERENT, IMPOSSIBLE)
"""Those after which it has said why."""


@dataclass(frozen=True)
class CompareJob:
    """Compare one snapshot with its source, as the source is now. The columns of ``table`` are those of the snapshot.

    ``kinds``: column → kind as which the manifest wants it captured, ``masks``: column → mask, where it says so.
    ``branch``: an unpublished run branch instead of the published snapshot; ``fingerprint``: path of the fingerprint
    that the source gave when that branch was captured, which is then the source's side while it is there.
    ``key``: columns that tell rows apart; empty where rows are not compared. ``limit``: keys to print.
    """

    store: StoreSpec
    source: SourceSpec
    interval: IntervalSpec
    table: TableSpec
    branch: str | None = None
    fingerprint: str | None = None
    key: tuple[str, ...] = ()
    limit: int = 20
    kinds: dict[str, str] = field(default_factory=dict)
    masks: dict[str, str] = field(default_factory=dict)
    version: int = SPEC_VERSION
