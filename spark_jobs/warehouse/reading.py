"""Reading tables of the store as of a date: the one way in, for trainings and for people.

``read_as_of(spark, "alluxio://host:19998/warehouse", "flights", "2013-06-02")`` gives exactly the source's rows up
to the end of that interval, whatever was published since. Each read is pinned to one Iceberg snapshot, so that a table
which is published while it is read does not change under the reader.
"""

from __future__ import annotations

import difflib
import warnings
from dataclasses import dataclass
from typing import TYPE_CHECKING, Any

from pyspark.sql import functions as sf

from warehouse.coverage import MissingIntervals, NoSuchSnapshot, meant
from warehouse.failures import PermanentError
from warehouse.held_files import Listing, MetadataLost, ensure_files_held, listing_with_metadata, read_marks
from warehouse.iceberg_api import MAIN, branch_head, commit_with_retries, load_existing_table, load_table, properties_of
from warehouse.iceberg_tables import quoted
from warehouse.lost_inputs import stands_for
from warehouse.lost_marks import LostMark, lost
from warehouse.records import records_of
from warehouse.snapshot_record import SnapshotRecord
from warehouse.source_read import AS_OF_COLUMN
from warehouse.store_spec import StoreSpec
from warehouse.table_access import readable_tables
from warehouse.table_origin import HISTORY
from warehouse.train_spec import InputRead, InputSpec
from warehouse.vendor_errors import store_errors

if TYPE_CHECKING:
    from pyspark.sql import DataFrame, SparkSession


@dataclass(eq=False)
class UnknownTable(PermanentError):
    table: str
    known: tuple[str, ...]

    def __str__(self) -> str:
        if not self.known:
            return f"table {self.table} is not in the store, which has no table yet"
        close = difflib.get_close_matches(self.table, self.known, n=1)
        hint = f"; did you mean {close[0]!r}?" if close else ""
        return f"table {self.table} is not in the store, which has {', '.join(self.known)}{hint}"


class LateSnapshot(UserWarning):
    """What is read was captured later than its table allows, so it may hold what was not yet known at its date."""


class ForgottenRows(UserWarning):
    """What is read again lacks rows that were there: somebody asked for them to be forgotten."""


# Each time it is read, not once per line of code; whoever sets filters of their own has the last word.
warnings.simplefilter("always", LateSnapshot, append=True)
warnings.simplefilter("always", ForgottenRows, append=True)


@dataclass(eq=False)
class InputExpired(PermanentError):
    """What was read is no longer kept; ``republished``: as-of dates of it that were captured anew since."""

    table: str
    iceberg_snapshot_id: int
    republished: tuple[str, ...]

    def __str__(self) -> str:
        again = f"; captured anew since: {', '.join(self.republished)}" if self.republished else ""
        return (
            f"table {self.table}: Iceberg snapshot {self.iceberg_snapshot_id} has expired and cannot be read again "
            f"(keep_inputs would have kept it){again}"
        )


@dataclass(frozen=True)
class Resolved:
    """A read before its first row: which Iceberg snapshot holds it, and the published records it consists of."""

    table: str
    iceberg_snapshot_id: int
    records: tuple[SnapshotRecord, ...]

    @property
    def as_of(self) -> tuple[str, ...]:
        """The as-of dates of the records, oldest first."""
        return tuple(record.as_of for record in self.records)

    @property
    def late(self) -> tuple[str, ...]:
        """The as-of dates among them that were captured late."""
        return tuple(record.as_of for record in self.records if record.late)

    @property
    def rows(self) -> int:
        """Rows in all records, as validated when they were published."""
        return sum(record.rows for record in self.records)


def read_as_of(
    session: SparkSession,
    store: StoreSpec | str,
    table: str,
    as_of: str,
    *,
    window: int | None = None,
    at_or_before: bool = False,
) -> DataFrame:
    """Rows of ``table`` as of ``as_of``, with the source's columns.

    An interval table gives all its intervals up to that date or, with ``window``, the last so many (fewer where the
    table starts within them); any other gives the state captured for that date, which is the one at the end of its
    interval. Warns of snapshots that were captured late (:class:`LateSnapshot`).

    :param store: the store, or its URI.
    :param at_or_before: of a table that keeps whole states, the state of that date or, where it has none, the newest
        one whose interval had ended by the end of that day.
    :raises UnknownTable: the store has no such table.
    :raises NoSuchSnapshot: no snapshot of that date can be read; the message says which ones can.
    :raises MissingIntervals: intervals up to that date are not published.
    :raises OverlappingIntervals: two of its intervals hold the same moment.
    :raises EmptyWindow, WindowOfStates: ``window`` is less than 1, or asked of a table that keeps whole states.
    :raises BeingRepaired, LostForGood: the monitor has marked some of it as lost; the message says what comes of it.
    :raises MetadataLost, FilesLost: some of it is lost, and not marked yet.
    :raises NotWholeStates: ``at_or_before`` was asked of an interval table.
    """
    store = _store(store)
    found = resolve(session, store, table, as_of, window=window, at_or_before=at_or_before)
    return _frame(session, store, found)


def read_latest(session: SparkSession, store: StoreSpec | str, table: str) -> DataFrame:
    """Rows of ``table`` as of its newest published date; raises as :func:`read_as_of`."""
    store = _store(store)
    return _frame(session, store, resolve(session, store, table, None))


def resolve(
    session: SparkSession,
    store: StoreSpec,
    table: str,
    as_of: str | None,
    *,
    window: int | None = None,
    at_or_before: bool = False,
    end: str | None = None,
) -> Resolved:
    """Find what :func:`read_as_of` would read, from one state of the metadata; ``None`` means the newest date.

    :param end: of the interval of ``as_of``, ISO 8601 in UTC, where the caller knows it: ``at_or_before`` then means
        states that had ended by then, whatever their schedule.
    """

    def could_be(mark: LostMark) -> bool:
        """Whether the newest, or at or before, could have meant its date."""
        # By text, which for labels is by time.
        return as_of is None or (at_or_before and (mark.end <= end if end else mark.as_of <= as_of))

    with store_errors(store.uri, table):
        marks = read_marks(session, store, table)
        try:
            listing, loaded = _load(session, store, table)
            found = _resolve(table, loaded, as_of, window=window, at_or_before=at_or_before, end=end)
        except MissingIntervals as error:
            if missing := marks.of(error.missing):
                raise lost(table, missing) from error
            raise
        except (MetadataLost, UnknownTable, NoSuchSnapshot) as error:
            if missing := marks.of([as_of]) or tuple(filter(could_be, marks.marks)):
                raise lost(table, missing) from error
            raise
        newer = marks.newer(records_of(loaded).values(), than=found.records[-1])
        if gone := (*marks.still_lost(found.records), *filter(could_be, newer)):
            raise lost(table, gone)
        ensure_files_held(
            session, store, loaded, listing, name=table, snapshot_id=found.iceberg_snapshot_id, as_of=found.as_of
        )
    return found


def _load(session: SparkSession, store: StoreSpec, table: str) -> tuple[Listing, Any]:
    listing = listing_with_metadata(session, store, table)
    loaded = load_table(session, store.identifier(table))
    if loaded is None:
        raise UnknownTable(table, readable_tables(session, store))
    return listing, loaded


def _resolve(
    table: str, loaded: Any, as_of: str | None, *, window: int | None, at_or_before: bool, end: str | None
) -> Resolved:
    properties = properties_of(loaded)
    found = meant(table, properties, records_of(loaded), as_of, window=window, at_or_before=at_or_before, end=end)
    reference = MAIN if properties.get(HISTORY) == "interval" else found[-1].as_of
    return Resolved(table, _head(loaded, reference), found)


def read_input(
    session: SparkSession,
    store: StoreSpec,
    spec: InputSpec,
    as_of: str,
    *,
    as_of_end: str | None = None,
    keep_as: str | None = None,
) -> tuple[DataFrame, InputRead]:
    """Rows of a training's input, and exactly what was read.

    :param as_of_end: end of the training's interval, ISO 8601 in UTC: what ``at_or_before`` goes by.
    :param keep_as: tag the Iceberg snapshot with this name, so that :func:`read_again` finds it for ever; an older
        snapshot of that name is let go.
    """
    found = resolve(
        session,
        store,
        spec.table,
        None if spec.mode == "latest" else as_of,
        window=spec.window,
        at_or_before=spec.mode == "at_or_before",
        end=as_of_end,
    )
    if keep_as is not None:
        _keep(session, store, found, keep_as)
    read = InputRead(spec.table, spec.mode, found.as_of, found.iceberg_snapshot_id, found.rows, found.late)
    return _frame(session, store, found), read


def read_again(session: SparkSession, store: StoreSpec | str, read: InputRead, *, trained_at: str) -> DataFrame:
    """The very rows that a training read, by the entry of its ``inputs.json``.

    :param trained_at: when it read them, ISO 8601 in UTC, as its ``inputs.json`` says.
    :raises InputExpired: they are no longer kept.
    :raises InputLost: they are lost for good.
    :raises MetadataLost, FilesLost: they are lost, and may come back with a worker of the store.
    """
    store = _store(store)
    with store_errors(store.uri, read.table):
        listing = listing_with_metadata(session, store, read.table)
        loaded = load_existing_table(session, store, read.table)
        snapshot_id, forgotten = stands_for(properties_of(loaded), read.table, read.iceberg_snapshot_id, read.as_of)
        if loaded.snapshot(snapshot_id) is None:
            records = records_of(loaded)
            anew = (label for label in read.as_of if label in records and records[label].published_at > trained_at)
            raise InputExpired(read.table, read.iceberg_snapshot_id, tuple(anew))
        ensure_files_held(session, store, loaded, listing, name=read.table, snapshot_id=snapshot_id, as_of=read.as_of)
    if forgotten:
        message = f"table {read.table}: rows of what was read were forgotten since; all others are as they were"
        warnings.warn(message, ForgottenRows, stacklevel=2)
    _warn(read.table, read.late, above=1)
    return _pinned(session, store, read.table, snapshot_id, read.as_of)


def _frame(session: SparkSession, store: StoreSpec, found: Resolved) -> DataFrame:
    _warn(found.table, found.late, above=2)
    return _pinned(session, store, found.table, found.iceberg_snapshot_id, found.as_of)


def _warn(table: str, late: tuple[str, ...], *, above: int) -> None:
    """:param above: calls between this one and the reader's own line, which the warning shows."""
    for as_of in late:
        message = f"table {table} as of {as_of} was captured late: it may hold what was not known at that date"
        warnings.warn(message, LateSnapshot, stacklevel=2 + above)


def _pinned(session: SparkSession, store: StoreSpec, table: str, snapshot_id: int, as_of: tuple[str, ...]) -> DataFrame:
    with store_errors(store.uri, table):
        rows = session.read.option("versionAsOf", str(snapshot_id)).table(quoted(store.identifier(table)))
    if AS_OF_COLUMN not in rows.columns:
        return rows
    # By the set of labels and not by `<=`: labels of days and of minutes may stand beside each other.
    return rows.where(sf.col(AS_OF_COLUMN).isin(*as_of)).drop(AS_OF_COLUMN)


def _head(table: Any, reference: str) -> int:
    head = branch_head(table, reference)
    assert head is not None, f"publishing writes a record and moves {reference!r} in one commit"
    return head


def _keep(session: SparkSession, store: StoreSpec, found: Resolved, name: str) -> None:
    def change() -> None:
        table = load_existing_table(session, store, found.table)
        manage = table.manageSnapshots()
        if branch_head(table, name) is None:
            manage.createTag(name, found.iceberg_snapshot_id)
        else:
            manage.replaceTag(name, found.iceberg_snapshot_id)
        manage.commit()

    with store_errors(store.uri, found.table):
        commit_with_retries(change)


def _store(store: StoreSpec | str) -> StoreSpec:
    return StoreSpec(store) if isinstance(store, str) else store
