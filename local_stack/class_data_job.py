"""A Spark application that loads the classes which this project's jobs need; run once, to archive them.

Arguments: the Spark identifier of a table to write, and a JDBC URL where nobody listens (its driver is what matters).
"""

from __future__ import annotations

import contextlib
import sys
from typing import Any

from py4j.protocol import Py4JError
from pyspark.errors import PySparkException
from pyspark.ml import Pipeline
from pyspark.ml.classification import LogisticRegression
from pyspark.ml.evaluation import BinaryClassificationEvaluator
from pyspark.ml.feature import OneHotEncoder, StringIndexer, VectorAssembler
from pyspark.sql import SparkSession


def main(table: str, url: str) -> None:
    """Write, read and train on a few rows."""
    spark = SparkSession.builder.getOrCreate()
    with contextlib.suppress(PySparkException, Py4JError):
        spark.read.jdbc(url, "anything")
    jvm = spark.sparkContext._jvm
    assert jvm is not None
    with contextlib.suppress(Py4JError):
        jvm.java.lang.Class.forName("alluxio.hadoop.FileSystem").newInstance()
    rows = spark.range(200).selectExpr(
        "id",
        "cast(id % 2 as double) AS label",
        "concat('c', id % 5) AS category",
        "timestamp_seconds(id) AS at",
        "cast(id as decimal(20, 2)) AS amount",
    )
    rows.writeTo(table).partitionedBy("category").create()
    rows.writeTo(table).overwritePartitions()
    spark.sql(f"ALTER TABLE {table} CREATE BRANCH b")
    stored = spark.table(table)
    stored.groupBy("category").agg({"amount": "sum", "at": "max", "*": "count"}).collect()
    stored.selectExpr("bit_xor(xxhash64(id, at, amount))", "count(*)").collect()
    stored.join(spark.table(table).select("id"), "id").orderBy("at").limit(5).collect()
    stages: list[Any] = [
        StringIndexer(inputCol="category", outputCol="index"),
        OneHotEncoder(inputCol="index", outputCol="hot"),
        VectorAssembler(inputCols=["hot"], outputCol="features"),
        LogisticRegression(maxIter=2),
    ]
    model = Pipeline(stages=stages).fit(stored)
    BinaryClassificationEvaluator().evaluate(model.transform(stored))
    spark.stop()


if __name__ == "__main__":
    main(*sys.argv[1:])
