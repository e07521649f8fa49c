"""What a spark-submit costs that does nothing: plain, with the project's properties, with its class-data archive."""

from __future__ import annotations

from functools import partial
from pathlib import Path
from statistics import median

from bench.measure import alternate, ratio, seconds_and_spread
from bench.report import Section
from bench.stage import Stage
from bench.submit import Finished

PLAIN = "spark-submit as it comes"
PROJECT = "with this project's properties"
ARCHIVED = "as this project runs small jobs: class-data archive, C1 only"


def measure(stage: Stage) -> list[Section]:
    """Wall and CPU seconds of each."""
    archive = _archive(stage)
    confs: dict[str, dict[str, str]] = {
        PLAIN: {},
        PROJECT: stage.spark.project_conf(),
        ARCHIVED: stage.spark.project_conf(small=True, class_data_archive=archive),
    }
    measured: dict[str, list[Finished]] = alternate(
        {name: partial(stage.spark.run, "nothing.py", None, conf) for name, conf in confs.items()},
        stage.options.runs,
        report=lambda line: print(line.partition(": Finished")[0]),
    )
    walls = {name: [one.wall_seconds for one in finished] for name, finished in measured.items()}
    rows = tuple(
        (
            name,
            seconds_and_spread(walls[name]),
            f"{median(one.cpu_seconds for one in finished):.1f}",
            ratio(walls[name], walls[PLAIN]),
        )
        for name, finished in measured.items()
    )
    return [
        Section(
            "A spark-submit that does nothing",
            "From the command to its exit: two JVMs, a session, its end. CPU seconds are those of all processes.",
            ("how", "wall seconds", "CPU seconds", "wall against plain"),
            rows,
        )
    ]


def _archive(stage: Stage) -> Path:
    """A class-data archive of a session's classes, dumped by the JVM when it ends."""
    archive = stage.scratch / "classes.jsa"
    conf = stage.spark.project_conf()
    conf["spark.driver.extraJavaOptions"] += f" -XX:ArchiveClassesAtExit={archive}"
    stage.spark.run("nothing.py", None, conf)
    assert archive.exists(), "the JVM wrote no class-data archive"
    return archive
