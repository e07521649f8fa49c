"""The validate job: read every run branch back, compare and check all of them, and only then publish the first."""

from __future__ import annotations

import time
from dataclasses import dataclass
from datetime import UTC, datetime
from typing import TYPE_CHECKING

from warehouse.expiry import expire
from warehouse.failures import BranchGone, ChangedTooMuch, CheckFailed, RowCountMismatch, TooFewRows
from warehouse.iceberg_api import branch_head, load_existing_table
from warehouse.job_spec import (
    ChecksSpec,
    PublishedTable,
    SnapshotRecord,
    TableCapture,
    TableSpec,
    ValidateJob,
    ValidateResult,
)
from warehouse.publish import adoptable, data_files, publish, publish_again, verify_branch
from warehouse.records import records_of
from warehouse.stored_rows import StoredRows, branch_frame, check_conditions, read_back
from warehouse.vendor_errors import store_errors

if TYPE_CHECKING:
    from pyspark.sql import SparkSession


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
        for capture in job.captures
    ]
    validated: list[tuple[ValidateJob, TableSpec, Validated | PublishedTable]] = []
    for of, table, capture in captures:
        with store_errors(job.store.uri, table.name):
            one = _validate(session, of, table, capture)
        if one is not None:
            validated.append((of, table, one))
    published = []
    for of, table, one in validated:
        with store_errors(job.store.uri, table.name):
            outcome = _publish_again(session, of, one) if of.run.again else _publish(session, of, table, one)
        if outcome is not None:
            published.append(outcome)
    for line in unchanged_lines(job, published):
        print(line, flush=True)
    print(result_table(published), flush=True)
    return ValidateResult(tuple(published), round(time.monotonic() - started, 3))


def _validate(
    session: SparkSession, job: ValidateJob, table: TableSpec, capture: TableCapture
) -> Validated | PublishedTable | None:
    """What to publish, or what an earlier try did; None for a date captured again in which that try found no change."""
    started = time.monotonic()
    as_of = job.interval.as_of
    stored = load_existing_table(session, job.store, table.name)
    head = branch_head(stored, capture.branch)
    if head is None:
        earlier = adoptable(stored, _record(job, table, capture))
        if earlier is None:
            if job.run.again:
                return None
            raise BranchGone(table.name, capture.branch)
        seconds = round(time.monotonic() - started, 3)
        return PublishedTable(earlier, adopted=True, expired=(), seconds=seconds, again=bool(job.run.again))
    frame = branch_frame(session, job.store, table, head, as_of)
    check_conditions(frame, table)
    rows = read_back(frame, table)
    previous = _previous(records_of(stored), job.interval.start)
    verify_rows(table, as_of, capture.source_rows, rows, previous)
    # After the count: that one says what is wrong with the rows.
    verify_branch(stored, table.name, capture.branch, capture.iceberg_snapshot_id)
    files = list(data_files(session, stored, head, as_of if table.history.mode == "interval" else None))
    record = _record(
        job,
        table,
        capture,
        rows=rows.rows,
        digest=rows.digest,
        stored_bytes=sum(int(file.fileSizeInBytes()) for file in files),
        files=len(files),
    )
    return Validated(table, record, head, round(time.monotonic() - started, 3))


def verify_rows(
    table: TableSpec, as_of: str, source_rows: int, stored: StoredRows, previous: SnapshotRecord | None
) -> None:
    """Compare what is stored with the source and with the table's checks.

    ``max_change`` is not asked where there is no earlier snapshot or it was empty.

    :raises JobError: the first thing that does not hold.
    """
    checks: ChecksSpec = table.checks
    if stored.rows != source_rows:
        raise RowCountMismatch(table.name, as_of, source_rows, stored.rows)
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
        record, adopted, before = validated.record, True, validated.seconds
    else:
        outcome = publish(session, job.store, validated.record, validated.branch_snapshot, job.reader_grace_seconds)
        record, adopted, before = outcome.record, outcome.adopted, validated.seconds
    expired = expire(
        session,
        job.store,
        table.name,
        history=table.history.mode,
        retention=table.retention,
        just_published=job.interval.as_of,
        grace_seconds=job.reader_grace_seconds,
    )
    return PublishedTable(record, adopted, expired, round(before + time.monotonic() - started, 3))


def _publish_again(
    session: SparkSession, job: ValidateJob, validated: Validated | PublishedTable
) -> PublishedTable | None:
    started = time.monotonic()
    if isinstance(validated, PublishedTable):
        return validated
    outcome = publish_again(session, job.store, validated.record, validated.branch_snapshot, job.reader_grace_seconds)
    if outcome is None:
        return None
    seconds = round(validated.seconds + time.monotonic() - started, 3)
    return PublishedTable(outcome.record, outcome.adopted, (), seconds, again=True)


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
    stored_bytes: int = 0,
    files: int = 0,
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
                f"{'adopted' if one.adopted else 'published'}{' again' if one.again else ''}",
            )
        )
    widths = [max(len(line[index]) for line in lines) for index in range(len(header))]
    left_aligned = {0, 1, len(header) - 1}
    return "\n".join(
        "  ".join(
            cell.ljust(width) if index in left_aligned else cell.rjust(width)
            for index, (cell, width) in enumerate(zip(line, widths, strict=True))
        ).rstrip()
        for line in lines
    )
