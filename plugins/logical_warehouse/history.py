"""May this run capture this as-of date? The rules that keep a past date from being filled with today's rows."""

from __future__ import annotations

from datetime import timedelta

from pendulum import DateTime
from warehouse.failures import PermanentError

from logical_warehouse.intervals import Interval


class ImpossibleHistory(PermanentError):
    """The source does not know the table as of this date (any more, or yet)."""

    def __init__(self, table: str, as_of: str, reason: str) -> None:
        self.table = table
        self.as_of = as_of
        super().__init__(f"{table} cannot be captured as of {as_of}: {reason}")


def ensure_in_range(name: str, interval: Interval, start: DateTime, end: DateTime | None) -> None:
    """Return if the interval starts within ``[start, end]``, both of the manifest.

    :raises ImpossibleHistory: otherwise.
    """
    if interval.start < start:
        raise ImpossibleHistory(
            name, interval.as_of, f"its first interval starts on {start:%Y-%m-%d} (start in the manifest)"
        )
    if end is not None and interval.start > end:
        raise ImpossibleHistory(
            name, interval.as_of, f"its last interval starts on {end:%Y-%m-%d} (end in the manifest)"
        )


def ensure_capturable(table: str, lateness: timedelta | None, interval: Interval, now: DateTime) -> None:
    """Return if ``table`` can honestly be captured for ``interval`` at ``now``.

    ``lateness`` is None for a table that knows its past: any complete interval will do. Otherwise what is read is the
    table as it is now, so it may be read from the end of the interval until ``lateness`` later.

    :raises ImpossibleHistory: otherwise, saying what the source still knows and what to do.
    """
    if now < interval.end:
        raise ImpossibleHistory(
            table,
            interval.as_of,
            f"the interval ends at {interval.end:%Y-%m-%dT%H:%MZ}, which is not yet past; run it after that",
        )
    if lateness is not None and now > interval.end + lateness:
        raise ImpossibleHistory(
            table,
            interval.as_of,
            f"its history is 'current', so the source knows it only as it is now, {_ago(now - interval.end)} after "
            f"the end of the interval (its lateness allows {_ago(lateness)}); capture the newest complete interval "
            "instead, or give the table a history that reaches back",
        )


def _ago(delta: timedelta) -> str:
    minutes = int(delta.total_seconds() // 60)
    days, rest = divmod(minutes, 24 * 60)
    hours, minutes = divmod(rest, 60)
    parts = [f"{days} d" if days else "", f"{hours} h" if hours else "", f"{minutes} min" if minutes else ""]
    return " ".join(part for part in parts if part) or "0 min"
