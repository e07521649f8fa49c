"""Which tries of which runs are dead, and with them what they left: the part of cleaning up that knows of runs."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from functools import cache
from typing import TYPE_CHECKING, Any

from py4j.protocol import Py4JJavaError

from warehouse.iceberg_api import load_table, properties_of, reference_names
from warehouse.leftovers import IsDead, remove_leftovers
from warehouse.promises import Promise, promises_folder
from warehouse.records import RETAINED_FROM, records_of
from warehouse.referred_files import ListsLost, readable_snapshots
from warehouse.run_spec import RUN_PREFIX, EndedRun, RunSpec
from warehouse.snapshot_spec import SnapshotJob
from warehouse.spec_json import SpecError, from_json
from warehouse.store_directory import held_below
from warehouse.store_files import delete_file, delete_folder, files_below, folders_in, read_text
from warehouse.store_spec import answer_name
from warehouse.unpublished import NEVER_OUTDATED, SNAPSHOT_TASK, TRY, Unpublished, captured_at
from warehouse.validate_spec import ValidateJob

if TYPE_CHECKING:
    from pyspark.sql import SparkSession

    from warehouse.store_spec import StoreSpec


def clean_before_writing(session: SparkSession, job: SnapshotJob, table: str) -> None:
    """Remove what earlier tries of this run, and ended ones, left in a table; nothing of runs that still go on.

    Airflow starts a try when it takes the one before for dead.
    """
    if job.ended or job.run.attempt > 1:
        own: IsDead = lambda name: (job.run.try_of(name) or job.run.attempt) < job.run.attempt  # noqa: E731
        ended = _ended_tries(session, job.store, job.run.dag_id, job.ended, table)
        _remove(session, job.store, table, lambda name: own(name) or ended(name))


def clean_after_publishing(session: SparkSession, job: ValidateJob, table: str) -> None:
    """Remove what is left of this run once a table of it is published, and what ended ones left there."""
    tries = [job.run.attempt, *(job.run.try_of(capture.branch) or 1 for capture in job.captures)]
    if job.ended or max(tries) > 1:
        ended = _ended_tries(session, job.store, job.run.dag_id, job.ended, table)
        _remove(session, job.store, table, lambda name: job.run.try_of(name) is not None or ended(name))


def _remove(session: SparkSession, store: StoreSpec, table: str, is_dead: IsDead) -> None:
    """Not where the store has lost what says which files are needed: that keeps no run from its date."""
    try:
        remove_leftovers(session, store, table, is_dead)
    except ListsLost as error:
        print(error, flush=True)


def forget_ended(session: SparkSession, job: SnapshotJob | ValidateJob) -> None:
    """Give up the promises and answers of the ended runs of which no table has anything any more.

    While the store has lost what says which files are needed nothing is removed, and they stay for a later run.
    """
    names: set[str] = set()
    if job.ended:
        for table in job.tables:
            stored = load_table(session, job.store.identifier(table.name))
            if stored is not None:
                names.update(reference_names(stored))
                try:
                    readable_snapshots(session, job.store, table.name, stored)
                except ListsLost:
                    return
    for one in job.ended:
        run = RunSpec(job.run.dag_id, one.run_id, 0)
        if _is_cleared(session, job.store.promise_path(run), one.promised_at):
            continue
        if not any(run.try_of(name) for name in names):
            delete_folder(session, job.store.run_folder(run))
            delete_file(session, job.store.promise_path(run))


def _is_cleared(session: SparkSession, promise: str, promised_at: str) -> bool:
    """Whether the run has made a new promise, or is at it."""
    try:
        text = read_text(session, promise)
        return text is not None and from_json(Promise, text).made_at != promised_at
    except (Py4JJavaError, SpecError):  # being written, or of another version of this package
        return True


def _ended_tries(session: SparkSession, store: StoreSpec, dag_id: str, ended: Sequence[EndedRun], table: str) -> IsDead:
    stored = load_table(session, store.identifier(table)) if ended else None
    of_prefix = {RunSpec(dag_id, one.run_id, 0).branch_prefix: one for one in ended}

    @cache
    def is_dead(name: str) -> bool:
        found = TRY.fullmatch(name)
        one = of_prefix.get(found["prefix"]) if found else None
        if found is None or one is None or name not in one.tries:
            return False
        answer = store.run_path(RunSpec(dag_id, one.run_id, int(found["attempt"])), SNAPSHOT_TASK)
        return not _is_wanted(stored, Unpublished(_captured_at(session, answer), one.as_of, one.start))

    return is_dead


def unpublished_captures(session: SparkSession, store: StoreSpec) -> Callable[[Any, str], bool]:
    """Of a loaded table and the name of a run branch of it, of whatever run: whether it is a complete capture that may
    still be published.

    One whose run holds no promise (any more) is, whatever its date.
    """
    runs = f"{store.uri.rstrip('/')}/_runs"
    answers = {
        f"{RUN_PREFIX}{key}_try": f"{runs}/{dag_id}/{key}"
        for dag_id in folders_in(session, runs)
        for key in folders_in(session, f"{runs}/{dag_id}")
    }
    promised = {promise.run.branch_prefix: promise for promise in _promises(session, store)}

    def is_capture(table: Any, name: str) -> bool:
        found = TRY.fullmatch(name)
        folder = answers.get(found["prefix"]) if found else None
        if found is None or folder is None:
            return False
        at = _captured_at(session, f"{folder}/{answer_name(SNAPSHOT_TASK, int(found['attempt']))}")
        promise = promised.get(found["prefix"])
        as_of, start = (promise.as_of, promise.start) if promise is not None else ("", "")
        return _is_wanted(table, Unpublished(at, as_of, start))

    return is_capture


def _promises(session: SparkSession, store: StoreSpec) -> list[Promise]:
    """All that can be read."""
    folder, found = promises_folder(store.uri), []
    held = held_below(session, store, folder)
    for path, file in files_below(session, folder).items():
        if held.get(path, True):
            try:
                found.append(from_json(Promise, read_text(session, file.uri) or ""))
            except (Py4JJavaError, SpecError):  # being written, or of another version of this package
                continue
    return found


def _is_wanted(table: Any | None, left: Unpublished) -> bool:
    """:param table: loaded, None where there is none: nothing of it is published."""
    if table is None:
        return left.is_wanted(None, "")
    return left.is_wanted(records_of(table).get(left.as_of), properties_of(table).get(RETAINED_FROM, ""))


def _captured_at(session: SparkSession, answer: str) -> str | None:
    try:
        text = read_text(session, answer)
    except Py4JJavaError:  # its contents are lost
        return NEVER_OUTDATED
    return captured_at(text)
