"""The frame in which every entry point runs: spec in, answer out, one sentence for a failure."""

from __future__ import annotations

import sys
import traceback
from collections.abc import Callable
from pathlib import Path
from typing import TypeVar

from py4j.protocol import Py4JJavaError
from pyspark.errors import PySparkException
from pyspark.sql import SparkSession

from warehouse.clean_spec import CleanJob
from warehouse.command_spec import IMPOSSIBLE
from warehouse.expire_spec import ExpireJob
from warehouse.failures import JobError
from warehouse.forget_spec import ForgetJob
from warehouse.job_answer import JobAnswer, JobFailure, Result
from warehouse.memory_only import ensure_memory_only, ensure_of_later_executors
from warehouse.session import job_session
from warehouse.snapshot_spec import SnapshotJob, SnapshotResult
from warehouse.spec_json import SpecError, from_json, spec_text, to_json
from warehouse.store_files import write_text
from warehouse.train_spec import TrainJob, TrainResult
from warehouse.validate_spec import ValidateJob, ValidateResult
from warehouse.vendor_errors import causes_of, name_of, store_failure

Job = TypeVar("Job", SnapshotJob, ValidateJob, TrainJob)
CommandJob = TypeVar("CommandJob", CleanJob, ExpireJob, ForgetJob)


def run_job(job_type: type[Job], arguments: list[str], run: Callable[[SparkSession, Job], Result]) -> int:
    """Run an entry point on the spec of ``arguments[1]`` and write its :class:`JobAnswer` to ``result_path``.

    :param arguments: of the process; how one gives a spec, :func:`spec_text` says.

    :returns: the process's exit code, 1 after a failure. An expected failure prints its sentence and no trace.
    """
    try:
        job = from_json(job_type, spec_text(arguments[1] if len(arguments) > 1 else ""))
    except SpecError as error:
        print(f"FAILED (permanent): {error}", file=sys.stderr, flush=True)
        return 1
    with job_session(f"{job_type.__name__} {job.run.run_id}") as session:
        try:
            probed = ensure_memory_only(session, job.store)
            result = run(session, job)
            ensure_of_later_executors(session, job.store, probed)
            answer = answer_with(result)
        except Exception as error:  # noqa: BLE001 - whatever it is, the operator must learn of it
            answer = JobAnswer(failure=failure_of(error, job.store.uri))
        try:
            write_text(session, job.result_path, to_json(answer))
        except (Py4JJavaError, PySparkException) as error:
            failure = store_failure(causes_of(error), job.store.uri, None)
            print(f"the answer could not be written to {job.result_path}: {failure or type(error).__name__}")
            answer = JobAnswer(failure=answer.failure or failure_of(error, job.store.uri))
    if answer.failure is None:
        return 0
    print(f"FAILED ({answer.failure.kind}): {answer.failure.message}", file=sys.stderr, flush=True)
    return 1


def run_command(
    job_type: type[CommandJob], arguments: list[str], run: Callable[[SparkSession, CommandJob], object]
) -> int:
    """Run the entry point of a command on the spec in ``arguments[1]``: its answer is for the terminal, not the store.

    The result is written to ``result_path``, a file on this machine; why there is none is printed.

    :returns: the process's exit code, ``IMPOSSIBLE`` after an expected failure; any other passes with its trace.
    """
    job = from_json(job_type, spec_text(arguments[1]))
    with job_session(job_type.__name__) as session:
        try:
            result = run(session, job)
        except JobError as error:
            print(error, flush=True)
            return IMPOSSIBLE
        Path(job.result_path).write_text(to_json(result), encoding="utf-8")
    return 0


def answer_with(result: Result) -> JobAnswer:
    """The answer that holds ``result``."""
    match result:
        case SnapshotResult():
            return JobAnswer(snapshot=result)
        case ValidateResult():
            return JobAnswer(validate=result)
        case TrainResult():
            return JobAnswer(train=result)


def failure_of(error: Exception, store_uri: str) -> JobFailure:
    """What the operator learns of ``error``; the trace of an unexpected one goes to standard error only."""
    if not isinstance(error, JobError):
        mapped = store_failure(causes_of(error), store_uri, None)
        if mapped is None:
            traceback.print_exception(error)
            return JobFailure("retryable", f"the job failed unexpectedly ({name_of(error)}); its log has the trace")
        error = mapped
    return JobFailure(error.kind, " ".join(str(error).split()))
