"""Shows what is wrong with the manifest as an import error in Airflow, beside the healthy DAGs of the other file."""

from __future__ import annotations

from logical_warehouse.dag_builder import manifest_path, raise_problems

raise_problems(manifest_path(__file__))
