"""Pools keep a source within its connection budget. A task cannot see them, so the scheduler tells it.

A task whose pool is missing or too small is never scheduled, without a word to its owner. In Airflow 3 a running task
has no access to pools; therefore a listener in the scheduler notes their sizes in an Airflow variable whenever a run
of this package starts, and ``check`` refuses a run whose ``snapshot`` would wait for ever.
"""

from __future__ import annotations

import argparse
import json
from collections.abc import Iterable

from warehouse.failures import PermanentError

from logical_warehouse.manifest import load_manifest
from logical_warehouse.manifest.commands import add_manifest_option
from logical_warehouse.plan import PoolPlan, make_plan

POOLS_VARIABLE = "warehouse_pools"
"""Airflow variable: JSON object of pool name → slots, as the scheduler saw them when the newest run started."""


def ensure_pool(noted: str | None, pool: str, slots: int) -> None:
    """Return if the pool exists with enough slots. ``noted``: the variable's text, or None when nothing noted it.

    :raises PermanentError: the pool does not exist or is too small.
    """
    if noted is None:
        raise PermanentError(
            f"The scheduler has not noted its pools in the variable {POOLS_VARIABLE!r}: "
            "the folder plugins/ of this project has to be the scheduler's plugins folder, too."
        )
    found = json.loads(noted).get(pool)
    if found is None:
        raise PermanentError(
            f"The Airflow pool {pool!r} does not exist; create it with `python -m logical_warehouse pools`."
        )
    if 0 <= found < slots:
        raise PermanentError(
            f"The Airflow pool {pool!r} has {found} slots and the snapshot needs {slots}; "
            "set it to the source's budget with `python -m logical_warehouse pools`."
        )


def create_pools(pools: Iterable[PoolPlan]) -> list[str]:
    """Create or resize the pools in Airflow's metadata database; returns a line about each."""
    from airflow.models.pool import Pool  # needs the metadata database
    from airflow.utils.session import create_session

    lines = []
    with create_session() as session:
        for plan in pools:
            Pool.create_or_update_pool(
                plan.name,
                slots=plan.slots,
                description=plan.description,
                include_deferred=plan.include_deferred,
                session=session,
            )
            lines.append(f"{plan.name}: {plan.slots} slots")
    return lines


def register(subparsers: argparse._SubParsersAction[argparse.ArgumentParser]) -> None:
    """Add ``pools`` to the command line."""
    parser = subparsers.add_parser("pools", help="create or resize the Airflow pool of each source")
    add_manifest_option(parser)
    parser.set_defaults(execute=_create)


def _create(arguments: argparse.Namespace) -> int:
    loaded = load_manifest(arguments.manifest)
    if loaded.manifest is None:
        raise PermanentError("\n".join(str(problem) for problem in loaded.problems))
    print(*create_pools(make_plan(loaded.manifest).pools), sep="\n")
    return 0
