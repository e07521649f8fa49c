"""What a task asks Airflow about runs."""

from __future__ import annotations

from dataclasses import dataclass
from typing import Any


@dataclass(frozen=True)
class AirflowRuns:
    """Runs as a task sees them, through its own instance: it has no access to Airflow's database."""

    ti: Any

    def exist(self, dag_id: str, run_ids: list[str], states: list[str] | None = None) -> bool:
        """As :class:`logical_warehouse.losses.Runs`."""
        return bool(self.ti.get_dr_count(dag_id=dag_id, run_ids=run_ids, states=states))

    def running(self, dag_id: str) -> int:
        """How many runs of the DAG are."""
        return int(self.ti.get_dr_count(dag_id=dag_id, states=["running"]))

    def paused(self, dag_id: str) -> bool:
        """As :class:`logical_warehouse.losses.Runs`."""
        return bool(self.ti.get_dag(dag_id).is_paused)
