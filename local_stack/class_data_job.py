"""A Spark application that loads the classes which this project's jobs need; run once, to archive them.

Arguments: the Spark identifier of a table to write, and the folder of the jars. It needs no running service: the
classes that a connection to the source or to Alluxio needs are loaded by name.
"""

from __future__ import annotations

import contextlib
import sys
from pathlib import Path
from typing import Any
from zipfile import ZipFile

from py4j.protocol import Py4JError
from pyspark.errors import PySparkException
from pyspark.ml import Pipeline
from pyspark.ml.classification import LogisticRegression
from pyspark.ml.evaluation import BinaryClassificationEvaluator
from pyspark.ml.feature import OneHotEncoder, StringIndexer, VectorAssembler
from pyspark.sql import DataFrame, SparkSession
from pyspark.sql import functions as sf

_SHADED = "alluxio/shaded/client"
PACKAGES = {
    "postgresql-*.jar": tuple(f"org/postgresql/{name}/" for name in ("core", "jdbc", "util")),
    "alluxio-shaded-client-*.jar": (
        *(
            f"alluxio/{name}/"
            for name in ("client", "conf", "exception", "grpc", "hadoop", "metrics", "resource", "retry")
        ),
        *(f"alluxio/{name}/" for name in ("security", "util", "wire")),
        *(f"{_SHADED}/io/grpc/{name}/" for name in ("internal", "netty", "protobuf", "stub")),
        *(f"{_SHADED}/io/netty/{name}/" for name in ("bootstrap", "buffer", "channel", "util")),
        f"{_SHADED}/com/google/protobuf/",
    ),
}
"""Jar → packages of which a job that has a connection uses most classes."""


def main(table: str, jars: str) -> None:
    """Connect in vain, load by name, and write, read and train on a few rows."""
    spark = SparkSession.builder.getOrCreate()
    with contextlib.suppress(PySparkException, Py4JError):
        spark.read.jdbc("jdbc:postgresql://127.0.0.1:1/none", "nobody listens there")
    for jar, packages in PACKAGES.items():
        for file in Path(jars).glob(jar):
            _load(spark, file, packages)
    rows = spark.range(200).selectExpr(
        "id",
        "cast(id % 2 as double) AS label",
        "concat('c', id % 5) AS category",
        "timestamp_seconds(id) AS at",
        "date_from_unix_date(id) AS day",
        "cast(id as decimal(20, 2)) AS amount",
    )
    _write_and_read(spark, rows, table)
    _train(spark.table(table))
    spark.stop()


def _load(spark: SparkSession, jar: Path, packages: tuple[str, ...]) -> None:
    jvm: Any = spark._jvm
    loader = jvm.java.lang.Thread.currentThread().getContextClassLoader()
    for entry in ZipFile(jar).namelist():
        if entry.startswith(packages) and entry.endswith(".class"):
            # Some need a library that is not there.
            with contextlib.suppress(Py4JError):
                loader.loadClass(entry.removesuffix(".class").replace("/", "."))


def _write_and_read(spark: SparkSession, rows: DataFrame, table: str) -> None:
    rows.writeTo(table).partitionedBy("category").create()
    rows.writeTo(table).overwritePartitions()
    rows.writeTo(f"{table}_whole").create()
    spark.sql(f"ALTER TABLE {table}_whole CREATE BRANCH b")
    rows.writeTo(f"{table}_whole.branch_b").overwrite(sf.lit(True))
    spark.read.option("versionAsOf", "b").table(f"{table}_whole").collect()
    stored = spark.table(table)
    stored.groupBy("category").agg({"amount": "sum", "at": "max", "*": "count"}).collect()
    stored.selectExpr("bit_xor(xxhash64(id, at, amount))", "count(*)").collect()
    stored.join(spark.table(table).select("id"), "id").orderBy("at").limit(5).collect()


def _train(stored: DataFrame) -> None:
    stages: list[Any] = [
        StringIndexer(inputCol="category", outputCol="index"),
        OneHotEncoder(inputCol="index", outputCol="hot"),
        VectorAssembler(inputCols=["hot"], outputCol="features"),
        LogisticRegression(maxIter=2),
    ]
    model = Pipeline(stages=stages).fit(stored)
    BinaryClassificationEvaluator().evaluate(model.transform(stored))


if __name__ == "__main__":
    main(*sys.argv[1:])
