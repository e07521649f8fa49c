"""``backfill``: an Airflow backfill of a group by as-of dates, whatever the source's time zone.

Airflow takes both dates of a backfill as moments in UTC, and makes a run for each interval that starts between them. A
day of Berlin starts on the day before in UTC, one of New York some hours into it: asked for 10 to 14 June, Airflow
leaves out the 10th of the one and the 14th of the other, and says nothing. This command gives it the moments at which
those intervals start.
"""

from __future__ import annotations

import argparse
import subprocess
import sys

import pendulum
from warehouse.failures import PermanentError

from logical_warehouse.history import ensure_capturable, ensure_in_range
from logical_warehouse.intervals import NotAnAsOf, utc_text
from logical_warehouse.manifest.commands import add_manifest_option
from logical_warehouse.named_plans import find_group
from logical_warehouse.plan import SnapshotPlan

PASSED_ON = ("--max-active-runs", "--reprocess-behavior")
"""Options of ``airflow backfill create`` that have a value, given to it as they are."""


def backfill_arguments(plan: SnapshotPlan, first: str, last: str) -> list[str]:
    """Arguments of ``airflow backfill create`` for the as-of dates from ``first`` to ``last``, both included.

    :raises PermanentError: one is no as-of date of the group, they are in the wrong order or out of its range, or the
        source does not know one of them.
    """
    try:
        intervals = [plan.schedule.interval_of_label(date) for date in (first, last)]
    except NotAnAsOf as error:
        raise PermanentError(f"{plan.group} cannot be backfilled: {error}") from error
    if intervals[0].start > intervals[1].start:
        raise PermanentError(f"{plan.group} cannot be backfilled from {first} to {last}: the first date is the later.")
    for interval in intervals:
        ensure_in_range(plan.group, interval, plan.start, plan.end)
        for table in plan.tables:
            ensure_capturable(table.name, table.history, interval, pendulum.now("UTC"))
    start, end = (utc_text(interval.start) for interval in intervals)
    return ["--dag-id", plan.dag_id, "--from-date", start, "--to-date", end]


def register(subparsers: argparse._SubParsersAction[argparse.ArgumentParser]) -> None:
    """Add ``backfill`` to the command line."""
    parser = subparsers.add_parser("backfill", help="have Airflow capture a range of as-of dates, in any time zone")
    parser.add_argument("group", help="group in the manifest, or one of its tables")
    parser.add_argument("first", metavar="first-as-of-date")
    parser.add_argument("last", metavar="last-as-of-date")
    add_manifest_option(parser)
    parser.add_argument("--dry-run", action="store_true", help="show the runs; start none")
    parser.add_argument("--run-backwards", action="store_true", help="the newest date first")
    parser.add_argument("--max-active-runs", metavar="N", help="as of `airflow backfill create`: runs at once")
    parser.add_argument(
        "--reprocess-behavior",
        choices=("none", "failed", "completed"),
        help="as of `airflow backfill create`: which dates that have a run get another one (default: none)",
    )
    parser.set_defaults(execute=_backfill)


def _backfill(arguments: argparse.Namespace) -> int:
    plan = find_group(arguments.manifest, arguments.group)
    given = backfill_arguments(plan, arguments.first, arguments.last)
    for option in PASSED_ON:
        value = getattr(arguments, option.removeprefix("--").replace("-", "_"))
        given += [option, value] if value is not None else []
    given += ["--dry-run"] if arguments.dry_run else []
    given += ["--run-backwards"] if arguments.run_backwards else []
    return subprocess.run([sys.executable, "-m", "airflow", "backfill", "create", *given], check=False).returncode
