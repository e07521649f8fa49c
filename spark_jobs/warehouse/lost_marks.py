"""Marks of lost snapshots: a small JSON file per table in the store, written by the monitor for whoever looks there.

Standard library only.
"""

from __future__ import annotations

from dataclasses import dataclass

from warehouse.spec_json import SPEC_VERSION

MARKS_FOLDER = "_lost"


@dataclass(frozen=True)
class LostMark:
    """One lost snapshot.

    ``published_at``: of the publication that was lost, as its record has it. ``remedy``: what brings it back, or why
    nothing does; a clause of a sentence.
    """

    as_of: str
    published_at: str
    noticed_at: str
    remedy: str


@dataclass(frozen=True)
class LostMarks:
    """All marks of a table, the oldest date first."""

    table: str
    marks: tuple[LostMark, ...]
    version: int = SPEC_VERSION


def marks_path(store_uri: str, namespace: str, table: str) -> str:
    """Where the marks of a table are."""
    return f"{store_uri.rstrip('/')}/{MARKS_FOLDER}/{namespace}/{table}.json"
