"""The snapshot task as Airflow's worker runs it, without Airflow's database: connections come from the test."""

from __future__ import annotations

from types import SimpleNamespace

from logical_warehouse.manifest import Source, Spark, Store
from logical_warehouse.operators.spark import SnapshotOperator
from warehouse.snapshot_spec import SnapshotJob
from warehouse.spec_json import to_json


def run_snapshot(job: SnapshotJob, spark: Spark, store: Store) -> tuple[SnapshotOperator, str]:
    """Run the task on a job that ``check`` has frozen; the source's connection is ``bank``."""
    plan = SimpleNamespace(source=Source(name="bank", connection="bank"), spark=spark, store=store)
    operator = SnapshotOperator(task_id="snapshot", plan=plan)  # type: ignore[arg-type]  # what it needs of one
    ti = SimpleNamespace(
        dag_id=job.run.dag_id,
        run_id=job.run.run_id,
        try_number=1,
        xcom_pull=lambda task_ids: to_json(job),
        get_dr_count=lambda **_: 1,  # every run of which the store knows goes on: nothing is cleaned up after any
    )
    return operator, operator.execute({"ti": ti})
