"""Marks of lost snapshots: a small JSON file per table in the store, written by the monitor for whoever reads there.

Standard library only.
"""

from __future__ import annotations

from collections.abc import Collection, Iterable, Sequence
from dataclasses import dataclass

from warehouse.failures import JobError, PermanentError, RetryableError
from warehouse.snapshot_record import SnapshotRecord
from warehouse.spec_json import SPEC_VERSION

MARKS_FOLDER = "_lost"
MOST_NAMED = 5
"""Dates that a message names."""


@dataclass(frozen=True)
class LostMark:
    """One lost snapshot.

    ``published_at``: of the publication that was lost, as its record has it. ``remedy``: what brings it back, or why
    nothing does; a clause of a sentence. ``under_way``: whether it comes back without anybody doing anything.
    ``end``: of its interval, ISO 8601 in UTC; empty in marks of before it was kept.
    """

    as_of: str
    published_at: str
    noticed_at: str
    remedy: str
    under_way: bool = False
    end: str = ""


@dataclass(frozen=True)
class LostPart:
    """What is lost of an Iceberg snapshot at which branches or tags stand (``names``).

    ``as_of``: the label whose files are lost; empty where it is all of it, which it is of a whole state, and where what
    lists the files is lost. ``noticed_at``: ISO 8601 in UTC. ``gone``: no worker brings it back any more, so that jobs
    take it out of the table (see ``warehouse.lost_states``). ``lists``: what lists the files is lost, so that until
    then nothing of the table is freed.
    """

    iceberg_snapshot_id: int
    as_of: str
    names: tuple[str, ...]
    noticed_at: str
    gone: bool = False
    lists: bool = False


@dataclass(frozen=True)
class LostMarks:
    """All marks of a table, the oldest date first.

    ``unreadable_since``: when the table's own metadata were first found to be lost; empty while they are there.
    ``parts``: what the published dates, the inputs that trainings keep and the replaced states have lost.
    """

    table: str
    marks: tuple[LostMark, ...]
    unreadable_since: str = ""
    parts: tuple[LostPart, ...] = ()
    version: int = SPEC_VERSION

    def still_lost(self, records: Iterable[SnapshotRecord]) -> tuple[LostMark, ...]:
        """Marks of what ``records`` say is published; not those of dates that were published anew since."""
        published = {(record.as_of, record.published_at) for record in records}
        return tuple(mark for mark in self.marks if (mark.as_of, mark.published_at) in published)

    def of(self, dates: Collection[str | None]) -> tuple[LostMark, ...]:
        """Marks of dates that the table does not list."""
        return tuple(mark for mark in self.marks if mark.as_of in dates)

    def newer(self, records: Collection[SnapshotRecord], than: SnapshotRecord) -> tuple[LostMark, ...]:
        """Marks of dates after ``than`` that the table no longer lists: to pass over them would be to read an older
        state for the newest."""
        listed = {record.as_of for record in records}
        return tuple(mark for mark in self.marks if mark.end > than.end and mark.as_of not in listed)


@dataclass(eq=False)
class BeingRepaired(RetryableError):
    """Dates that a read needs are lost, and are captured again."""

    table: str
    marks: tuple[LostMark, ...]

    def __str__(self) -> str:
        return _sentence(self.table, self.marks)


@dataclass(eq=False)
class LostForGood(PermanentError):
    """Dates that a read needs are lost, and do not come back unless somebody does something, if at all."""

    table: str
    marks: tuple[LostMark, ...]

    def __str__(self) -> str:
        return _sentence(self.table, self.marks)


def lost(table: str, marks: tuple[LostMark, ...]) -> JobError:
    """The failure of a read that needs what ``marks`` say is lost."""
    return BeingRepaired(table, marks) if all(mark.under_way for mark in marks) else LostForGood(table, marks)


def marks_path(store_uri: str, namespace: str, table: str) -> str:
    """Where the marks of a table are."""
    return f"{store_uri.rstrip('/')}/{MARKS_FOLDER}/{namespace}/{table}.json"


def _sentence(table: str, marks: tuple[LostMark, ...]) -> str:
    by_remedy: dict[str, list[LostMark]] = {}
    for mark in sorted(marks, key=lambda mark: mark.under_way):  # what needs somebody first
        by_remedy.setdefault(mark.remedy, []).append(mark)
    parts = [
        f"{few([mark.as_of for mark in of_remedy])} (noticed {min(mark.noticed_at for mark in of_remedy)}): {remedy}"
        for remedy, of_remedy in by_remedy.items()
    ]
    return f"table {table}: the store has lost the snapshot as of {'; and as of '.join(parts)}"


def few(dates: Sequence[str], most: int = MOST_NAMED) -> str:
    """Dates as a message names them, ``most`` of them."""
    named = ", ".join(dates[:most])
    more = len(dates) - most
    return f"{named} and {more} more" if more > 0 else named
