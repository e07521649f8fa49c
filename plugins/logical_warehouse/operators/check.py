"""``check``: everything that can doom a run, found in seconds and before Spark starts."""

from __future__ import annotations

from functools import partial
from typing import TYPE_CHECKING, Any

import pendulum
from airflow.sdk import BaseOperator, Variable
from warehouse.expire_spec import EndedByHand
from warehouse.failures import PermanentError, RetryableError
from warehouse.masks import MaskKey
from warehouse.promises import needed, promise_of
from warehouse.run_spec import IntervalSpec, RunSpec
from warehouse.snapshot_spec import SnapshotJob
from warehouse.source_spec import SourceSpec
from warehouse.spec_json import to_json
from warehouse.table_origin import ensure_same_table, origin_of
from warehouse.table_spec import ChecksSpec, RetentionSpec, SplitSpec, TableSpec

from logical_warehouse.as_of import intervals_before, resolve_interval
from logical_warehouse.capacity import MIB, estimate
from logical_warehouse.connections import jdbc_address, mask_secrets, spark_master
from logical_warehouse.history import ensure_capturable, ensure_in_range, ensure_source_knows
from logical_warehouse.intervals import utc_text
from logical_warehouse.memory_settings import ensure_settings_in_memory
from logical_warehouse.operators.failing import airflow_failures
from logical_warehouse.operators.runs import AirflowRuns
from logical_warehouse.plan import SnapshotPlan, history_spec, store_spec
from logical_warehouse.pools import POOLS_VARIABLE, ensure_pool
from logical_warehouse.promises import LIVE, promises_in
from logical_warehouse.reserving import Reserving
from logical_warehouse.source_probe import SourceProbe
from logical_warehouse.store_files import store_files, tables_path
from logical_warehouse.store_health import StoreHealth, ask_alluxio
from logical_warehouse.stored_tables import StoredTable, read_stored_table, unknown_tables

if TYPE_CHECKING:
    from airflow.sdk import Context

    from logical_warehouse.intervals import Interval
    from logical_warehouse.manifest import Table


class CheckOperator(BaseOperator):
    """Resolves the as-of date, refuses what cannot succeed, and freezes the job spec for all later tasks.

    Returns the :class:`SnapshotJob` as JSON text, without the try of the task that will run it: a manifest edited
    during the run changes nothing in it.
    """

    def __init__(self, *, plan: SnapshotPlan, **kwargs: Any) -> None:
        super().__init__(**kwargs)
        self.plan = plan

    @airflow_failures
    def execute(self, context: Context) -> str:
        interval = self._interval(context)
        self.log.info(
            "%s as of %s: the interval from %s to %s", self.plan.group, interval.as_of, interval.start, interval.end
        )
        ensure_in_range(self.plan.group, interval, self.plan.start, self.plan.end)
        capture_late = context["params"].get("capture_late") is True
        for table in self.plan.tables:
            ensure_capturable(table.name, table.history, interval, pendulum.now("UTC"), capture_late=capture_late)
        spark_master(self.plan.spark.connection)
        ensure_pool(Variable.get(POOLS_VARIABLE, default=None), self.plan.pool, self.plan.pool_slots)
        self._ask_store()
        address = jdbc_address(self.plan.source)
        with SourceProbe(self.plan.source, address, self.plan.spark.jars) as probe:
            for table in self.plan.tables:
                begins = probe.history_begins(table) if table.history.mode == "time_travel" else None
                if begins is not None:
                    ensure_source_knows(table.name, interval, pendulum.instance(begins))
            tables = tuple(self._freeze(table, probe, interval_spec(interval)) for table in self.plan.tables)
            source = SourceSpec(
                name=self.plan.source.name,
                dialect=probe.dialect.name,
                url=address.url,
                user=address.user,
                driver=probe.driver,
                time_zone=self.plan.source.time_zone,
                fetch_size=self.plan.source.fetch_size,
                consistency=self.plan.source.consistency,
                reader=self.plan.source.reader,
            )
        self._warn_of_unknown_tables()
        ti = context["ti"]
        job = SnapshotJob(
            run=RunSpec(dag_id=ti.dag_id, run_id=ti.run_id, attempt=ti.try_number),
            store=store_spec(self.plan.store),
            source=source,
            interval=interval_spec(interval),
            tables=tables,
            result_path="",
            capture_late=capture_late,
        )
        self._reserve(job, AirflowRuns(ti))
        return to_json(job)

    def _interval(self, context: Context) -> Interval:
        run = context["dag_run"]
        data_interval = None
        if run.data_interval_start is not None and run.data_interval_end is not None:
            data_interval = (pendulum.instance(run.data_interval_start), pendulum.instance(run.data_interval_end))
        return resolve_interval(
            self.plan.schedule,
            as_of_param=context["params"].get("as_of"),
            data_interval=data_interval,
            run_after=pendulum.instance(run.run_after),
        )

    def _ask_store(self) -> None:
        store = self.plan.store
        if store.memory_only:
            ensure_settings_in_memory(store.uri, {name: str(value) for name, value in self.plan.spark.conf.items()})
        if store.web is not None:
            health = self._health(store.web)
            self.log.info(
                "Alluxio: %d worker(s), %.1f of %.1f MiB free", health.workers, health.free / MIB, health.capacity / MIB
            )

    def _health(self, web: str) -> StoreHealth:
        """The store as it is now. Never kept: other runs write between the first look and the last."""
        store = self.plan.store
        return ask_alluxio(store.uri, web, memory_only=store.memory_only, replication=store.replication)

    def _stored(self, table: str) -> StoredTable | None:
        """What the store has of a table; None where it cannot be asked: that dooms no run."""
        try:
            found = read_stored_table(store_files(self.plan.store), tables_path(self.plan.store), table)
            return StoredTable(table, None, (), EndedByHand(())) if found is None else found
        except (PermanentError, RetryableError) as error:
            self.log.warning("%s: it is not compared with what is published: %s", table, error)
            return None

    def _freeze(self, table: Table, probe: SourceProbe, interval: IntervalSpec) -> TableSpec:
        if table.validation == "rows" and not probe.dialect.hashes_rows:
            raise PermanentError(
                f"table {table.name}: its source's engine cannot hash rows; set validate to columns or count"
            )
        found = probe.columns(table)
        secrets = mask_secrets(table.name, [column.mask for column in found if column.mask is not None])
        rows, size = probe.estimate(table, found, interval)
        stored = self._stored(table.name)
        expected = estimate(rows, size, stored.records if stored is not None else ())
        self.log.info(
            "%s: %d columns, about %d rows, %.1f MiB in the store by %s",
            table.name, len(found), expected.rows, expected.bytes / MIB, expected.basis,
        )  # fmt: skip
        spec = TableSpec(
            name=table.name,
            source_schema=table.source_schema,
            source_table=table.source_table,
            columns=found,
            history=history_spec(table.history),
            split=SplitSpec(parts=table.split.parts, column=table.split.column),
            checks=ChecksSpec(
                rows=dict(table.checks.rows), min_rows=table.checks.min_rows, max_change=table.checks.max_change
            ),
            retention=RetentionSpec(keep=table.retention.keep, days=table.retention.days),
            schedule=self.plan.schedule.cron,
            start=utc_text(self.plan.schedule.first_from(self.plan.start).start),
            filter=table.filter,
            estimated_rows=rows,
            estimated_bytes=size,
            store_bytes=expected.bytes,
            earlier=self._earlier(table, interval, stored),
            validate=table.validation,
            schema_policy=table.schema_policy,
            key_checks={connection: MaskKey(connection, secret).check for connection, secret in secrets.items()},
            access=None if table.access is None else table.access.spec,
        )
        if stored is not None and stored.properties:
            # The job asks again: another run may publish first.
            origin = origin_of(spec, self.plan.source.name, self.plan.source.time_zone)
            ensure_same_table(table.name, stored.properties, origin, stored.records, interval)
        return spec

    def _earlier(self, table: Table, interval: IntervalSpec, stored: StoredTable | None) -> tuple[IntervalSpec, ...]:
        """Intervals to capture again: memory is asked for each, and what was never captured is not captured by that."""
        start, lookback = self.plan.start, table.history.lookback
        before = map(interval_spec, intervals_before(self.plan.schedule, interval.as_of, lookback, start))
        if stored is None:
            return tuple(before)
        return tuple(one for one in before if stored.record_of(one.as_of) and one.start >= stored.retained_from)

    def _warn_of_unknown_tables(self) -> None:
        """Tell of what the manifest no longer has. It dooms no run, and neither does a store that cannot be listed."""
        if self.plan.store.web is None:
            return
        known = dict(self.plan.known_tables)
        mine = [table.name for table in self.plan.tables]
        try:
            for sentence in unknown_tables(store_files(self.plan.store), self.plan.store, known, mine):
                self.log.warning("%s", sentence)
        except (PermanentError, RetryableError) as error:
            self.log.warning("the tables of the store are not compared with the manifest: %s", error)

    def _reserve(self, job: SnapshotJob, runs: AirflowRuns) -> None:
        """Promise the run its memory, if it is there; of a store that cannot be asked, note that the run may write."""
        promises = promises_in(self.plan.store)
        if promises is None:
            return
        own, store = promise_of(job), self.plan.store
        if store.web is None:
            promises.make(own)
            return
        reserving = Reserving(
            store=store,
            files=store_files(store),
            promises=promises,
            is_live=lambda promise: runs.exist(promise.dag_id, [promise.run_id], LIVE),
            ask_health=partial(self._health, store.web),
        )
        room = reserving.reserve(self.plan.group, own, max(job.tables, key=needed).name)
        self.log.info(
            "%.1f MiB of the store are promised to this run; of %.1f MiB that are free, %.1f MiB once it has removed "
            "what nobody needs any more, %.1f MiB are promised to others",
            own.bytes / MIB, room.free / MIB, room.available / MIB, room.promised / MIB,
        )  # fmt: skip


def interval_spec(interval: Interval) -> IntervalSpec:
    """An interval as the Spark jobs know it."""
    return IntervalSpec(as_of=interval.as_of, start=utc_text(interval.start), end=utc_text(interval.end))
