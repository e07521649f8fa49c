"""The operators of the generated DAGs: ``check`` without Spark, the others as spark-submits."""
