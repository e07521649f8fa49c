"""``clean-store``: lists what killed and failed runs left in the store, and frees that memory.

It asks Airflow's metadata database which runs are active, and so runs where ``airflow`` itself does. Their files are
not touched: what each run writes lies in folders of its own.
"""

from __future__ import annotations

import argparse
from collections.abc import Collection, Sequence
from dataclasses import dataclass
from datetime import timedelta
from pathlib import Path
from typing import assert_never

from warehouse.clean_spec import CleanJob, CleanResult, Left, Removal
from warehouse.failures import PermanentError
from warehouse.run_spec import RunSpec

from logical_warehouse.local_submit import result_of
from logical_warehouse.manifest import Store, load_manifest
from logical_warehouse.manifest.commands import DEFAULT_MANIFEST
from logical_warehouse.plan import SnapshotPlan, make_plan, store_spec
from logical_warehouse.promises import LIVE, promises_in
from logical_warehouse.store_files import StoreFiles, path_in, store_files, tables_path
from logical_warehouse.stored_tables import read_stored_table
from logical_warehouse.trained_models import ModelFolder, model_folders, unreachable_models


@dataclass(frozen=True)
class Useless:
    """What nothing needs. ``folders``: paths of the answers of ended runs. ``active``: runs that were left alone.

    ``models``: of trainings that have ended, and that no reader is led to.
    """

    left: tuple[Left, ...]
    folders: tuple[str, ...]
    active: int
    models: tuple[ModelFolder, ...] = ()

    def __bool__(self) -> bool:
        return bool(self.left or self.folders or self.models)


def register(subparsers: argparse._SubParsersAction[argparse.ArgumentParser]) -> None:
    """Add ``clean-store`` to the command line."""
    parser = subparsers.add_parser(
        "clean-store", help="list what killed and failed runs left in the store; with --yes free that memory"
    )
    parser.add_argument("--yes", action="store_true", help="remove what is listed")
    parser.add_argument("--manifest", type=Path, default=DEFAULT_MANIFEST, help="default: %(default)s")
    parser.set_defaults(execute=_clean)


def _clean(arguments: argparse.Namespace) -> int:
    manifest = load_manifest(arguments.manifest).manifest
    plans = make_plan(manifest).snapshots if manifest is not None else ()
    if manifest is None or not plans:
        raise PermanentError(
            f"{arguments.manifest} has no healthy table, and so does not say how to reach the store; see "
            "`python -m logical_warehouse lint`"
        )
    plan = plans[0]
    # First the store, then Airflow: a run that begins in between has nothing in the list.
    listed = _submit(plan, ()).left
    folders = run_folders(store_files(plan.store), plan.store)
    models = model_folders(manifest)
    found = useless(listed, folders, active_runs(), models)
    for line in lines(found):
        print(line)
    if not found or not arguments.yes:
        return 0
    removed = _submit(plan, removals(found.left))
    files = store_files(plan.store)
    for folder in found.folders:
        files.remove(folder)
    for model in found.models:
        model.files.remove(model.path)
    _withdraw(plan.store, found)
    print(
        f"removed {removed.files} file(s), {removed.bytes:,} bytes, {len(found.folders)} folder(s) of answers and "
        f"{len(found.models)} of models"
    )
    return 0


def _submit(plan: SnapshotPlan, asked: Sequence[Removal]) -> CleanResult:
    result = result_of(
        plan, "clean_store.py", CleanResult, lambda path: CleanJob(store_spec(plan.store), tuple(asked), path)
    )
    if result is None:
        raise PermanentError("The store was not looked through to the end; what is left can be removed again.")
    return result


def remove_tries(plan: SnapshotPlan, table: str, tries: Sequence[str]) -> CleanResult:
    """Remove what tries of ended runs left in a table.

    :param tries: by the names of their run branches; listed before their runs were found to have ended.
    :raises PermanentError: it was not done to the end.
    """
    return _submit(plan, [Removal(table, tuple(tries))])


def of_active(name: str, active: Collection[RunSpec]) -> bool:
    """Whether a try, by the name of its run branch, is of a run that is active."""
    return any(run.try_of(name) is not None for run in active)


def active_runs() -> list[RunSpec]:
    """Runs of all DAGs that Airflow has not ended."""
    from airflow.models.dagrun import DagRun
    from airflow.utils.session import create_session
    from sqlalchemy import select

    with create_session() as session:
        found = session.execute(select(DagRun.dag_id, DagRun.run_id).where(DagRun.state.in_(LIVE)))
        return [RunSpec(dag_id, run_id, 0) for dag_id, run_id in found]


def run_folders(files: StoreFiles, store: Store) -> tuple[str, ...]:
    """Paths of the folders with answers of runs, but for those whose reports belong to a published snapshot."""
    root = path_in(store_spec(store).uri)
    published = {
        RunSpec(record.dag_id, record.run_id, 0).key
        for name in files.folders(tables_path(store))
        if (table := read_stored_table(files, tables_path(store), name)) is not None
        for record in table.records
    }
    return tuple(
        f"{root}/_runs/{dag_id}/{key}"
        for dag_id in files.folders(f"{root}/_runs")
        for key in files.folders(f"{root}/_runs/{dag_id}")
        if key not in published
    )


def useless(
    listed: Sequence[Left], folders: Sequence[str], active: Collection[RunSpec], models: Sequence[ModelFolder] = ()
) -> Useless:
    """Of what was listed, that of runs which are not active; of models, those that no reader is led to."""
    keys = {run.key for run in active}
    return Useless(
        tuple(one for one in listed if not of_active(one.name, active)),
        tuple(folder for folder in folders if folder.rpartition("/")[2] not in keys),
        len(keys),
        unreachable_models(models, active),
    )


def removals(left: Sequence[Left]) -> list[Removal]:
    """What to ask for, a removal for each table."""
    return [
        Removal(
            table,
            tuple(one.name for one in left if one.table == table and one.kind == "try"),
            ownerless=any(one.table == table and one.kind == "ownerless" for one in left),
        )
        for table in dict.fromkeys(one.table for one in left)
    ]


def lines(found: Useless) -> list[str]:
    """What was found, for people."""
    said = [f"{one.table}: {_what(one)}, {one.files} file(s), {one.bytes:,} bytes, {_age(one)}" for one in found.left]
    said += [f"{one.training} as of {one.as_of}: model of no use in {one.name}" for one in found.models]
    if found.folders:
        said.append(f"answers of {len(found.folders)} ended run(s)")
    if not said:
        said.append("nothing is left in the store that nobody needs")
    else:
        said.append(f"together {sum(one.bytes for one in found.left):,} bytes; --yes removes them")
    if found.active:
        said.append(f"{found.active} run(s) are active; what they write is not among it")
    return said


def _what(one: Left) -> str:
    match one.kind:
        case "try":
            return f"{'run branch' if one.branch else 'files of'} {one.name}"
        case "ownerless":
            return "files of no run"
        case "replaced":
            return "what was replaced or ended, and its readers' grace is over"
        case _:
            assert_never(one.kind)


def _age(one: Left) -> str:
    return f"{timedelta(seconds=one.age_seconds)} old"


def _withdraw(store: Store, found: Useless) -> None:
    """Give up the promises of the runs of which nothing is left."""
    promises = promises_in(store)
    if promises is not None:
        keys = {folder.rpartition("/")[2] for folder in found.folders}
        for promise in promises.all():
            if promise.run.key in keys or any(promise.run.try_of(one.name) is not None for one in found.left):
                promises.withdraw(promise)
