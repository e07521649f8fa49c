"""The snapshot job: all tables of a group, read from one consistent state of the source, onto their run branches."""

from __future__ import annotations

import math
import time
from collections.abc import Callable
from concurrent.futures import Future, ThreadPoolExecutor
from dataclasses import dataclass
from datetime import datetime
from threading import Event
from typing import TYPE_CHECKING

from warehouse.capture_failures import CapturedTooLate, IntervalNotOver
from warehouse.consistent_read import SourceState, hold_source_state
from warehouse.copy_choice import why_over_jdbc
from warehouse.ended_runs import clean_before_writing, forget_ended
from warehouse.expiry import free_unneeded
from warehouse.fingerprints import TableFingerprint
from warehouse.holder_read import write_from_holder
from warehouse.iceberg_api import load_table, properties_of
from warehouse.iceberg_tables import Written, ensure_table, make_run_branch, write_run_branch
from warehouse.jvm import activate
from warehouse.lost_states import let_go_lost
from warehouse.masks import MaskKey, keys_from_environment
from warehouse.progress import cancel_jobs, new_job_group, progress_lines
from warehouse.promises import promise_of
from warehouse.records import RETAINED_FROM, records_of
from warehouse.schema_failures import ColumnsLost
from warehouse.side_by_side import side_by_side
from warehouse.snapshot_spec import SnapshotJob, SnapshotResult, TableCapture
from warehouse.source_fingerprint import source_fingerprint
from warehouse.source_read import SourceRead, plan_read, read_table
from warehouse.spec_json import to_json
from warehouse.store_directory import prepare_store
from warehouse.store_files import delete_folder, exists, write_text
from warehouse.table_access import limit_beside, limit_table
from warehouse.table_spec import TableSpec
from warehouse.vendor_errors import source_errors, store_errors

if TYPE_CHECKING:
    from pyspark.sql import SparkSession

BranchOff = Callable[[SnapshotJob, SourceRead], Future[int]]
"""Starts making a table's run branch; its result is the id of the schema to write in."""


def snapshot_tables(session: SparkSession, job: SnapshotJob) -> SnapshotResult:
    """Write the run branch of every table; nothing becomes visible to readers.

    :raises JobError: what went wrong, with the table's name.
    """
    started = time.monotonic()
    # Store and source are made ready at once: in a new JVM each costs a second or more, most of it waiting and loading
    # classes. Whatever fails, the block ends when both are done.
    asks_history = any(table.history.mode == "time_travel" for table in job.tables)
    history_of = datetime.fromisoformat(job.interval.end) if asks_history else None
    with ThreadPoolExecutor(max_workers=1, thread_name_prefix="store") as beside:
        store_ready = beside.submit(_open_store, session, job)
        with hold_source_state(session, job.source, history_of=history_of, keys=_mask_keys(job)) as state:
            print(f"state of source {job.source.name} at {state.captured_at}: {state.position}", flush=True)
            _refuse_wrong_time(state, job)
            # Every table is looked up before the first is read: a group fails early or not at all.
            jobs = [(one, table) for table in job.tables for one in (job, *_again(session, job, table, store_ready))]
            reads = [(one, plan_read(state, table, one.interval)) for one, table in jobs]

            def branch_off(one: SnapshotJob, read: SourceRead) -> Future[int]:
                return beside.submit(_branch_off, session, one, store_ready, read)

            captures = [_capture_or_leave(session, one, state, read, branch_off) for one, read in reads]
    with store_errors(job.store.uri):
        forget_ended(session, job)
    done = tuple(capture for capture in captures if capture is not None)
    return SnapshotResult(done, round(time.monotonic() - started, 3))


def _mask_keys(job: SnapshotJob) -> tuple[MaskKey, ...]:
    """Of all tables: one connection holds the state of the group."""
    checks = {connection: check for table in job.tables for connection, check in table.key_checks.items()}
    return tuple(keys_from_environment(checks).values())


def _open_store(session: SparkSession, job: SnapshotJob) -> None:
    activate(session)
    prepare_store(session, job.store)
    with store_errors(job.store.uri):
        path = job.store.promise_path(job.run)
        if not exists(session, path):
            # The store was not there yet at the run's check, or the task was cleared after the run had published.
            write_text(session, path, to_json(promise_of(job)))
    # Of all tables before the first is written: `check` has counted on the room.
    for table in job.tables:
        with store_errors(job.store.uri, table.name):
            let_go_lost(session, job.store, table.name)
            clean_before_writing(session, job, table.name)
            free_unneeded(session, job.store, table.name)


def _refuse_wrong_time(state: SourceState, job: SnapshotJob) -> None:
    """By the clock of the source, which may be another than Airflow's: rows of the interval's end may still come."""
    end = datetime.fromisoformat(job.interval.end)
    captured = datetime.fromisoformat(state.captured_at)
    if captured < end:
        raise IntervalNotOver(job.source.name, job.interval.as_of, math.ceil((end - captured).total_seconds()))
    late = int((captured - end).total_seconds())
    for table in job.tables:
        lateness = table.history.lateness_seconds
        if lateness is not None and late > lateness and not job.capture_late:
            raise CapturedTooLate(table.name, job.interval.as_of, late, lateness)


def _again(session: SparkSession, job: SnapshotJob, table: TableSpec, store_ready: Future[None]) -> list[SnapshotJob]:
    """For each earlier interval that is published the job that captures it again.

    What was never captured stays missing; what retention ended, or is about to end, does not come back.
    """
    if not table.earlier:
        return []
    store_ready.result()
    with store_errors(job.store.uri, table.name):
        stored = load_table(session, job.store.identifier(table.name))
        if stored is None:
            return []
        published, retained_from = records_of(stored), properties_of(stored).get(RETAINED_FROM, "")
    return [
        job.of(interval)
        for interval in table.earlier
        if interval.as_of in published and interval.start >= retained_from
    ]


def _branch_off(session: SparkSession, job: SnapshotJob, store_ready: Future[None], read: SourceRead) -> int:
    """Make the run branch; as :func:`ensure_table`."""
    store_ready.result()
    table = read.table
    limit_table(session, job.store, table)
    with store_errors(job.store.uri, table.name):
        schema_id = ensure_table(session, job.store, table, read.schema, source=job.source, interval=job.interval)
        make_run_branch(session, job.store, job.run, table.name)
    return schema_id


def _capture_or_leave(
    session: SparkSession, job: SnapshotJob, state: SourceState, read: SourceRead, branch_off: BranchOff
) -> TableCapture | None:
    """As :func:`_capture`; None for an earlier interval that would lose values of a column by that."""
    try:
        captured = _capture(session, job, state, read, branch_off)
    except ColumnsLost as error:
        if not job.run.again:
            raise
        print(error, flush=True)
        captured = None
    return captured


def _capture(
    session: SparkSession, job: SnapshotJob, state: SourceState, read: SourceRead, branch_off: BranchOff
) -> TableCapture:
    started = time.monotonic()
    table = read.table
    branched = branch_off(job, read)
    if job.run.again:
        # It may be left out, and others follow in the same state, which cancelling the fingerprint would end.
        branched.result()
    writing = _writing(session, job, state, read, branched)
    # The holder takes the fingerprint while the splits are read: in the same state, at little cost in wall time.
    written, fingerprint = side_by_side(
        writing.write,
        lambda: source_fingerprint(state, read, table.validate),
        cancel_work=writing.cancel,
        cancel_beside=state.cancel,
    )
    state.verify(table.name)
    path = ""
    if table.validate != "count":
        with store_errors(job.store.uri, table.name):
            path = _keep_fingerprint(session, job, table, fingerprint)
    seconds = round(time.monotonic() - started, 3)
    what = f"{table.name}, {job.interval.as_of} again" if job.run.again else table.name
    print(
        f"{what}: {written.rows:,} of {fingerprint.rows:,} rows written, {written.bytes:,} bytes, {seconds} s",
        flush=True,
    )
    return TableCapture(
        table=table.name,
        branch=job.run.branch,
        iceberg_snapshot_id=written.iceberg_snapshot_id,
        source_rows=fingerprint.rows,
        written_rows=written.rows,
        bytes=written.bytes,
        captured_at=state.captured_at,
        source_position=state.position,
        consistency=state.consistency,
        splits=read.connections,
        seconds=seconds,
        fingerprint=path,
        again=job.interval if job.run.again else None,
    )


@dataclass(frozen=True)
class _Writing:
    """How the rows of a table get onto its run branch; ``cancel`` ends that soon, from another thread."""

    write: Callable[[], Written]
    cancel: Callable[[], None]


def _writing(
    session: SparkSession, job: SnapshotJob, state: SourceState, read: SourceRead, branched: Future[int]
) -> _Writing:
    """The way for this source; ``branched`` has the schema to write in once there is a branch."""
    if read.through_holder:
        return _Writing(lambda: write_from_holder(session, job, state, read, branched.result()), state.cancel)
    if (reason := why_over_jdbc(session, state)) is None:
        cancelled = Event()

        def copy() -> Written:
            # Not at the top: PyArrow takes half a second that a read over JDBC need not pay, and may not be there.
            from warehouse.copy_write import write_by_copy  # noqa: PLC0415

            return write_by_copy(session, job, state, read, branched.result(), cancelled=cancelled)

        return _Writing(copy, cancelled.set)
    print(f"{read.table.name}: over JDBC, since {reason}", flush=True)
    group = new_job_group(read.table.name)
    return _Writing(
        lambda: _write_from_splits(session, job, state, read, branched, group=group),
        lambda: cancel_jobs(session, group),
    )


def _write_from_splits(
    session: SparkSession, job: SnapshotJob, state: SourceState, read: SourceRead, branched: Future[int], *, group: str
) -> Written:
    """Through Spark's own connections, one for each split, in jobs of ``group``."""
    table, source = read.table, job.source
    frame = read_table(session, state, read)
    schema_id = branched.result()
    with (
        store_errors(job.store.uri, table.name),
        source_errors(source.name, source.user, table.name),
        progress_lines(session, group, table.name, read.row_bytes),
    ):
        return write_run_branch(
            session, job.store, job.run, table, frame=frame, as_of=job.interval.as_of, schema_id=schema_id
        )


def _keep_fingerprint(session: SparkSession, job: SnapshotJob, table: TableSpec, fingerprint: TableFingerprint) -> str:
    """Write it into the store, for those who may read the rows, since ranges are values of the data; its path.

    What earlier tries of the run left is removed, as their run branches are.
    """
    folder = job.store.fingerprint_folder(job.run, table.name, job.interval.as_of)
    delete_folder(session, folder)
    limit_beside(session, job.store, table, folder)
    path = f"{folder}/try{job.run.attempt}.json"
    write_text(session, path, to_json(fingerprint))
    return path
