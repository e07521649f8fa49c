"""``clean-store``: lists what killed and failed runs left in the store, and frees that memory.

It asks Airflow's metadata database which runs are active, and so runs where ``airflow`` itself does. Their files are
not touched: what each run writes lies in folders of its own.
"""

from __future__ import annotations

import argparse
from collections.abc import Collection, Sequence
from dataclasses import dataclass
from datetime import timedelta
from typing import assert_never

from warehouse.clean_spec import CleanJob, CleanResult, Left, Removal, Unreadable
from warehouse.failures import PermanentError, RetryableError
from warehouse.promises import Promise
from warehouse.run_spec import RUN_PREFIX, RunSpec
from warehouse.unpublished import TRY

from logical_warehouse.local_submit import result_of
from logical_warehouse.manifest import Store, load_manifest
from logical_warehouse.manifest.commands import add_manifest_option
from logical_warehouse.plan import SnapshotPlan, make_plan, store_spec
from logical_warehouse.promises import LIVE, promises_in
from logical_warehouse.store_files import StoreFiles, path_in, store_files, tables_path
from logical_warehouse.stored_tables import TableUnreadable, read_stored_table
from logical_warehouse.trained_models import ModelFolder, model_folders, unreachable_models


@dataclass(frozen=True)
class Useless:
    """What nothing needs. ``folders``: paths of the answers of ended runs. ``active``: runs that were left alone.

    ``captures``: complete ones that may still be published, and stay. ``unreadable``: tables that were left alone.
    ``models``: of trainings that have ended, and that no reader is led to.
    """

    left: tuple[Left, ...]
    folders: tuple[str, ...]
    active: int
    captures: tuple[Left, ...] = ()
    unreadable: tuple[Unreadable, ...] = ()
    models: tuple[ModelFolder, ...] = ()

    def __bool__(self) -> bool:
        return bool(self.left or self.folders or self.models)


@dataclass(frozen=True)
class PublishedRuns:
    """``keys``: of the runs of which a snapshot is published. ``unreadable``: tables that do not say of which."""

    keys: frozenset[str]
    unreadable: tuple[Unreadable, ...] = ()


def register(subparsers: argparse._SubParsersAction[argparse.ArgumentParser]) -> None:
    """Add ``clean-store`` to the command line."""
    parser = subparsers.add_parser(
        "clean-store", help="list what killed and failed runs left in the store; with --yes free that memory"
    )
    parser.add_argument("--yes", action="store_true", help="remove what is listed")
    parser.add_argument(
        "--captures",
        action="store_true",
        help="also complete captures that were not published, which clearing the task validate could still do",
    )
    add_manifest_option(parser)
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
    files = store_files(plan.store)
    # In this order: what begins after the listings has nothing in them, and what ends before Airflow is asked has
    # published by the time the records are read.
    listed = _submit(plan, ())
    folders, models = run_folders(files, plan.store), model_folders(manifest)
    active = active_runs()
    published = published_runs(files, plan.store)
    found = useless(listed, folders, active, published, models, captures=arguments.captures)
    for line in lines(found):
        print(line)
    if found and arguments.yes:
        removed = _submit(plan, removals(found.left))
        for folder in found.folders:
            files.remove(folder)
        for model in found.models:
            model.files.remove(model.path)
        _withdraw(plan.store, found)
        print(
            f"removed {removed.files} file(s), {removed.bytes:,} bytes, {len(found.folders)} folder(s) of answers and "
            f"{len(found.models)} of models"
        )
    return 1 if found.unreadable else 0


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
    """Paths of the folders with answers and reports of runs."""
    root = path_in(store_spec(store).uri)
    return tuple(
        f"{root}/_runs/{dag_id}/{key}"
        for dag_id in files.folders(f"{root}/_runs")
        for key in files.folders(f"{root}/_runs/{dag_id}")
    )


def published_runs(files: StoreFiles, store: Store) -> PublishedRuns:
    """Runs whose reports belong to a published snapshot."""
    keys: set[str] = set()
    unreadable = []
    for name in files.folders(tables_path(store)):
        try:
            table = read_stored_table(files, tables_path(store), name)
        except (TableUnreadable, RetryableError) as error:
            unreadable.append(Unreadable(name, str(error)))
        else:
            keys.update(RunSpec(one.dag_id, one.run_id, 0).key for one in (table.records if table is not None else ()))
    return PublishedRuns(frozenset(keys), tuple(unreadable))


def useless(
    listed: CleanResult,
    folders: Sequence[str],
    active: Collection[RunSpec],
    published: PublishedRuns,
    models: Sequence[ModelFolder] = (),
    *,
    captures: bool = False,
) -> Useless:
    """Of what was listed, that of runs which are not active, and nothing of a table that cannot be read; of models,
    those that no reader is led to.

    While there is one, the answers of all runs stay: whose reports its snapshots need is in its records.

    :param captures: also complete captures that may still be published; else their runs' answers stay with them.
    """
    keys = {run.key for run in active}
    unreadable = {one.table: one for one in (*published.unreadable, *listed.unreadable)}
    left = [one for one in listed.left if one.table not in unreadable and not of_active(one.name, active)]
    kept = tuple(one for one in left if one.kind == "capture" and not captures)
    needed = keys | published.keys | {_key_of(one.name) for one in kept}
    return Useless(
        tuple(one for one in left if one not in kept),
        tuple(folder for folder in folders if not unreadable and folder.rpartition("/")[2] not in needed),
        len(keys),
        kept,
        tuple(unreadable[table] for table in sorted(unreadable)),
        unreachable_models(models, active),
    )


def _key_of(branch: str) -> str:
    """Key of the run of a run branch."""
    found = TRY.fullmatch(branch)
    return found["prefix"].removeprefix(RUN_PREFIX).removesuffix("_try") if found else ""


def removals(left: Sequence[Left]) -> list[Removal]:
    """What to ask for, a removal for each table."""
    return [
        Removal(
            table,
            tuple(one.name for one in left if one.table == table and one.kind in ("try", "capture")),
            ownerless=any(one.table == table and one.kind == "ownerless" for one in left),
        )
        for table in dict.fromkeys(one.table for one in left)
    ]


def lines(found: Useless) -> list[str]:
    """What was found, for people."""
    said = [_line(one) for one in found.left]
    said += [f"{one.training} as of {one.as_of}: model of no use in {one.name}" for one in found.models]
    if found.folders:
        said.append(f"answers of {len(found.folders)} ended run(s)")
    if not said:
        said.append("nothing is left in the store that nobody needs")
    else:
        said.append(f"together {sum(one.bytes for one in found.left):,} bytes; --yes removes them")
    if found.captures:
        said += [_line(one) for one in found.captures]
        said.append(
            f"together {sum(one.bytes for one in found.captures):,} bytes that stay: clear the task validate of such a "
            "run to publish its capture, or remove them with --captures"
        )
    for one in found.unreadable:
        said.append(f"{one.table} is left alone, and the answers of all runs, since it cannot be read: {one.reason}")
    if found.active:
        said.append(f"{found.active} run(s) are active; what they write is not among it")
    return said


def _line(one: Left) -> str:
    if one.kind == "lost":  # how much is left of it nobody can tell
        return f"{one.table}: {_what(one)}"
    return f"{one.table}: {_what(one)}, {one.files} file(s), {one.bytes:,} bytes, {_age(one)}"


def _what(one: Left) -> str:
    match one.kind:
        case "try":
            return f"{'run branch' if one.branch else 'files of'} {one.name}"
        case "capture":
            return f"unpublished capture {one.name}"
        case "ownerless":
            return "files of no run"
        case "replaced":
            return "what was replaced or ended, and its readers' grace is over"
        case "lost":
            return f"what the store has lost for good, with all that is left of it: {one.name}"
        case _:
            assert_never(one.kind)


def _age(one: Left) -> str:
    return f"{timedelta(seconds=one.age_seconds)} old"


def _withdraw(store: Store, found: Useless) -> None:
    """Give up the promises of the runs of which nothing is left."""
    promises = promises_in(store)
    if promises is not None:
        for promise in without_use(promises.all(), found):
            promises.withdraw(promise)


def without_use(promises: Sequence[Promise], found: Useless) -> list[Promise]:
    """Promises of runs of which all is removed; not where a table could not be read, which may have something, too."""
    keys = {folder.rpartition("/")[2] for folder in found.folders}
    unreadable = {one.table for one in found.unreadable}
    return [
        promise
        for promise in promises
        if (promise.run.key in keys or any(promise.run.try_of(one.name) is not None for one in found.left))
        and not any(promise.run.try_of(one.name) is not None for one in found.captures)
        and not unreadable.intersection(promise.tables)
    ]
