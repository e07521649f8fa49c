"""All of the store's tables that nothing needs, for the command ``clean-store``: listed, and removed where it is named.

Which runs have ended is for the command to say, and it asks Airflow after the listing: what begins in between is not in
the list, and so is never taken for ended.
"""

from __future__ import annotations

import time
from collections.abc import Callable, Iterator, Mapping
from functools import partial
from typing import TYPE_CHECKING, Any

from py4j.protocol import Py4JJavaError
from pyspark.errors import PySparkException

from warehouse.branch_schema import data_folder
from warehouse.clean_spec import CleanJob, CleanResult, Kind, Left, Unreadable
from warehouse.ended_runs import unpublished_captures
from warehouse.expiry import free_unreferenced
from warehouse.failures import JobError
from warehouse.held_files import Listing, listing_with_metadata, lost_lists
from warehouse.iceberg_api import branch_head, load_table, reference_names
from warehouse.leftovers import ownerless_files, remove_leftovers
from warehouse.lost_marks import few
from warehouse.lost_states import let_go_lost, lost_for_good
from warehouse.referred_files import (
    metadata_folder,
    path_of,
    readable_snapshots,
    referred_files,
    snapshot_ids,
    unreferenced_snapshots,
)
from warehouse.run_spec import RUN_PREFIX
from warehouse.spec_json import SpecError
from warehouse.store_failures import StoreUnreachable
from warehouse.store_files import StoredFile, files_below, folders_in
from warehouse.vendor_errors import name_of, store_errors

if TYPE_CHECKING:
    from pyspark.sql import SparkSession

    from warehouse.store_spec import StoreSpec


def clean_store(session: SparkSession, job: CleanJob) -> CleanResult:
    """Do what ``job`` asks. A table that cannot be read is passed by: the memory of all others can be freed without it.

    :raises JobError: the store cannot be reached.
    """
    gone: list[StoredFile] = []
    left: list[Left] = []
    unreadable: list[Unreadable] = []
    for removal in job.removals:
        with store_errors(job.store.uri, removal.table):
            before = _table_files(session, job.store, removal.table)
            named = removal.tries.__contains__
            let_go_lost(session, job.store, removal.table)
            remove_leftovers(session, job.store, removal.table, named, ownerless=removal.ownerless)
            free_unreferenced(session, job.store, removal.table)
            after = _table_files(session, job.store, removal.table)
            gone += [file for path, file in before.items() if path not in after]
    if not job.removals:
        with store_errors(job.store.uri):
            tables = folders_in(session, f"{job.store.uri.rstrip('/')}/{job.store.namespace}")
            is_capture = unpublished_captures(session, job.store)
        for table in tables:
            try:
                left += _left_in(session, job.store, table, is_capture)
            except StoreUnreachable:
                raise
            except (JobError, SpecError) as error:
                unreadable.append(Unreadable(table, str(error)))
            except (Py4JJavaError, PySparkException) as error:
                unreadable.append(Unreadable(table, f"its metadata are damaged ({name_of(error)})"))
    size = job.store.all_copies(sum(file.bytes for file in gone))
    return CleanResult(tuple(left), len(gone), size, tuple(unreadable))


def _table_files(session: SparkSession, store: StoreSpec, table: str) -> dict[str, StoredFile]:
    return files_below(session, f"{store.uri.rstrip('/')}/{store.namespace}/{table}")


def _left_in(session: SparkSession, store: StoreSpec, name: str, is_capture: Callable[[Any, str], bool]) -> list[Left]:
    """:raises JobError, SpecError, Py4JJavaError: the table cannot be read."""
    with store_errors(store.uri, name):
        # Knows at once what is lost, for which a read has to wait.
        listing = listing_with_metadata(session, store, name)
        table = load_table(session, store.identifier(name))
        if table is None:
            return []
        left = list(_lost_in(session, store, name, table, listing))
        if not left or not any(lost_lists(table, listing, one) for one in snapshot_ids(table)):
            return [*left, *_found_in(session, store, name, table, is_capture)]
        # While what lists files is lost nobody can tell which ones are needed. But captures are named, for the answers
        # of their runs are.
        captures = [one for one in reference_names(table) if one.startswith(RUN_PREFIX) and is_capture(table, one)]
        now = int(time.time() * 1000)
        return [*left, *(_left(store, name, now, "capture", {}, name=one, branch=True) for one in captures)]


def _lost_in(session: SparkSession, store: StoreSpec, name: str, table: Any, listing: Listing) -> Iterator[Left]:
    """What is lost for good: the next run of the table, or a removal, lets it go."""
    if gone := lost_for_good(session, store, name, table, listing):
        names = {one for head in gone for one in reference_names(table) if branch_head(table, one) == head}
        yield _left(store, name, int(time.time() * 1000), "lost", {}, name=few(sorted(names)))


def _found_in(
    session: SparkSession, store: StoreSpec, name: str, table: Any, is_capture: Callable[[Any, str], bool]
) -> Iterator[Left]:
    now = int(time.time() * 1000)
    left = partial(_left, store, name, now)
    data, all_files = data_folder(table), files_below(session, str(table.location()))
    branches = {reference for reference in reference_names(table) if reference.startswith(RUN_PREFIX)}
    folders = {folder for folder in folders_in(session, data) if folder.startswith(RUN_PREFIX)}
    snapshots = readable_snapshots(session, store, name, table)
    unreferenced = set(unreferenced_snapshots(table, now))
    # What is reachable without the run branches.
    published = referred_files(session, table, snapshots - set(unreferenced_snapshots(table, now, but_of=RUN_PREFIX)))
    referred = referred_files(session, table, snapshots)
    for one in sorted(branches | folders):
        held = _below(all_files, f"{data}/{one}")
        useless = {path: file for path, file in held.items() if path not in published}
        if useless or one in branches or not held:
            kind: Kind = "capture" if one in branches and is_capture(table, one) else "try"
            yield left(kind, useless, name=one, branch=one in branches)
    ownerless = ownerless_files(session, table) | _below(all_files, metadata_folder(table))
    ownerless = {path: file for path, file in ownerless.items() if path not in referred}
    if ownerless:
        yield left("ownerless", ownerless)
    if unreferenced:
        replaced = referred.keys() - referred_files(session, table, snapshots - unreferenced).keys()
        yield left("replaced", {path: all_files[path] for path in replaced & all_files.keys()})


def _below(files: Mapping[str, StoredFile], folder: str) -> dict[str, StoredFile]:
    return {path: file for path, file in files.items() if path.startswith(f"{path_of(folder)}/")}


def _left(
    store: StoreSpec,
    table: str,
    now: int,
    kind: Kind,
    files: Mapping[str, StoredFile],
    *,
    name: str = "",
    branch: bool = False,
) -> Left:
    newest = max((file.modified_millis for file in files.values()), default=now)
    size = store.all_copies(sum(file.bytes for file in files.values()))
    return Left(table, kind, name, branch, len(files), size, max(0, now - newest) // 1000)
