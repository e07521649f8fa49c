"""What the command ``expire`` asks of Spark, and what it is told."""

from __future__ import annotations

from dataclasses import dataclass

from warehouse.spec_json import SPEC_VERSION
from warehouse.store_spec import StoreSpec


@dataclass(frozen=True)
class ExpireJob:
    """End the as-of dates of a table whose interval starts before ``start`` (ISO 8601 in UTC), but for the newest.

    ``grace_seconds``: how long their files stay for readers in flight. ``result_path``: on the driver's machine.
    """

    store: StoreSpec
    table: str
    start: str
    grace_seconds: int
    result_path: str
    version: int = SPEC_VERSION


@dataclass(frozen=True)
class ExpireResult:
    """``ended``: the labels, the oldest first."""

    ended: tuple[str, ...]
