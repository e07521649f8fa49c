"""Runs in Airflow's scheduler: notes the pools' sizes when a run starts (see ``pools``)."""

from __future__ import annotations

import json
from typing import TYPE_CHECKING

from airflow.listeners import hookimpl

from logical_warehouse.plan import MONITOR_DAG, POOL_PREFIX, REPAIR_POOL
from logical_warehouse.pools import POOLS_VARIABLE

if TYPE_CHECKING:
    from airflow.models.dagrun import DagRun

SNAPSHOT_PREFIX = "snapshot_"


@hookimpl
def on_dag_run_running(dag_run: DagRun, msg: str) -> None:
    """Called in the scheduler before the run's first task can be scheduled."""
    if not (dag_run.dag_id.startswith(SNAPSHOT_PREFIX) or dag_run.dag_id == MONITOR_DAG):
        return
    from airflow.models.pool import Pool
    from airflow.models.variable import Variable
    from airflow.utils.session import create_session
    from sqlalchemy import or_, select

    # Not the thread's session: that is the scheduler's, and closing it here would end the scheduler.
    with create_session(scoped=False) as session:
        ours = or_(Pool.pool.startswith(POOL_PREFIX), Pool.pool == REPAIR_POOL)
        pools = session.execute(select(Pool.pool, Pool.slots).where(ours))
        sizes = {pool.pool: pool.slots for pool in pools}
        Variable.set(
            POOLS_VARIABLE,
            json.dumps(sizes, sort_keys=True),
            description="Pool sizes, noted by the scheduler",
            session=session,
        )
