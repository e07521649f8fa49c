"""``compare``: both sides of a snapshot with their values, for the terminal of whoever may read both.

It starts a Spark application of its own, outside of Airflow, so that no value comes into a task's log or an XCom.
"""

from __future__ import annotations

import argparse
import re
import sys
from collections.abc import Mapping
from types import MappingProxyType
from typing import TYPE_CHECKING

from warehouse.compare_spec import EQUAL, FOUND, CompareJob
from warehouse.dialects import dialect_of_url
from warehouse.failures import PermanentError
from warehouse.masks import MaskKey
from warehouse.run_spec import IntervalSpec
from warehouse.source_spec import SourceSpec
from warehouse.spec_json import to_json
from warehouse.table_spec import ChecksSpec, RetentionSpec, SplitSpec, TableSpec

from logical_warehouse.intervals import NotAnAsOf, utc_text
from logical_warehouse.local_submit import submit_here
from logical_warehouse.manifest.commands import add_manifest_option
from logical_warehouse.named_plans import find_table
from logical_warehouse.plan import SnapshotPlan, history_spec, store_spec
from logical_warehouse.scratch import SCRATCH_ROOT, scratch_folder

if TYPE_CHECKING:
    from logical_warehouse.connections import JdbcAddress
    from logical_warehouse.manifest import Table

BRANCH = re.compile(r"run_(?P<run>[a-z0-9_]+)_try(?P<try>[0-9]+)")


def register(subparsers: argparse._SubParsersAction[argparse.ArgumentParser]) -> None:
    """Add ``compare`` to the command line."""
    parser = subparsers.add_parser(
        "compare", help="show where a snapshot and its source differ, with values; ends with 1 where they do"
    )
    parser.add_argument("table", help="a table of the manifest")
    parser.add_argument("as_of", help="the as-of date, 2013-06-01")
    parser.add_argument("--rows", action="store_true", help="find the rows that differ, by --key or the split column")
    parser.add_argument("--key", action="append", default=[], help="a column that tells rows apart; may be repeated")
    parser.add_argument("--limit", type=int, default=20, help="keys to print; default: %(default)s")
    parser.add_argument("--branch", help="an unpublished run branch, instead of the published snapshot")
    add_manifest_option(parser)
    parser.set_defaults(execute=_compare)


def _compare(arguments: argparse.Namespace) -> int:
    from airflow.models import Connection

    from logical_warehouse.connections import address_in, mask_secrets

    _, plan, table = find_table(arguments.manifest, arguments.table)
    masks = (table.columns.mask or {}) if table.columns is not None else {}
    secrets = mask_secrets(table.name, masks.values(), Connection.get_connection_from_secrets)
    connection = Connection.get_connection_from_secrets(plan.source.connection)
    job = compare_job(
        plan,
        table,
        arguments.as_of,
        address_in(connection, plan.source),
        branch=arguments.branch,
        key=_key(arguments, table),
        limit=arguments.limit,
        secrets=secrets,
    )
    if table.history.mode == "current" and arguments.branch is None:
        print(f"{table.name} is known only as it is now: what changed after the capture differs, too", file=sys.stderr)
    return _submit(plan, job, connection.password, secrets)


def compare_job(
    plan: SnapshotPlan,
    table: Table,
    as_of: str,
    address: JdbcAddress,
    *,
    branch: str | None = None,
    key: tuple[str, ...] = (),
    limit: int = 20,
    secrets: Mapping[str, str] = MappingProxyType({}),
) -> CompareJob:
    """What Spark is asked to compare; of ``secrets``, the keys of masks by connection, it has no more than a check.

    :raises PermanentError: not an as-of date of the table, or not a run branch.
    """
    try:
        interval = plan.schedule.interval_of_label(as_of)
    except NotAnAsOf as error:
        raise PermanentError(f"table {table.name}: {error}") from error
    store, dialect = store_spec(plan.store), dialect_of_url(address.url)
    return CompareJob(
        store=store,
        source=SourceSpec(
            name=plan.source.name,
            dialect=dialect.name,
            url=address.url,
            user=address.user,
            driver=plan.source.driver or dialect.driver_class,
            time_zone=plan.source.time_zone,
            fetch_size=plan.source.fetch_size,
            consistency=plan.source.consistency,
        ),
        interval=IntervalSpec(interval.as_of, utc_text(interval.start), utc_text(interval.end)),
        table=TableSpec(
            name=table.name,
            source_schema=table.source_schema,
            source_table=table.source_table,
            columns=(),
            history=history_spec(table.history),
            split=SplitSpec(table.split.parts, table.split.column),
            checks=ChecksSpec(),
            retention=RetentionSpec(),
            schedule=plan.schedule.cron,
            start=utc_text(plan.schedule.first_from(plan.start).start),
            filter=table.filter,
            key_checks={connection: MaskKey(connection, secret).check for connection, secret in secrets.items()},
        ),
        branch=branch,
        fingerprint=None if branch is None else _fingerprint_path(plan, table.name, interval.as_of, branch),
        key=key,
        limit=limit,
        kinds=dict(table.columns.types or {}) if table.columns is not None else {},
        masks=dict(table.columns.mask or {}) if table.columns is not None else {},
    )


def _fingerprint_path(plan: SnapshotPlan, table: str, as_of: str, branch: str) -> str:
    """Where the capture that made ``branch`` left the source's fingerprint."""
    found = BRANCH.fullmatch(branch)
    if found is None:
        raise PermanentError(f"{branch!r} is not a run branch; they are called run_<run>_try<number>")
    folder = store_spec(plan.store).fingerprint_folder_of(plan.dag_id, found["run"], table, as_of)
    return f"{folder}/try{found['try']}.json"


def _key(arguments: argparse.Namespace, table: Table) -> tuple[str, ...]:
    if not arguments.rows:
        return ()
    key = tuple(arguments.key) or ((table.split.column,) if table.split.column else ())
    if not key:
        raise PermanentError(f"table {table.name} has no split column: name what tells its rows apart with --key")
    return key


def _submit(plan: SnapshotPlan, job: CompareJob, password: str | None, secrets: Mapping[str, str]) -> int:
    with scratch_folder(SCRATCH_ROOT) as scratch:
        code = submit_here(
            plan,
            "compare_snapshot.py",
            to_json(job),
            scratch=scratch,
            known=(EQUAL, *FOUND),
            password=password,
            secrets=secrets,
        )
    return int(code != EQUAL)
