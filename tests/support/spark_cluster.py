"""A Spark standalone cluster on this machine: a master, and workers with folders of their own."""

from __future__ import annotations

import os
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path

import pyspark

from local_stack.ports import LOOPBACK, free_port
from local_stack.processes import Service, wait_for


@contextmanager
def spark_cluster(folder: Path, scratches: tuple[Path, ...]) -> Iterator[str]:
    """A standalone master with a worker of one core for each folder of scratch; its URL.

    Logs and the workers' folders, with what executors print, lie in ``folder``.
    """
    home, port = Path(pyspark.__file__).parent, free_port()
    url = f"spark://{LOOPBACK}:{port}"
    environment = {
        **os.environ,
        "SPARK_HOME": str(home),
        "SPARK_DAEMON_MEMORY": "128m",
        "SPARK_DAEMON_JAVA_OPTS": "-XX:+UseSerialGC -XX:TieredStopAtLevel=1",
    }
    spark_class = home / "bin" / "spark-class"
    master = Service("spark-master", folder)
    workers = [Service(f"spark-worker-{number}", folder) for number in range(len(scratches))]
    try:
        package = "org.apache.spark.deploy"
        arguments = ["--host", LOOPBACK, "--port", str(port), "--webui-port", "0"]
        master.start([spark_class, f"{package}.master.Master", *arguments], env=environment)
        for worker, scratch in zip(workers, scratches, strict=True):
            scratch.mkdir()
            arguments = ["--host", LOOPBACK, "--cores", "1", "--memory", "600m", "--webui-port", "0"]
            arguments += ["--work-dir", str(folder / worker.name)]
            worker.start(
                [spark_class, f"{package}.worker.Worker", *arguments, url],
                env=environment | {"SPARK_LOCAL_DIRS": str(scratch)},
            )
        wait_for(
            lambda: master.log.read_text().count("Registering worker") == len(workers),
            "the workers", timeout=60, services=[master, *workers],
        )  # fmt: skip
        yield url
    finally:
        for service in (*workers, master):
            service.stop()
