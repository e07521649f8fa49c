"""What a training is about to read, by the metadata in the store: whether all of it is there, and how large it is."""

from __future__ import annotations

from collections.abc import Iterable
from datetime import timedelta

from warehouse.coverage import MissingIntervals, meant
from warehouse.failures import JobError, PermanentError
from warehouse.snapshot_record import SnapshotRecord
from warehouse.train_spec import InputSpec

from logical_warehouse.intervals import Interval, utc_text
from logical_warehouse.manifest import Store
from logical_warehouse.store_contents import read_marks
from logical_warehouse.store_files import StoreFiles, store_files, tables_path
from logical_warehouse.stored_tables import read_stored_table

SHORTEST_WAIT, LONGEST_WAIT = timedelta(minutes=1), timedelta(minutes=10)
SMALL_BYTES = 16 * 2**20
"""Of stored files, which are compressed and gone over many times: a training of less takes seconds."""


def inputs_of(store: Store, inputs: Iterable[InputSpec], interval: Interval) -> tuple[SnapshotRecord, ...] | None:
    """The records that a training as of ``interval`` reads; None where that cannot be told from here.

    Whatever else is wrong with an input, the Spark job finds out, and says it best.

    :raises MissingIntervals: some of them are not published, and they are not known to be lost.
    """
    try:
        files = store_files(store)
    except PermanentError:
        return None
    found = [_records_of(files, store, spec, interval) for spec in inputs]
    return None if None in found else tuple(record for records in found if records for record in records)


def is_small(records: Iterable[SnapshotRecord] | None) -> bool:
    """Whether a training on what :func:`inputs_of` found is a matter of seconds; one on what is not known is not."""
    return records is not None and sum(record.bytes for record in records) < SMALL_BYTES


def next_look(waited: timedelta) -> timedelta:
    """After how long to look again for inputs that were waited for so long: a short gap is seen soon."""
    return min(max(waited / 4, SHORTEST_WAIT), LONGEST_WAIT)


def _records_of(
    files: StoreFiles, store: Store, spec: InputSpec, interval: Interval
) -> tuple[SnapshotRecord, ...] | None:
    try:
        table = read_stored_table(files, tables_path(store), spec.table)
        if table is None:
            return None
        try:
            return meant(
                spec.table,
                table.properties,
                {record.as_of: record for record in table.records},
                None if spec.mode == "latest" else interval.as_of,
                window=spec.window,
                at_or_before=spec.mode == "at_or_before",
                end=utc_text(interval.end),
            )
        except MissingIntervals as error:
            if read_marks(files, store, spec.table).of(error.missing):
                return None
            raise
    except MissingIntervals:
        raise
    except (JobError, ValueError, OSError):  # not to be had, of another version, or no JSON
        return None
