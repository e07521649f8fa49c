"""Registers with Airflow what this project adds to it."""

from __future__ import annotations

from airflow.plugins_manager import AirflowPlugin
from logical_warehouse import scheduler_listener


class LogicalWarehousePlugin(AirflowPlugin):
    """The in-memory logical data warehouse."""

    name = "logical_warehouse"
    listeners = [scheduler_listener]  # noqa: RUF012  # Airflow reads a plain list
