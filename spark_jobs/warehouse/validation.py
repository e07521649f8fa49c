"""The validate job: read every run branch back, compare and check all of them, and only then publish the first."""

from __future__ import annotations

import time
from collections.abc import Callable
from contextlib import suppress
from dataclasses import dataclass
from datetime import UTC, datetime
from typing import TYPE_CHECKING, TypeVar

from py4j.protocol import Py4JJavaError

from warehouse.ended_runs import clean_after_publishing, forget_ended
from warehouse.expiry import expire
from warehouse.failures import JobError
from warehouse.fingerprint_report import aligned, comparison_table, report_json
from warehouse.fingerprints import Comparison, TableFingerprint, ValidateMode, compare, digest
from warehouse.iceberg_api import branch_head, load_existing_table
from warehouse.publish import Published, adoptable, data_files, publish, publish_again, superseding, verify_branch
from warehouse.records import records_of
from warehouse.snapshot_record import SnapshotRecord
from warehouse.snapshot_spec import TableCapture
from warehouse.spec_json import from_json
from warehouse.store_directory import keep_all
from warehouse.store_failures import BranchGone
from warehouse.store_files import delete_file, delete_folder, read_text, write_text
from warehouse.stored_in_memory import metadata_files, verify_in_memory, verify_published
from warehouse.stored_rows import StoredRows, branch_frame, check_conditions, read_back
from warehouse.table_origin import origin_of
from warehouse.table_spec import ChecksSpec, TableSpec
from warehouse.validate_spec import PublishedTable, ValidateJob, ValidateResult
from warehouse.validation_failures import ChangedTooMuch, CheckFailed, FingerprintMismatch, RowCountMismatch, TooFewRows
from warehouse.vendor_errors import store_errors

if TYPE_CHECKING:
    from pyspark.sql import SparkSession

Outcome = TypeVar("Outcome", Published, Published | None)


@dataclass(frozen=True)
class Validated:
    """A table whose run branch holds what it should. ``seconds``: what validating it took."""

    table: TableSpec
    record: SnapshotRecord
    branch_snapshot: int
    seconds: float


def validate_snapshots(session: SparkSession, job: ValidateJob) -> ValidateResult:
    """Validate all tables, publish each, expire; safe to run again at any point.

    :raises JobError: what does not hold, with the table's name; nothing was published then, unless an earlier try had.
    """
    started = time.monotonic()
    tables = {table.name: table for table in job.tables}
    captures = [
        (job if capture.again is None else job.of(capture.again), tables[capture.table], capture)
        # Earlier intervals first: what expires with the run's own one are also the branches of those left as they are.
        for capture in sorted(job.captures, key=lambda capture: capture.again is None)
    ]
    report = f"{job.result_path.removesuffix('.json')}-comparisons.json"
    validated: list[tuple[ValidateJob, TableSpec, Validated | PublishedTable]] = []
    comparisons: list[Comparison] = []
    try:
        for of, table, capture in captures:
            with store_errors(job.store.uri, table.name):
                one = _validate(session, of, table, capture, comparisons)
            if one is not None:
                validated.append((of, table, one))
    except JobError:
        with suppress(Py4JJavaError):  # the failure says more
            write_text(session, report, report_json(comparisons))
        raise
    with store_errors(job.store.uri):
        write_text(session, report, report_json(comparisons))
    published = []
    for of, table, one in validated:
        with store_errors(job.store.uri, table.name):
            outcome = _publish_again(session, of, one) if of.run.again else _publish(session, of, table, one)
        if outcome is not None:
            published.append(outcome)
    keep_all(session, job.store)
    with store_errors(job.store.uri):
        for table in job.tables:
            clean_after_publishing(session, job, table.name)
        forget_ended(session, job)
        # Last of all: as long as it stands, whatever is left of this run is found.
        delete_file(session, job.store.promise_path(job.run))
    for line in unchanged_lines(job, published):
        print(line, flush=True)
    print(result_table(published), flush=True)
    return ValidateResult(tuple(published), round(time.monotonic() - started, 3), report)


def _validate(
    session: SparkSession, job: ValidateJob, table: TableSpec, capture: TableCapture, comparisons: list[Comparison]
) -> Validated | PublishedTable | None:
    """What to publish, or what an earlier try did; None for a date captured again in which that try found no change."""
    started = time.monotonic()
    as_of = job.interval.as_of
    stored = load_existing_table(session, job.store, table.name)
    head = branch_head(stored, capture.branch)
    if head is None:
        own = _record(job, table, capture)
        earlier = adoptable(stored, own)
        stands = earlier or (None if job.run.again else superseding(stored, own))
        if stands is None:
            if job.run.again:
                return None
            raise BranchGone(table.name, capture.branch)
        seconds = round(time.monotonic() - started, 3)
        return PublishedTable(
            stands,
            adopted=earlier is not None,
            expired=(),
            seconds=seconds,
            again=bool(job.run.again),
            superseded=earlier is None,
        )
    frame = branch_frame(session, job.store, table, head, as_of)
    check_conditions(frame, table)
    source = _source_fingerprint(session, capture)
    rows = read_back(frame, table, source)
    comparison = _comparison(table, as_of, capture, source, rows)
    comparisons.append(comparison)
    print(comparison_table(comparison), flush=True)
    previous = _previous(records_of(stored), job.interval.start)
    verify_count(comparison)
    # After the count, which says what is wrong with the rows, and before what a changed branch explains.
    verify_branch(stored, table.name, capture.branch, capture.iceberg_snapshot_id)
    verify_rows(table, comparison, rows, previous)
    files = list(data_files(session, stored, head, as_of if table.history.mode == "interval" else None))
    paths = [str(file.location()) for file in files]
    paths += [*metadata_files(stored, head), *([capture.fingerprint] if capture.fingerprint else [])]
    in_memory = verify_in_memory(session, job.store, table.name, as_of, paths)
    record = _record(
        job,
        table,
        capture,
        rows=rows.rows,
        digest=rows.digest,
        mode=comparison.mode,
        fingerprint=digest(source) if source is not None else "",
        stored_bytes=sum(int(file.fileSizeInBytes()) for file in files),
        files=len(files),
        in_memory=in_memory,
    )
    return Validated(table, record, head, round(time.monotonic() - started, 3))


def _source_fingerprint(session: SparkSession, capture: TableCapture) -> TableFingerprint | None:
    if not capture.fingerprint:
        return None
    text = read_text(session, capture.fingerprint)
    if text is None:
        raise BranchGone(capture.table, capture.branch)
    return from_json(TableFingerprint, text)


def _comparison(
    table: TableSpec, as_of: str, capture: TableCapture, source: TableFingerprint | None, stored: StoredRows
) -> Comparison:
    if source is None or stored.fingerprint is None:
        return Comparison(table.name, as_of, "count", capture.source_rows, stored.rows, ())
    return compare(table.name, as_of, table.validate, source, stored.fingerprint)


def verify_count(comparison: Comparison) -> None:
    """:raises RowCountMismatch: the store has not as many rows as the source had."""
    if comparison.stored_rows != comparison.source_rows:
        raise RowCountMismatch(comparison.table, comparison.as_of, comparison.source_rows, comparison.stored_rows)


def verify_rows(table: TableSpec, comparison: Comparison, stored: StoredRows, previous: SnapshotRecord | None) -> None:
    """Compare what is stored with the source and with the table's checks.

    ``max_change`` is not asked where there is no earlier snapshot or it was empty.

    :raises JobError: the first thing that does not hold.
    """
    checks: ChecksSpec = table.checks
    as_of = comparison.as_of
    if comparison.differences:
        raise FingerprintMismatch(table.name, as_of, comparison.differences)
    for check, violations in stored.violations.items():
        if violations:
            raise CheckFailed(table.name, as_of, check, violations, stored.rows)
    if checks.min_rows is not None and stored.rows < checks.min_rows:
        raise TooFewRows(table.name, as_of, stored.rows, checks.min_rows)
    if checks.max_change is not None and previous is not None and previous.rows:
        change = abs(stored.rows - previous.rows) / previous.rows
        if change > checks.max_change:
            raise ChangedTooMuch(table.name, as_of, stored.rows, previous.as_of, previous.rows, checks.max_change)


def _previous(records: dict[str, SnapshotRecord], start: str) -> SnapshotRecord | None:
    earlier = [record for record in records.values() if record.start < start]
    return earlier[-1] if earlier else None


def _publish(
    session: SparkSession, job: ValidateJob, table: TableSpec, validated: Validated | PublishedTable
) -> PublishedTable:
    started = time.monotonic()
    if isinstance(validated, PublishedTable):
        outcome = Published(validated.record, validated.adopted, validated.superseded)
    else:
        outcome = _committed(publish, session, job, validated)
    verify_published(session, job.store, outcome.record)
    # It served its purpose, and nobody would end its values when retention ends the snapshot.
    delete_folder(session, job.store.fingerprint_folder(job.run, table.name, job.interval.as_of))
    expired = expire(
        session,
        job.store,
        table.name,
        history=table.history.mode,
        retention=table.retention,
        just_published=job.interval.as_of,
        grace_seconds=job.reader_grace_seconds,
    )
    seconds = round(validated.seconds + time.monotonic() - started, 3)
    return PublishedTable(outcome.record, outcome.adopted, expired, seconds, superseded=outcome.superseded)


def _publish_again(
    session: SparkSession, job: ValidateJob, validated: Validated | PublishedTable
) -> PublishedTable | None:
    started = time.monotonic()
    outcome: Published | None
    if isinstance(validated, PublishedTable):
        # The try that published it may have died before it looked at what its commit wrote.
        outcome = Published(validated.record, validated.adopted)
    else:
        outcome = _committed(publish_again, session, job, validated)
    delete_folder(session, job.store.fingerprint_folder(job.run, validated.record.table, job.interval.as_of))
    if outcome is None:
        return None
    verify_published(session, job.store, outcome.record)
    seconds = round(validated.seconds + time.monotonic() - started, 3)
    return PublishedTable(outcome.record, outcome.adopted, (), seconds, again=True)


def _committed(
    commit: Callable[..., Outcome], session: SparkSession, job: ValidateJob, validated: Validated
) -> Outcome:
    return commit(
        session,
        job.store,
        validated.record,
        validated.branch_snapshot,
        grace_seconds=job.reader_grace_seconds,
        origin=origin_of(validated.table, job.source, job.time_zone),
    )


def unchanged_lines(job: ValidateJob, published: list[PublishedTable]) -> list[str]:
    """For each table with dates that were captured again and left as they are, a line that names these."""
    again = {(one.record.table, one.record.as_of) for one in published}
    unchanged: dict[str, list[str]] = {}
    for capture in job.captures:
        if capture.again is not None and (capture.table, capture.again.as_of) not in again:
            unchanged.setdefault(capture.table, []).append(capture.again.as_of)
    return [f"{table}: captured again and left as published: {', '.join(dates)}" for table, dates in unchanged.items()]


def _record(
    job: ValidateJob,
    table: TableSpec,
    capture: TableCapture,
    *,
    rows: int = 0,
    digest: str = "",
    mode: ValidateMode = "count",
    fingerprint: str = "",
    stored_bytes: int = 0,
    files: int = 0,
    in_memory: bool | None = None,
) -> SnapshotRecord:
    lateness = table.history.lateness_seconds
    captured, end = (datetime.fromisoformat(text) for text in (capture.captured_at, job.interval.end))
    return SnapshotRecord(
        table=table.name,
        as_of=job.interval.as_of,
        start=job.interval.start,
        end=job.interval.end,
        history=table.history.mode,
        rows=rows,
        source_rows=capture.source_rows,
        bytes=stored_bytes,
        files=files,
        digest=digest,
        captured_at=capture.captured_at,
        published_at=datetime.now(UTC).isoformat(timespec="milliseconds").replace("+00:00", "Z"),
        source=job.source,
        source_position=capture.source_position,
        consistency=capture.consistency,
        late=lateness is not None and (captured - end).total_seconds() > lateness,
        schedule=table.schedule,
        dag_id=job.run.dag_id,
        run_id=job.run.run_id,
        branch=capture.branch,
        iceberg_snapshot_id=None,
        validate=mode,
        fingerprint=fingerprint,
        in_memory=in_memory,
        masked=table.masked,
        classification=table.classification,
        access=table.access,
    )


def result_table(published: list[PublishedTable]) -> str:
    """What was published, one line a table, for the task log."""
    header = ("table", "as of", "source rows", "stored rows", "MB", "files", "expired", "seconds", "")
    lines = [header]
    for one in published:
        record = one.record
        lines.append(
            (
                record.table,
                record.as_of,
                f"{record.source_rows:,}",
                f"{record.rows:,}",
                f"{record.bytes / 1e6:.2f}",
                str(record.files),
                str(len(one.expired)),
                f"{one.seconds:.1f}",
                _outcome(one),
            )
        )
    return aligned(lines, right=set(range(2, len(header) - 1)))


def _outcome(one: PublishedTable) -> str:
    if one.superseded:
        return f"left as {one.record.run_id} published it, from a later state"
    return f"{'adopted' if one.adopted else 'published'}{' again' if one.again else ''}"
