"""The Spark side of the logical data warehouse: everything that the entry points in ``spark_jobs/`` share.

``job_spec`` and ``spark_conf`` and ``dialects`` import neither Spark nor Airflow and are used by both sides.
"""
