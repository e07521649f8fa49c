"""What a table's asset events say, as far back as it matters: Airflow gives a task the newest so many, or those before
a moment."""

from __future__ import annotations

from collections.abc import Iterator
from datetime import datetime
from typing import Any, Protocol, Self

from warehouse.retention import Bounds

from logical_warehouse.losses import Published, publications

PAGE = 1000
"""Events that Airflow is asked for at a time: the extra of each is a record of one or two kilobytes."""


class Event(Protocol):
    """``timestamp``: when Airflow was told."""

    @property
    def id(self) -> int: ...
    @property
    def timestamp(self) -> datetime: ...
    @property
    def partition_key(self) -> str | None: ...
    @property
    def extra(self) -> Any: ...


class Events(Protocol):
    """Those of one asset: what ``inlet_events`` of Airflow's SDK holds. Settings change it and return it."""

    def ascending(self, ascending: bool) -> Self: ...
    def limit(self, limit: int) -> Self: ...
    def before(self, before: str) -> Self: ...
    def __iter__(self) -> Iterator[Any]: ...


def read_published(events: Events, retention: Bounds) -> Published:
    """What all events of a table say, but for those that can only be of dates that ``retention`` has ended.

    No date is published before its interval is over. So an event from before the oldest kept date began is of an older
    one, and so is every earlier event: how many are read depends on what the store has to hold, not on the table's age.
    """
    found = Published()
    for page in _pages(events):
        found = found.after(publications((event.partition_key, event.extra) for event in page))
        kept_from = found.kept_from(retention)
        if kept_from and page[-1].timestamp < datetime.fromisoformat(kept_from):
            break
    return found


def _pages(events: Events) -> Iterator[list[Event]]:
    """All events, the newest first."""
    asked, limit = events.ascending(False), PAGE
    seen: set[int] = set()
    while True:
        page: list[Event] = list(asked.limit(limit))
        if new := [event for event in page if event.id not in seen]:
            yield new
        if len(page) < limit:
            return
        if new:
            seen.update(event.id for event in new)
            limit = PAGE
            # With those of the very moment, of which the page may lack some.
            asked = asked.before(new[-1].timestamp.isoformat())
        else:
            limit *= 2  # more events of one moment than a page has
