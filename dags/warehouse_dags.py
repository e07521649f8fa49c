"""The DAGs of all healthy tables and trainings in the manifest. (Airflow looks for the words "airflow" and "dag".)"""

from __future__ import annotations

from logical_warehouse.dag_builder import build_dags, manifest_path

globals().update(build_dags(manifest_path(__file__)))
