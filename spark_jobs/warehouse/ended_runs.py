"""Which tries of which runs are dead, and with them what they left: the part of cleaning up that knows of runs.

A capture that is complete is not dead with its run: the task `validate` may be cleared and publish it, and people look
at what did not validate. It stays until its date is published from a state as late, or retention is past it.
"""

from __future__ import annotations

import re
from collections.abc import Sequence
from functools import cache
from typing import TYPE_CHECKING

from py4j.protocol import Py4JJavaError

from warehouse.iceberg_api import load_table, properties_of, reference_names
from warehouse.job_answer import JobAnswer
from warehouse.leftovers import IsDead, remove_leftovers
from warehouse.records import RETAINED_FROM, records_of
from warehouse.run_spec import EndedRun, RunSpec
from warehouse.snapshot_spec import SnapshotJob
from warehouse.spec_json import SpecError, from_json
from warehouse.store_files import delete_file, delete_folder, read_text
from warehouse.validate_spec import ValidateJob

if TYPE_CHECKING:
    from pyspark.sql import SparkSession

    from warehouse.store_spec import StoreSpec

SNAPSHOT_TASK = "snapshot"
NEVER_OUTDATED = "9999"
TRY = re.compile(r"(?P<prefix>.+_try)(?P<attempt>\d+)(_of_.+)?")
"""Name of a run branch, of any run."""


def clean_before_writing(session: SparkSession, job: SnapshotJob, table: str) -> None:
    """Remove what earlier tries of this run, and ended ones, left in a table; nothing of runs that still go on.

    Airflow starts a try when it takes the one before for dead.
    """
    if job.ended or job.run.attempt > 1:
        own: IsDead = lambda name: (job.run.try_of(name) or job.run.attempt) < job.run.attempt  # noqa: E731
        ended = _ended_tries(session, job.store, job.run.dag_id, job.ended, table)
        remove_leftovers(session, job.store, table, lambda name: own(name) or ended(name))


def clean_after_publishing(session: SparkSession, job: ValidateJob, table: str) -> None:
    """Remove what is left of this run once a table of it is published, and what ended ones left there."""
    tries = [job.run.attempt, *(job.run.try_of(capture.branch) or 1 for capture in job.captures)]
    if job.ended or max(tries) > 1:
        ended = _ended_tries(session, job.store, job.run.dag_id, job.ended, table)
        remove_leftovers(session, job.store, table, lambda name: job.run.try_of(name) is not None or ended(name))


def forget_ended(session: SparkSession, job: SnapshotJob | ValidateJob) -> None:
    """Give up the promises and answers of the ended runs of which no table has anything any more."""
    names: set[str] = set()
    if job.ended:
        for table in job.tables:
            stored = load_table(session, job.store.identifier(table.name))
            names.update([] if stored is None else reference_names(stored))
    for one in job.ended:
        run = RunSpec(job.run.dag_id, one.run_id, 0)
        if not any(run.try_of(name) for name in names):
            delete_folder(session, job.store.run_folder(run))
            delete_file(session, job.store.promise_path(run))


def _ended_tries(session: SparkSession, store: StoreSpec, dag_id: str, ended: Sequence[EndedRun], table: str) -> IsDead:
    stored = load_table(session, store.identifier(table)) if ended else None
    records = {} if stored is None else records_of(stored)
    retained_from = "" if stored is None else properties_of(stored).get(RETAINED_FROM, "")
    of_prefix = {RunSpec(dag_id, one.run_id, 0).branch_prefix: one for one in ended}

    @cache
    def is_dead(name: str) -> bool:
        found = TRY.fullmatch(name)
        one = of_prefix.get(found["prefix"]) if found else None
        if found is None or one is None:
            return False
        captured_at = _captured_at(session, store, RunSpec(dag_id, one.run_id, int(found["attempt"])))
        record = records.get(one.as_of)
        return (
            captured_at is None
            or one.start < retained_from
            or (record is not None and record.captured_at >= captured_at)
        )

    return is_dead


def _captured_at(session: SparkSession, store: StoreSpec, run: RunSpec) -> str | None:
    """When a try had the source's state, by its answer; None where it did not come to its end."""
    try:
        text = read_text(session, store.run_path(run, SNAPSHOT_TASK))
        result = None if text is None else from_json(JobAnswer, text).snapshot
    except (Py4JJavaError, SpecError):  # its contents are lost, or of another version of this package
        return NEVER_OUTDATED
    return max((capture.captured_at for capture in result.captures), default="") if result is not None else None
