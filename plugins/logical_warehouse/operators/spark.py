"""The spark-submit tasks. Each sends one frozen spec to one Spark application and reads its answer from the store."""

from __future__ import annotations

import dataclasses
import functools
import os
from collections.abc import Mapping
from datetime import UTC, datetime
from typing import TYPE_CHECKING, Any

from airflow.providers.apache.spark.operators.spark_submit import SparkSubmitOperator
from airflow.sdk import Asset
from airflow.sdk.exceptions import AirflowException, AirflowFailException, AirflowRescheduleException
from warehouse.coverage import MissingIntervals
from warehouse.failures import PermanentError
from warehouse.job_answer import JobAnswer
from warehouse.masks import secrets_environment
from warehouse.run_spec import EndedRun, RunSpec
from warehouse.snapshot_record import SnapshotRecord
from warehouse.snapshot_spec import SnapshotJob, SnapshotResult
from warehouse.source_spec import PASSWORD_VARIABLE
from warehouse.spark_conf import LOCAL_ENVIRONMENT
from warehouse.spec_json import from_json, spec_argument, to_json
from warehouse.train_spec import TrainJob
from warehouse.validate_spec import ValidateJob, ValidateResult

from logical_warehouse.applications import SPARK_JOBS, application_conf, package_library
from logical_warehouse.connections import mask_secrets, source_password, spark_master
from logical_warehouse.intervals import NotAnAsOf, utc_text
from logical_warehouse.jars import jar_files
from logical_warehouse.manifest.section import duration_text
from logical_warehouse.operators.answers import AnswerUnreadable, read_answer
from logical_warehouse.operators.failing import airflow_failures
from logical_warehouse.operators.runs import AirflowRuns
from logical_warehouse.plan import SnapshotPlan, TrainingPlan, asset_uri, store_spec
from logical_warehouse.promises import ended_runs, of_group, promises_in
from logical_warehouse.scratch import SCRATCH_ROOT, scratch_folder
from logical_warehouse.stored_tables import tries_in
from logical_warehouse.training_inputs import inputs_of, is_small, next_look

if TYPE_CHECKING:
    from airflow.providers.apache.spark.hooks.spark_submit import SparkSubmitHook
    from airflow.sdk import Context

    from logical_warehouse.intervals import Interval

SMALL_JOB_BYTES = 256 * 2**20
"""Below this estimate a job is too short for the JVM's optimising compiler to pay for itself."""


class SparkJobOperator(SparkSubmitOperator):
    """Base of the three: runs an application of this project and returns its answer.

    Everything that a submit needs is composed while the task runs, never in a templated field, so that no rendered
    field shows it; the password travels in the environment of the driver alone. So the driver has to be a process of
    this machine, whatever the cluster: client mode is said outright, since a site's Spark may default to another.

    The three have no ``__init__`` of their own: Airflow merges the DAG's defaults and checks its params anew for each
    class that has one, which is most of the time that a thousand DAGs take.
    """

    def __init__(self, *, plan: SnapshotPlan | TrainingPlan, **kwargs: Any) -> None:
        super().__init__(
            application=str(SPARK_JOBS / self.application_of(plan)),
            conn_id=plan.spark.connection,
            deploy_mode="client",
            **kwargs,
        )
        self.plan = plan
        self._driver_environment: dict[str, str] = {}

    @classmethod
    def application_of(cls, plan: Any) -> str:
        """File of the Spark application, beneath ``spark_jobs/`` unless absolute."""
        raise NotImplementedError

    def run_spec(self, context: Context) -> RunSpec:
        """The run and try of this task."""
        ti = context["ti"]
        return RunSpec(dag_id=ti.dag_id, run_id=ti.run_id, attempt=ti.try_number)

    def ended_runs(self, context: Context, job: SnapshotJob) -> tuple[EndedRun, ...]:
        """Runs of this DAG that the job may clean up after, as Airflow has them now."""
        promises = promises_in(self.plan.store)
        if promises is None:
            return ()
        others = [promise for promise in promises.all() if promise.run_id != job.run.run_id]
        tables = {table.name for table in job.tables}
        if not of_group(others, job.run.dag_id, tables):
            return ()
        tries = tries_in(self.plan.store, tables)  # before Airflow is asked which of the runs have ended
        return ended_runs(others, job.run.dag_id, tables, AirflowRuns(context["ti"]), tries)

    def submit(
        self,
        context: Context,
        job: SnapshotJob | ValidateJob | TrainJob,
        *,
        small: bool,
        conf: dict[str, str] | None = None,
        password: str | None = None,
        secrets: Mapping[str, str] | None = None,
    ) -> JobAnswer:
        """Run the application on ``job`` and return its answer, which holds a result.

        ``secrets``: keys of masks by the connection that has them.

        :raises AirflowFailException: the job answered that a retry cannot help.
        :raises AirflowException: it answered that a retry may help, or ended without an answer.
        """
        master = spark_master(self.plan.spark.connection)
        local = master.startswith("local")
        with scratch_folder(SCRATCH_ROOT) as scratch:
            self.name = f"{job.run.dag_id}.{self.task_id}"
            self.application_args = [spec_argument(scratch, to_json(job))]
            self._driver_environment = {PASSWORD_VARIABLE: password} if password is not None else {}
            self._driver_environment |= secrets_environment(secrets or {})
            if local:
                self._driver_environment |= LOCAL_ENVIRONMENT
            self.conf = application_conf(self.plan, scratch, small=small, local=local) | (conf or {})
            if jars := jar_files(self.plan.spark.jars):
                self.driver_class_path = f"{self.plan.spark.jars}/*"
                if not local:
                    self.jars = ",".join(jars)  # executors on other machines fetch them from the driver
            self.py_files = package_library(scratch)
            failed = False
            try:
                super().execute(context)
            except AirflowFailException:
                raise
            except AirflowException:
                failed = True  # the answer says it better: spark-submit knows its exit code only
        try:
            answer = read_answer(self.plan.store, job.result_path)
        except AnswerUnreadable as error:
            raise AirflowException(
                f"The Spark application of {self.task_id} ended without an answer in the store ({error}); "
                "its log above says why."
            ) from None
        if answer.failure is not None:
            kind = AirflowFailException if answer.failure.kind == "permanent" else AirflowException
            raise kind(answer.failure.message)
        if failed:
            # It died after its work was done, or the provider misses the exit code of a driver's pod, of which client
            # mode on Kubernetes has none.
            self.log.warning("spark-submit ended as failed although its application answered with a result")
        return answer

    def _get_hook(self) -> SparkSubmitHook:
        """The provider's hook, with the password in the environment of the process that it starts.

        Its own ``env_vars`` would do for local and standalone masters only: on YARN and Kubernetes they become
        ``--conf spark.yarn.appMasterEnv.…=`` and ``--conf spark.kubernetes.driverEnv.…=``, arguments that every user of
        the machine can read, in client mode too, where nothing needs them. Source: ``_build_spark_common_args``.
        """
        hook = super()._get_hook()
        environment = os.environ | self._driver_environment
        hook.submit = functools.partial(hook.submit, env=environment)  # type: ignore[method-assign]
        return hook


class SnapshotOperator(SparkJobOperator):
    """Writes the run branches of a group; returns the :class:`SnapshotResult` as JSON text."""

    plan: SnapshotPlan

    @classmethod
    def application_of(cls, plan: SnapshotPlan) -> str:
        return "snapshot_tables.py"

    @airflow_failures
    def execute(self, context: Context) -> str:  # type: ignore[override]  # the base returns nothing
        frozen = from_json(SnapshotJob, context["ti"].xcom_pull(task_ids="check"))
        run = self.run_spec(context)
        job = dataclasses.replace(
            frozen,
            run=run,
            result_path=frozen.store.run_path(run, self.task_id),
            ended=self.ended_runs(context, frozen),
        )
        password = source_password(self.plan.source)
        secrets: dict[str, str] = {}
        for table in job.tables:
            secrets |= mask_secrets(table.name, table.masked.values())
        answer = self.submit(context, job, small=_is_small(job), password=password, secrets=secrets)
        assert answer.snapshot is not None
        return to_json(answer.snapshot)


class ValidateOperator(SparkJobOperator):
    """Validates and publishes a group, then emits one asset event per table; returns the ``ValidateResult``."""

    plan: SnapshotPlan

    @classmethod
    def application_of(cls, plan: SnapshotPlan) -> str:
        return "validate_snapshots.py"

    @airflow_failures
    def execute(self, context: Context) -> str:  # type: ignore[override]  # the base returns nothing
        frozen = from_json(SnapshotJob, context["ti"].xcom_pull(task_ids="check"))
        captured = from_json(SnapshotResult, context["ti"].xcom_pull(task_ids="snapshot"))
        run = self.run_spec(context)
        job = ValidateJob(
            run=run,
            store=frozen.store,
            source=frozen.source.name,
            interval=frozen.interval,
            tables=frozen.tables,
            captures=captured.captures,
            result_path=frozen.store.run_path(run, self.task_id),
            reader_grace_seconds=int(self.plan.store.reader_grace.total_seconds()),
            time_zone=frozen.source.time_zone,
            ended=self.ended_runs(context, frozen),
        )
        answer = self.submit(context, job, small=_is_small(frozen))
        assert answer.validate is not None
        expired = {one.record.table: one.expired for one in answer.validate.published if one.expired}
        for table, (*again, own) in _by_table(answer.validate).items():
            event = context["outlet_events"][Asset(name=table, uri=asset_uri(self.plan.store, table))]
            event.add_partitions([record.as_of for record in (*again, own)])
            # All dates of an asset that one task emits share one extra.
            event.extra = dataclasses.asdict(own)
            if again:
                event.extra["again"] = [dataclasses.asdict(record) for record in again]
            if table in expired:
                # What is gone on purpose: the monitor must not take it for lost.
                event.extra["expired"] = list(expired[table])
        return to_json(answer.validate)


class TrainOperator(SparkJobOperator):
    """Trains as of the run's partition key; returns the ``TrainResult`` as JSON text.

    While intervals are missing it is rescheduled, which costs neither a try nor a start of Spark.
    """

    plan: TrainingPlan

    @classmethod
    def application_of(cls, plan: TrainingPlan) -> str:
        return plan.training.application

    @airflow_failures
    def execute(self, context: Context) -> str:  # type: ignore[override]  # the base returns nothing
        interval = self._interval(context)
        records = self._inputs(context, interval)
        as_of = interval.as_of
        run = self.run_spec(context)
        store = store_spec(self.plan.store)
        training = self.plan.training
        models = (training.model or f"{store.uri.rstrip('/')}/_models").rstrip("/")
        job = TrainJob(
            run=run,
            store=store,
            training=training.name,
            as_of=as_of,
            inputs=self.plan.inputs,
            arguments=dict(training.arguments),
            model_path=f"{models}/{training.name}/{as_of}",
            result_path=store.run_path(run, self.task_id),
            keep_inputs=training.keep_inputs,
            as_of_end=utc_text(interval.end),
        )
        conf = {key: str(value) for key, value in training.conf.items()}
        answer = self.submit(context, job, small=is_small(records), conf=conf)
        assert answer.train is not None
        return to_json(answer.train)

    def _inputs(self, context: Context, interval: Interval) -> tuple[SnapshotRecord, ...] | None:
        """As :func:`inputs_of`.

        :raises AirflowRescheduleException: an interval is missing, and may still come.
        :raises PermanentError: it has not come for as long as the manifest says.
        """
        training = self.plan.training
        try:
            return inputs_of(self.plan.store, self.plan.inputs, interval)
        except MissingIntervals as error:
            if not training.wait_for_inputs:
                return None  # the job says so, and the task's tries are all the waiting
            now = datetime.now(UTC)
            waited = now - (context["ti"].get_first_reschedule_date(context) or now)
            if waited >= training.wait_for_inputs:
                raise PermanentError(
                    f"The training {training.name} waited {duration_text(training.wait_for_inputs)} in vain: {error}, "
                    f"and then run `python -m logical_warehouse trainings run {training.name} {interval.as_of}`."
                ) from None
            pause = next_look(waited)
            self.log.info("%s; looked at again in %s", error, duration_text(pause))
            raise AirflowRescheduleException(now + pause) from None  # type: ignore[no-untyped-call]

    def _interval(self, context: Context) -> Interval:
        as_of = context["dag_run"].partition_key
        name = self.plan.training.name
        if as_of is None:
            raise PermanentError(
                f"The training {name} was triggered without a date: an as-of date comes as the run's partition key; "
                f"run it with `python -m logical_warehouse trainings run {name} <as-of date>`."
            )
        try:
            return self.plan.schedule.interval_of_label(as_of)
        except NotAnAsOf as error:
            raise PermanentError(f"The training {name} cannot run: {error}") from error


def _by_table(result: ValidateResult) -> dict[str, list[SnapshotRecord]]:
    """Records of each table: of the earlier intervals that the run published again, last that of its own."""
    records: dict[str, list[SnapshotRecord]] = {}
    for published in result.published:
        records.setdefault(published.record.table, []).append(published.record)
    return records


def _is_small(job: SnapshotJob) -> bool:
    return sum(table.estimated_bytes or SMALL_JOB_BYTES for table in job.tables) < SMALL_JOB_BYTES
