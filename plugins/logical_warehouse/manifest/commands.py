"""Commands about the manifest: ``lint`` and ``schema``. They need neither Airflow nor Spark."""

from __future__ import annotations

import argparse
import sys
from pathlib import Path

from warehouse.dialects.type_reference import with_types

from logical_warehouse.manifest.load import load_manifest
from logical_warehouse.manifest.manifest import Manifest
from logical_warehouse.manifest.reference import with_reference
from logical_warehouse.manifest.schema import SCHEMA_FILE, schema_text
from logical_warehouse.terminal import print_table

DEFAULT_MANIFEST = Path("dags/warehouse.yaml")
DEFAULT_REFERENCE = Path("docs/manifest.md")
DEFAULT_TYPES = Path("docs/types.md")


def register(subparsers: argparse._SubParsersAction[argparse.ArgumentParser]) -> None:
    """Add ``lint`` and ``schema`` to the command line."""
    lint = subparsers.add_parser("lint", help="check a table manifest, without Airflow")
    lint.add_argument("manifest", nargs="?", type=Path, default=DEFAULT_MANIFEST, help="default: %(default)s")
    lint.set_defaults(execute=_lint)
    schema = subparsers.add_parser("schema", help="write the manifest's JSON Schema and the references")
    schema.add_argument("--check", action="store_true", help="write nothing; fail if a file is not current")
    schema.add_argument("--schema", type=Path, default=DEFAULT_MANIFEST.with_name(SCHEMA_FILE), help="%(default)s")
    schema.add_argument("--reference", type=Path, default=DEFAULT_REFERENCE, help="default: %(default)s")
    schema.add_argument("--types", type=Path, default=DEFAULT_TYPES, help="default: %(default)s")
    schema.set_defaults(execute=_schema)


def add_manifest_option(parser: argparse.ArgumentParser) -> None:
    """Add ``--manifest`` to a command that asks about what is in one."""
    parser.add_argument("--manifest", type=Path, default=DEFAULT_MANIFEST, help="default: %(default)s")


def _lint(arguments: argparse.Namespace) -> int:
    loaded = load_manifest(arguments.manifest)
    for problem in loaded.problems:
        print(problem, file=sys.stderr)
    if loaded.problems or loaded.manifest is None:
        count = len(loaded.problems)
        print(f"{arguments.manifest}: {count} problem{'' if count == 1 else 's'}", file=sys.stderr)
        return 1
    _print_summary(loaded.manifest)
    return 0


def _print_summary(manifest: Manifest) -> None:
    from rich.table import Table

    groups = Table("group", "tables", "source", "schedule", "start", "end", "history", title="Groups")
    for group in manifest.groups():
        first = group.tables[0]
        names = ", ".join(table.name for table in group.tables)
        schedule = str(manifest.schedule_of(first))
        modes = ", ".join(dict.fromkeys(table.history.mode for table in group.tables))
        groups.add_row(group.name, names, first.source, schedule, str(first.start), str(first.end or ""), modes)
    trainings = Table("training", "inputs", "application", title="Trainings")
    for training in manifest.trainings.values():
        inputs = ", ".join(
            f"{name} ({f'window {read.window}' if read.window else read.mode})"
            for name, read in training.inputs.items()
        )
        trainings.add_row(training.name, inputs, training.application)
    print_table(groups)
    if manifest.trainings:
        print_table(trainings)


def _schema(arguments: argparse.Namespace) -> int:
    wanted = {
        arguments.schema: schema_text(),
        arguments.reference: with_reference(arguments.reference.read_text(encoding="utf-8")),
        arguments.types: with_types(arguments.types.read_text(encoding="utf-8")),
    }
    stale = [path for path, text in wanted.items() if not path.exists() or path.read_text(encoding="utf-8") != text]
    if not arguments.check:
        for path in stale:
            path.write_text(wanted[path], encoding="utf-8")
            print(f"{path}: written")
        return 0
    for path in stale:
        print(f"{path}: is not current; run: python -m logical_warehouse schema", file=sys.stderr)
    return 1 if stale else 0
