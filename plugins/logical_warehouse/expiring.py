"""``expire``: ends the oldest as-of dates of a table before its retention does, to make room.

Only the oldest: from the store's mark of where a table's dates begin everybody knows that those before it are gone on
purpose. Of a date in the middle the monitor would say that it was lost.
"""

from __future__ import annotations

import argparse
from collections.abc import Sequence

from warehouse.expire_spec import ExpireJob, ExpireResult
from warehouse.failures import PermanentError
from warehouse.retention import older_than
from warehouse.snapshot_record import SnapshotRecord

from logical_warehouse.airflow_history import note_endings
from logical_warehouse.askers import add_by_option, asker
from logical_warehouse.intervals import NotAnAsOf, utc_text
from logical_warehouse.local_submit import result_of
from logical_warehouse.manifest import Manifest
from logical_warehouse.manifest.commands import add_manifest_option
from logical_warehouse.named_plans import find_table
from logical_warehouse.plan import SnapshotPlan, asset_uri, store_spec
from logical_warehouse.store_files import store_files, tables_path
from logical_warehouse.stored_tables import StoredTable, read_stored_table


def register(subparsers: argparse._SubParsersAction[argparse.ArgumentParser]) -> None:
    """Add ``expire`` to the command line."""
    parser = subparsers.add_parser(
        "expire", help="end the oldest as-of dates of a table before its retention does, to make room"
    )
    parser.add_argument("table", help="a table of the manifest")
    parser.add_argument("--before", required=True, metavar="AS_OF", help="the oldest date that stays, 2013-06-05")
    parser.add_argument("--now", action="store_true", help="without the grace for readers that are at it")
    add_by_option(parser)
    parser.add_argument("--yes", action="store_true", help="do it; without, it is only said what would go")
    add_manifest_option(parser)
    parser.set_defaults(execute=_expire)


def _expire(arguments: argparse.Namespace) -> int:
    by = asker(arguments)
    manifest, plan, _ = find_table(arguments.manifest, arguments.table)
    try:
        start = utc_text(plan.schedule.interval_of_label(arguments.before).start)
    except NotAnAsOf as error:
        raise PermanentError(f"table {arguments.table}: {error}") from error
    stored = _stored(plan, arguments.table)
    going = older_than(start, stored.records if stored is not None else ())
    copies = plan.store.replication
    print(ending_line(arguments.table, going, copies, kept_by=keeping(manifest, arguments.table)))
    if not arguments.yes:
        return 0
    # Before and after: an Airflow that cannot be told is noticed while nothing has ended, and what one before this one
    # had ended when it was killed is told now.
    _tell_airflow(plan, arguments.table, stored)
    if not going:
        return 0
    grace = 0 if arguments.now else int(plan.store.reader_grace.total_seconds())
    result = result_of(
        plan,
        "expire_snapshots.py",
        ExpireResult,
        lambda path: ExpireJob(store_spec(plan.store), arguments.table, start, grace, by, path),
    )
    # Also where it failed: what its commit wrote is verified afterwards, when dates have ended already.
    _tell_airflow(plan, arguments.table, _stored(plan, arguments.table))
    if result is None:
        return 1
    when = "now" if arguments.now else f"in {grace} s, by the next run of the table or by clean-store"
    if result.held_back:
        when = f"when it is known which files are needed: {result.held_back}"
    print(ended_line(arguments.table, result, when, copies))
    return 0


def _tell_airflow(plan: SnapshotPlan, table: str, stored: StoredTable | None) -> None:
    """Have Airflow keep what the table says was ended by hand: its own note goes with the memory."""
    note_endings(asset_uri(plan.store, table), table, stored.ended_by_hand.endings if stored is not None else ())


def _stored(plan: SnapshotPlan, table: str) -> StoredTable | None:
    return read_stored_table(store_files(plan.store), tables_path(plan.store), table)


def keeping(manifest: Manifest, table: str) -> list[str]:
    """Trainings that keep what they read of a table."""
    return [name for name, one in manifest.trainings.items() if one.keep_inputs and table in one.inputs]


def ending_line(table: str, going: Sequence[SnapshotRecord], copies: int, *, kept_by: Sequence[str] = ()) -> str:
    """What would go, for people; with the memory of all copies.

    :param kept_by: trainings that may keep some of it in memory.
    """
    if not going:
        return f"{table}: no as-of date is that old; the newest one always stays"
    dates = going[0].as_of if len(going) == 1 else f"{going[0].as_of} to {going[-1].as_of}"
    size = sum(record.bytes for record in going) * copies
    kept = f", of which what {', '.join(kept_by)} read stays (keep_inputs)" if kept_by else ""
    return f"{table}: {len(going)} as-of date(s), {dates}, {size:,} bytes{kept}; --yes ends them"


def ended_line(table: str, result: ExpireResult, when: str, copies: int) -> str:
    """What was ended, for people; with the memory of all copies.

    :param when: their memory is freed.
    """
    line = f"{table}: ended {len(result.ended)} as-of date(s); their memory is freed {when}"
    if not result.kept:
        return line
    kept = result.kept_bytes * copies
    return f"{line}, but for {kept:,} bytes that trainings keep as their inputs ({', '.join(result.kept)})"
