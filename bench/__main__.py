"""``python -m bench``: measure, print, and write ``docs/benchmarks.md``."""

from __future__ import annotations

import argparse
import sys
from collections.abc import Callable
from pathlib import Path

sys.path[:0] = [str(Path(__file__).resolve().parents[1] / folder) for folder in ("spark_jobs", "plugins")]

from rich.console import Console  # noqa: E402 - after the two halves are on the path

from bench import dags, machine, reads, snapshots, submits  # noqa: E402
from bench.report import Section, show, write_markdown  # noqa: E402
from bench.stage import Options, Stage, open_stage  # noqa: E402

TOPICS: dict[str, Callable[[Stage], list[Section]]] = {
    "snapshots": snapshots.measure,
    "reads": reads.measure,
    "submits": submits.measure,
    "dags": dags.measure,
}
RESULT = Path(__file__).resolve().parents[1] / "docs" / "benchmarks.md"


def main() -> int:
    """Run the topics asked for; a partial run prints and writes nothing."""
    parser = argparse.ArgumentParser(prog="python -m bench", description=__doc__)
    parser.add_argument("--scale", type=float, default=1, help="of TPC-H; 1 is 6 million rows, about 6 GB of memory")
    parser.add_argument("--runs", type=int, default=3, help="of every side; the median counts")
    parser.add_argument("--only", nargs="+", choices=TOPICS, help="these topics only; docs/ stays as it is")
    parser.add_argument("--out", type=Path, help=f"Markdown file to write (default for all topics: {RESULT})")
    asked = parser.parse_args()
    console = Console()
    sections: list[Section] = []
    out = asked.out or (None if asked.only else RESULT)
    with open_stage(Options(asked.scale, asked.runs)) as stage:
        for topic in asked.only or TOPICS:
            console.rule(topic)
            measured = TOPICS[topic](stage)
            show(measured, console)
            sections += measured
            if out is not None:  # after every topic: what was measured is kept if a later one fails
                write_markdown(sections, machine.describe(asked.scale, asked.runs), out)
                console.print(f"written to {out}")
    return 0


if __name__ == "__main__":
    sys.exit(main())
