"""The command line, ``python -m logical_warehouse``. Each topic module adds its own commands by ``register``."""

from __future__ import annotations

import argparse
import sys
from collections.abc import Sequence

from warehouse.failures import PermanentError, RetryableError
from warehouse.spec_json import SpecError

from logical_warehouse import (
    backfilling,
    comparing,
    evidence,
    expiring,
    forgetting,
    host_check,
    pools,
    store_cleaning,
    stored_tables,
    trainings,
)
from logical_warehouse.manifest import commands as manifest_commands

TOPICS = (
    manifest_commands,
    pools,
    stored_tables,
    backfilling,
    trainings,
    comparing,
    host_check,
    evidence,
    expiring,
    forgetting,
    store_cleaning,
)
"""Modules with ``register(subparsers)``, whose parsers set ``execute`` to a function of the arguments that returns the
exit code. They import what is heavy (Airflow, rich) only when they run."""


def main(arguments: Sequence[str] | None = None) -> int:
    """Run a command; returns its exit code: 0, 1 for what it found or could not do, 2 for wrong usage."""
    parser = argparse.ArgumentParser(prog="python -m logical_warehouse", description="The logical data warehouse.")
    subparsers = parser.add_subparsers(title="commands", required=True, metavar="command")
    for topic in TOPICS:
        topic.register(subparsers)
    parsed = parser.parse_args(arguments)
    try:
        code: int = parsed.execute(parsed)
    except (PermanentError, RetryableError) as error:
        print(error, file=sys.stderr)
        return 1
    except SpecError as error:
        print(f"What the store has was written by another version of this package: {error}.", file=sys.stderr)
        return 1
    return code
