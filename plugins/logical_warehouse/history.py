"""May this run capture this as-of date? The rules that keep a past date from being filled with today's rows."""

from __future__ import annotations

from datetime import timedelta
from typing import assert_never

from pendulum import DateTime
from warehouse.failures import PermanentError

from logical_warehouse.intervals import Interval
from logical_warehouse.manifest import History


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


def ensure_capturable(
    table: str, history: History, interval: Interval, now: DateTime, *, capture_late: bool = False
) -> None:
    """Return if ``table`` can honestly be captured for ``interval`` at ``now``, as far as the manifest knows.

    Any mode needs a complete interval. Beyond that, ``interval`` and ``valid_between`` know every date; ``time_travel``
    those whose end is not older than ``keeps``; ``current`` is read as it is now, so from the end of the interval until
    ``lateness`` later, or for ever where somebody asked to ``capture_late``: the record says so then.

    :raises ImpossibleHistory: otherwise, saying what the source still knows and what to do.
    """
    if now < interval.end:
        raise ImpossibleHistory(
            table,
            interval.as_of,
            f"the interval ends at {_minute(interval.end)}, which is not yet past; run it after that",
        )
    match history.mode:
        case "interval" | "valid_between":
            return
        case "time_travel":
            if history.keeps is not None and interval.end < now - history.keeps:
                raise ImpossibleHistory(
                    table,
                    interval.as_of,
                    f"its history is 'time_travel', which reaches back {_length(history.keeps)} (keeps in the "
                    f"manifest), and the interval ended {_length(now - interval.end)} ago; capture intervals that end "
                    f"at {_minute(now - history.keeps)} or later",
                )
        case "current":
            assert history.lateness is not None, "the manifest has a default"
            if now > interval.end + history.lateness and not capture_late:
                raise ImpossibleHistory(
                    table,
                    interval.as_of,
                    f"its history is 'current', so the source knows it only as it is now, "
                    f"{_length(now - interval.end)} after the end of the interval (its lateness allows "
                    f"{_length(history.lateness)}); capture the newest complete interval instead, give the table a "
                    "history that reaches back, or trigger this date with capture_late, which marks the snapshot late "
                    "for ever",
                )
        case _:
            assert_never(history.mode)


def ensure_source_knows(table: str, interval: Interval, begins: DateTime) -> None:
    """Return if the source's own history of ``table``, which ``begins`` then, reaches the end of the interval.

    :raises ImpossibleHistory: otherwise.
    """
    if interval.end <= begins:
        raise ImpossibleHistory(
            table,
            interval.as_of,
            f"its history is 'time_travel', and the source's own history of it begins at {_minute(begins)}, after the "
            "end of the interval; capture intervals that end later",
        )


def _minute(moment: DateTime) -> str:
    return moment.in_timezone("UTC").strftime("%Y-%m-%dT%H:%MZ")


def _length(delta: timedelta) -> str:
    minutes = int(delta.total_seconds() // 60)
    days, rest = divmod(minutes, 24 * 60)
    hours, minutes = divmod(rest, 60)
    parts = [f"{days} d" if days else "", f"{hours} h" if hours else "", f"{minutes} min" if minutes else ""]
    return " ".join(part for part in parts if part) or "0 min"
