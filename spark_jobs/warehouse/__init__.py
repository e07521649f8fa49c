"""The Spark side of the logical data warehouse: everything that the entry points in ``spark_jobs/`` share.

The contract between Airflow and Spark is in the modules ``*_spec``, ``job_answer`` and ``snapshot_record``: Airflow's
``check`` task freezes a spec once per run; each Spark application receives its spec as one JSON argument and writes one
JSON answer to ``result_path`` in the store. Nothing in it may hold a password or a value of the data: specs and answers
are kept in XCom and in logs.

They, the modules ``*_failures``, ``spark_conf`` and ``dialects`` import neither Spark nor Airflow and are used by both
sides.
"""
