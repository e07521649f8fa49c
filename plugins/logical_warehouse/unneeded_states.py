"""How much memory a table gives back as soon as its Iceberg snapshots that nobody needs any more are removed.

Told from the sums in Iceberg's metadata, without reading a manifest: what cannot be told for sure is not counted.
"""

from __future__ import annotations

from collections.abc import Iterator, Mapping
from dataclasses import dataclass
from typing import Any

from pendulum import DateTime, from_timestamp
from warehouse.metadata_files import MAIN
from warehouse.table_origin import HISTORY


def unneeded_bytes(metadata: Mapping[str, Any], now_millis: int) -> int:
    """Bytes of data files that only replaced or ended states have whose readers' grace is over; of one copy.

    :param metadata: of a table, as Iceberg's specification says.
    """
    snapshots = {one["snapshot-id"]: one for one in metadata.get("snapshots", ())}
    needed = {name: one["snapshot-id"] for name, one in metadata.get("refs", {}).items() if _counts(
        one, snapshots.get(one["snapshot-id"]), now_millis
    )}  # fmt: skip
    if metadata.get("properties", {}).get(HISTORY) == "interval":
        return _replaced_in_main(snapshots, needed)
    ended = {one["snapshot-id"] for one in metadata.get("refs", {}).values()} - set(needed.values())
    return sum(_sum_of(snapshots[one], "total-files-size") for one in ended if one in snapshots)


@dataclass(frozen=True)
class Grace:
    """Bytes of one copy, as :func:`unneeded_bytes`, that are kept for readers in flight, and until when all of them."""

    bytes: int = 0
    ends: DateTime | None = None


def grace_of(metadata: Mapping[str, Any], now_millis: int) -> Grace:
    """What comes to be unneeded just by waiting, at a moment.

    :param metadata: as of :func:`unneeded_bytes`.
    """
    made = {one["snapshot-id"]: one["timestamp-ms"] for one in metadata.get("snapshots", ())}
    ends = [
        made[one["snapshot-id"]] + one["max-ref-age-ms"]
        for one in metadata.get("refs", {}).values()
        if "max-ref-age-ms" in one and one["snapshot-id"] in made
    ]
    last = max(ends, default=0)
    if last < now_millis:
        return Grace()
    later = unneeded_bytes(metadata, last + 1) - unneeded_bytes(metadata, now_millis)
    return Grace(later, from_timestamp(last / 1000)) if later > 0 else Grace()


def _counts(reference: Mapping[str, Any], snapshot: Mapping[str, Any] | None, now_millis: int) -> bool:
    """Whether a branch or a tag still holds its snapshot, as ``warehouse.expiry`` sees it."""
    longest = reference.get("max-ref-age-ms")
    return longest is None or snapshot is None or now_millis - snapshot["timestamp-ms"] <= longest


def _replaced_in_main(snapshots: Mapping[int, Mapping[str, Any]], needed: Mapping[str, int]) -> int:
    """Files that a snapshot of ``main`` removed, which no branch or tag has that left ``main`` before that."""
    place = {one: number for number, one in enumerate(_line(snapshots, needed.get(MAIN)))}  # 0: the newest
    joins = [
        next((place[one] for one in _line(snapshots, head) if one in place), None)
        for name, head in needed.items()
        if name != MAIN
    ]
    if None in joins:  # where it left main is forgotten
        return 0
    oldest = max((join for join in joins if join is not None), default=0)
    return sum(
        _sum_of(snapshots[one], "removed-files-size")
        for one, number in place.items()
        if number >= oldest and snapshots[one].get("parent-snapshot-id") in place
    )


def _line(snapshots: Mapping[int, Mapping[str, Any]], head: int | None) -> Iterator[int]:
    """A snapshot and those that it was made from, as far as they are known."""
    while head is not None and head in snapshots:
        yield head
        head = snapshots[head].get("parent-snapshot-id")


def _sum_of(snapshot: Mapping[str, Any], name: str) -> int:
    return int(snapshot.get("summary", {}).get(name, 0))
