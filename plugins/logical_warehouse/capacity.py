"""Does a capture fit into the store beside what is pinned and promised? What it will take, and what could go. Pure."""

from __future__ import annotations

import math
from collections.abc import Collection, Sequence
from dataclasses import dataclass, field

from warehouse.failures import PermanentError, RetryableError
from warehouse.promises import Promise
from warehouse.snapshot_record import SnapshotRecord

from logical_warehouse.intervals import utc_text
from logical_warehouse.unneeded_states import Grace

MIB = 2**20
SHOWN_RUNS = 3


@dataclass(frozen=True)
class Estimate:
    """What a capture of a table will have. ``basis``: where that is from, for people."""

    rows: int
    bytes: int
    basis: str


def estimate(source_rows: int, source_bytes: int, records: Sequence[SnapshotRecord]) -> Estimate:
    """From the rows and bytes of the source's statistics, and the newest published snapshot that has rows.

    A source knows how wide its rows are, the snapshot what they take once they are encoded and compressed: often a
    fraction. A planner that has no statistics of a new interval says 0 rows or 1; then the snapshot's number counts.

    :param records: of the table, the oldest first.
    """
    last = next((record for record in reversed(records) if record.rows and record.bytes), None)
    if last is None:
        return Estimate(source_rows, source_bytes, "the source's statistics")
    rows = source_rows if source_rows > 1 else last.rows
    return Estimate(rows, math.ceil(rows * last.bytes / last.rows), f"the snapshot {last.as_of}")


@dataclass(frozen=True)
class Expirable:
    """A published snapshot whose end would make room. ``start``: of its interval. ``bytes``: of memory, that all copies
    of its data files take."""

    table: str
    as_of: str
    start: str
    bytes: int


@dataclass(frozen=True)
class Held:
    """A promise of a run that has not ended; ``bytes``: of it, what the run has not yet written."""

    promise: Promise
    bytes: int


@dataclass(frozen=True)
class Room:
    """What a run needs, against what there is. All in bytes of memory, with all copies.

    ``largest``: the table that needs most. ``removed_first``: of what is used, what nobody needs any more and the
    run removes before it writes. ``left``: what else nobody needs any more. ``grace``: what the run could remove later.
    """

    needed: int
    free: int
    capacity: int
    largest: str
    others: tuple[Held, ...] = ()
    removed_first: int = 0
    left: int = 0
    grace: Grace = field(default_factory=Grace)

    @property
    def promised(self) -> int:
        """To other runs."""
        return sum(held.bytes for held in self.others)

    @property
    def available(self) -> int:
        """What is free when the run begins to write, but for what others write by then."""
        return self.free + self.removed_first

    @property
    def missing(self) -> int:
        """Positive where it does not fit."""
        return self.needed + self.promised - self.available


def expirable(missing: int, could_end: Sequence[Expirable], mine: Collection[str]) -> list[Expirable]:
    """Of snapshots that could be ended the oldest, no more than are needed: first those of the run's own tables."""
    chosen: list[Expirable] = []
    for one in sorted(could_end, key=lambda one: (one.table not in mine, one.start)):
        if sum(before.bytes for before in chosen) >= missing:
            break
        chosen.append(one)
    return chosen


def ensure_fits(group: str, room: Room, candidates: Sequence[Expirable]) -> None:
    """See that there is room.

    :param candidates: of :func:`expirable`.
    :raises RetryableError: it would fit, were it not for what other runs are promised, or readers in flight are left.
    :raises PermanentError: it does not fit.
    """
    if room.missing <= 0:
        return
    sentence = (
        f"{group} does not fit into the store: about {_mib(room.needed)} are needed (most by {room.largest}), "
        f"{room.free / MIB:.1f} of {_mib(room.capacity)} are free{_removed_first(room)}{_promised(room)}, "
        f"so {_mib(room.missing)} are missing"
    )
    if room.needed <= room.available:
        raise RetryableError(f"{sentence}; it is tried again when those runs may have ended.")
    if room.grace.ends is not None and room.missing <= room.grace.bytes:
        raise RetryableError(
            f"{sentence}; {_mib(room.grace.bytes)} of replaced or ended snapshots are kept for readers in flight "
            f"(store.reader_grace) until {utc_text(room.grace.ends)}, and make room then: it is tried again, and a run "
            "that has failed by then can be cleared."
        )
    remedies = [_expiring(room, candidates)]
    if room.left:
        remedies.append(
            f"`python -m logical_warehouse clean-store` lists up to {_mib(room.left)} that nobody needs "
            "any more, and can free them"
        )
    remedies.append("or give Alluxio's workers more memory")
    raise PermanentError(f"{sentence}; {'; '.join(remedies)}.")


def _removed_first(room: Room) -> str:
    if not room.removed_first:
        return ""
    return f", {_mib(room.available)} once this run has removed what nobody needs any more"


def _promised(room: Room) -> str:
    if not room.promised:
        return ""
    runs = [f"{held.promise.dag_id} {held.promise.run_id}" for held in room.others if held.bytes]
    more = f" and {len(runs) - SHOWN_RUNS} more" if len(runs) > SHOWN_RUNS else ""
    return f", of which {_mib(room.promised)} are promised to other runs ({', '.join(runs[:SHOWN_RUNS])}{more})"


def _expiring(room: Room, candidates: Sequence[Expirable]) -> str:
    if not candidates:
        return "no snapshot can be expired: each is the newest of its table, or a training keeps it"
    of_tables: dict[str, list[str]] = {}
    for one in candidates:
        of_tables.setdefault(one.table, []).append(one.as_of)
    named = ", ".join(
        f"{table} {dates[0]}" + (f" to {dates[-1]} ({len(dates)} snapshots)" if len(dates) > 1 else "")
        for table, dates in of_tables.items()
    )
    freed = sum(one.bytes for one in candidates)
    enough = "would make room" if freed >= room.missing else "are all that could be expired, and not enough"
    return f"{named} with {_mib(freed)} {enough}: shorten the retention, or `expire` them"


def _mib(size: int) -> str:
    return f"{size / MIB:.1f} MiB"
