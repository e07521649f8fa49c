"""What a stored table's snapshots are of, and whether the manifest still says the same: pure, standard library only.

The properties of a table keep it. A run that means something else must not publish beside them: a reader would put
together what does not belong together.
"""

from __future__ import annotations

from collections.abc import Collection, Mapping

from warehouse.run_spec import IntervalSpec
from warehouse.schema_failures import TableRedefined
from warehouse.sensitive_columns import mask_differences, sensitive_properties
from warehouse.snapshot_record import SnapshotRecord
from warehouse.table_spec import HistorySpec, TableSpec

HISTORY = "warehouse.history"
SOURCE_TABLE = "warehouse.source_table"
START = "warehouse.start"
SCHEDULE = "warehouse.schedule"
TIME_ZONE = "warehouse.time_zone"

_SAME_FOR_ALL = {
    HISTORY: "history",
    "warehouse.history_columns": "history's columns",
    "warehouse.source": "source",
    SOURCE_TABLE: "table in the source",
}
"""Properties in which all snapshots of a table agree, with the words for them."""


def origin_of(table: TableSpec, source: str, time_zone: str) -> dict[str, str]:
    """The properties of a table as the manifest has it now."""
    return {
        HISTORY: table.history.mode,
        "warehouse.history_columns": _history_columns(table.history),
        "warehouse.source": source,
        SOURCE_TABLE: table.source_name,
        START: table.start,
        SCHEDULE: table.schedule,
        TIME_ZONE: time_zone,
        **sensitive_properties(table),
    }


def ensure_same_table(
    table: str,
    stored: Mapping[str, str],
    origin: Mapping[str, str],
    records: Collection[SnapshotRecord],
    interval: IntervalSpec,
) -> None:
    """Return if a snapshot of ``interval`` may stand beside those published.

    Before the first is published only the kind of table must fit: an interval table has a column more.

    :param stored: the table's properties; what an older version did not write is not compared.
    :param origin: those of :func:`origin_of`.
    :raises TableRedefined: the manifest gives the table another source, source table or history; or a column another
        mask, so that its values would no longer be comparable; or the table another schedule or
        time zone, by which the interval overlaps a published one, or has its label and is another.
    """
    differences = [
        f"its {words} is {origin[name]!r}, was {stored[name]!r}"
        for name, words in _SAME_FOR_ALL.items()
        if stored.get(name, origin[name]) != origin[name]
    ]
    if not records and (stored.get(HISTORY) == "interval") == (origin[HISTORY] == "interval"):
        return
    differences += mask_differences(stored, origin)
    if (clash := next((record for record in records if _clashes(record, interval)), None)) is not None:
        differences.append(
            f"its interval {interval.as_of}, {interval.start} to {interval.end}, overlaps the published {clash.as_of}, "
            f"{clash.start} to {clash.end}; its schedule is {origin[SCHEDULE]!r} in {origin[TIME_ZONE]}, was "
            f"{clash.schedule!r} in {stored.get(TIME_ZONE, origin[TIME_ZONE])}"
        )
    if differences:
        raise TableRedefined(table, tuple(differences))


def changed_properties(
    stored: Mapping[str, str], origin: Mapping[str, str], records: Collection[SnapshotRecord]
) -> dict[str, str]:
    """What publishing beside ``records`` (all of the table, the new one too) must set, so that readers know it.

    ``start`` is the first interval that readers ask for. Earlier than before, what lies between is missing until it is
    captured; later, it hides nothing that is published.
    """
    oldest = min(record.start for record in records)
    wanted = {name: origin[name] for name in (*_SAME_FOR_ALL, SCHEDULE, TIME_ZONE)}
    wanted[START] = min(origin[START], oldest)
    return {name: value for name, value in wanted.items() if stored.get(name) != value}


def _clashes(record: SnapshotRecord, interval: IntervalSpec) -> bool:
    if (record.as_of, record.start, record.end) == (interval.as_of, interval.start, interval.end):
        return False
    return record.as_of == interval.as_of or (record.start < interval.end and interval.start < record.end)


def _history_columns(history: HistorySpec) -> str:
    """``at``, or ``valid_from, valid_to (inclusive)``; empty for a mode without columns."""
    return ", ".join(history.columns) + (" (inclusive)" if history.to_inclusive else "")
