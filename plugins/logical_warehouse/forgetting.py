"""``forget``: rows of given keys leave every snapshot of a table; the models that were trained on them are listed.

The keys are values of the data: they come in a file, never as an argument, and are kept nowhere.
"""

from __future__ import annotations

import argparse
import dataclasses
import json
import sys
from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from pathlib import Path

from warehouse.clean_spec import CleanResult
from warehouse.failures import PermanentError
from warehouse.forget_spec import ForgetJob, ForgetResult
from warehouse.forgotten import Forgetting
from warehouse.lost_marks import few

from logical_warehouse.airflow_history import ask_airflow
from logical_warehouse.askers import add_by_option, asker
from logical_warehouse.local_submit import result_of
from logical_warehouse.manifest.commands import add_manifest_option
from logical_warehouse.named_plans import find_table
from logical_warehouse.plan import asset_uri, store_spec, training_dag_id
from logical_warehouse.store_cleaning import active_runs, of_active, remove_tries
from logical_warehouse.trained_models import TrainedModel, models_in_store, models_of_results, that_read, together


@dataclass(frozen=True)
class TrainedOn:
    """``models``: that read what had rows of the keys. ``models_before``: others, that read what earlier ones found by
    the same column; of one that was killed after its commit nobody has been told."""

    models: tuple[TrainedModel, ...]
    models_before: tuple[TrainedModel, ...]


def register(subparsers: argparse._SubParsersAction[argparse.ArgumentParser]) -> None:
    """Add ``forget`` to the command line."""
    parser = subparsers.add_parser(
        "forget", help="remove the rows of given keys from every snapshot of a table, and list the models that saw them"
    )
    parser.add_argument("table", help="a table of the manifest")
    parser.add_argument("--column", required=True, help="its column that has the keys")
    parser.add_argument(
        "--keys-file", required=True, type=Path, help="UTF-8, a key in each line, as stored: of a masked column, masked"
    )
    add_by_option(parser)
    parser.add_argument("--json", action="store_true", help="for a machine")
    add_manifest_option(parser)
    parser.set_defaults(execute=_forget)


def _forget(arguments: argparse.Namespace) -> int:
    by = asker(arguments)
    manifest, plan, _ = find_table(arguments.manifest, arguments.table)
    if not arguments.keys_file.is_file():
        raise PermanentError(f"{arguments.keys_file} is not a file with a key in each line.")
    training_dags = [training_dag_id(name) for name in manifest.trainings]
    history = ask_airflow(asset_uri(plan.store, arguments.table), arguments.table, None, plan.dag_id, training_dags)
    # Before anything is removed: a store that cannot tell its models now may not tell them afterwards either.
    models = together(
        models_in_store(manifest, arguments.table), models_of_results(history.training_results, arguments.table)
    )
    result = result_of(
        plan,
        "forget_keys.py",
        ForgetResult,
        lambda path: ForgetJob(
            store=store_spec(plan.store),
            table=arguments.table,
            column=arguments.column,
            keys_file=str(arguments.keys_file.resolve()),
            by=by,
            result_path=path,
        ),
    )
    if result is None:
        return 1
    trained = trained_on(result, models)
    if arguments.json:
        print(json.dumps(dataclasses.asdict(result) | dataclasses.asdict(trained), indent=2))
    else:
        print("\n".join(result_lines(result, trained)))
    # In this order: a run that begins after the listing has nothing in the list.
    active = active_runs() if result.left else ()
    ended = tuple(name for name in result.left if not of_active(name, active))
    if ended:
        removed = remove_tries(plan, arguments.table, ended)
        print(ended_line(arguments.table, ended, removed), file=sys.stderr)
    if may_publish := sorted({*result.under_way, *result.left} - set(ended)):
        print(under_way_line(arguments.table, may_publish), file=sys.stderr)
    if result.unread:
        print(unread_line(result), file=sys.stderr)
    return 1 if result.unread else 0


def trained_on(result: ForgetResult, models: Sequence[TrainedModel]) -> TrainedOn:
    """Which of all models that read the table have seen what was forgotten, now or before."""
    now = _saw(models, (result.seen,) if result.seen is not None else ())
    return TrainedOn(now, tuple(one for one in _saw(models, result.before) if one not in now))


def _saw(models: Sequence[TrainedModel], forgettings: Sequence[Forgetting]) -> tuple[TrainedModel, ...]:
    dates = {date for one in forgettings for date in one.dates}
    return that_read(models, dates, {state for one in forgettings for state in one.states})


def result_lines(result: ForgetResult, trained: TrainedOn) -> list[str]:
    """What was done, for people."""
    return [*_rows_lines(result), *_keys_lines(result), *_models_lines(result, trained)]


def _rows_lines(result: ForgetResult) -> Iterator[str]:
    if result.seen is None:
        where = "that can be read" if result.unread else "in the store"
        yield (
            f"{result.table}: nothing {where} has a row of the {result.keys} keys, no published snapshot, kept "
            "input or replaced state"
        )
        return
    rows = sum(date.rows for date in result.dates)
    what = f"{rows:,} rows of {result.keys} keys" if result.dates else f"rows of {result.keys} keys"
    yield f"{result.table}: {what} forgotten at {result.at}, {result.seconds:.1f} s"
    if not result.dates:
        yield "  no published snapshot had any"
    for date in result.dates:
        yield f"  as of {date.as_of}: {date.rows:,} rows gone, {date.rows_left:,} left"
    published = {date.as_of for date in result.dates}
    if others := [as_of for as_of in result.seen.dates if as_of not in published]:
        yield f"  as of {few(others)}: no published row, but some that were kept, replaced or not published yet"
    if result.kept:
        yield f"  also from the kept inputs of trainings: {', '.join(result.kept)}"
    if result.dropped:
        yield f"  dropped, since they held such rows: {', '.join(result.dropped)}"


def _keys_lines(result: ForgetResult) -> Iterator[str]:
    if missed := result.keys - result.matched:
        yield (
            f"{missed} of the {result.keys} keys had no row; a key must be written exactly as stored, masked where "
            "its column is"
        )
    if result.blank:
        yield f"{result.blank} of the keys begin or end with a blank, which was taken for a part of them"


def _models_lines(result: ForgetResult, trained: TrainedOn) -> Iterator[str]:
    if result.seen is not None:
        what = "these dates" if result.seen.dates else "these states"
        yield f"models trained on {what}:" if trained.models else f"no model is known that was trained on {what}"
        yield from map(_model_line, trained.models)
    if trained.models_before:
        times = few([f"at {one.at} as {one.by} asked" for one in reversed(result.before)])
        yield (
            f"models trained on what rows were forgotten of by {result.before[0].column!r} before, {times}; whether by "
            "these keys is not known:"
        )
        yield from map(_model_line, trained.models_before)


def _model_line(model: TrainedModel) -> str:
    run = f", run {model.run_id}" if model.run_id else ""
    return f"  {model.training} as of {model.as_of}{run}: {model.path or 'not in the store (any more)'}"


def ended_line(table: str, ended: Sequence[str], removed: CleanResult) -> str:
    """What was done about files of ended runs that no commit shows."""
    return (
        f"{table}: removed what ended runs had written and not published, which may have held such rows "
        f"({', '.join(ended)}): {removed.files} file(s), {removed.bytes:,} bytes"
    )


def under_way_line(table: str, tries: Sequence[str]) -> str:
    """The warning of runs that had captured what they may still publish."""
    return (
        f"{table}: runs were under way ({', '.join(tries)}); those that read the source before the "
        "rows were deleted there may bring them back: run this again when they have ended"
    )


def unread_line(result: ForgetResult) -> str:
    """The warning of what was lost and may come back, with rows of the keys in it."""
    return (
        f"{result.table}: not all is done: the store has lost {few(result.unread)}, and may get it back with a worker; "
        "run this again when the monitor has it captured again or says that it does not come back "
        "(docs/loss-and-repair.md)"
    )
