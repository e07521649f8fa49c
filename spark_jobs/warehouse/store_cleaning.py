"""All of the store's tables that nothing needs, for the command ``clean-store``: listed, and removed where it is named.

Which runs have ended is for the command to say, and it asks Airflow after the listing: what begins in between is not in
the list, and so is never taken for ended.
"""

from __future__ import annotations

import time
from collections.abc import Iterator, Mapping
from typing import TYPE_CHECKING, Any

from warehouse.branch_schema import data_folder
from warehouse.clean_spec import CleanJob, CleanResult, Kind, Left
from warehouse.expiry import free_unreferenced, snapshot_ids, unreferenced_snapshots
from warehouse.iceberg_api import load_table, reference_names
from warehouse.leftovers import metadata_folder, ownerless_files, path_of, referred_files, remove_leftovers
from warehouse.run_spec import RUN_PREFIX
from warehouse.store_files import StoredFile, files_below, folders_in
from warehouse.vendor_errors import store_errors

if TYPE_CHECKING:
    from pyspark.sql import SparkSession

    from warehouse.store_spec import StoreSpec


def clean_store(session: SparkSession, job: CleanJob) -> CleanResult:
    """Do what ``job`` asks.

    :raises JobError: the store cannot be reached.
    """
    gone: list[StoredFile] = []
    left: list[Left] = []
    for removal in job.removals:
        with store_errors(job.store.uri, removal.table):
            before = _table_files(session, job.store, removal.table)
            named = removal.tries.__contains__
            remove_leftovers(session, job.store, removal.table, named, ownerless=removal.ownerless)
            free_unreferenced(session, job.store, removal.table)
            after = _table_files(session, job.store, removal.table)
            gone += [file for path, file in before.items() if path not in after]
    if not job.removals:
        with store_errors(job.store.uri):
            for table in folders_in(session, f"{job.store.uri.rstrip('/')}/{job.store.namespace}"):
                loaded = load_table(session, job.store.identifier(table))
                left += [] if loaded is None else _left_in(session, table, loaded)
    return CleanResult(tuple(left), len(gone), sum(file.bytes for file in gone))


def _table_files(session: SparkSession, store: StoreSpec, table: str) -> dict[str, StoredFile]:
    return files_below(session, f"{store.uri.rstrip('/')}/{store.namespace}/{table}")


def _left_in(session: SparkSession, name: str, table: Any) -> Iterator[Left]:
    now = int(time.time() * 1000)
    data, all_files = data_folder(table), files_below(session, str(table.location()))
    branches = {reference for reference in reference_names(table) if reference.startswith(RUN_PREFIX)}
    folders = {folder for folder in folders_in(session, data) if folder.startswith(RUN_PREFIX)}
    snapshots, unreferenced = snapshot_ids(table), set(unreferenced_snapshots(table, now))
    # What is reachable without the run branches.
    published = referred_files(session, table, snapshots - set(unreferenced_snapshots(table, now, but_of=RUN_PREFIX)))
    referred = referred_files(session, table)
    for one in sorted(branches | folders):
        held = _below(all_files, f"{data}/{one}")
        useless = {path: file for path, file in held.items() if path not in published}
        if useless or one in branches or not held:
            yield _left(name, "try", one, useless, now, branch=one in branches)
    ownerless = ownerless_files(session, table) | _below(all_files, metadata_folder(table))
    ownerless = {path: file for path, file in ownerless.items() if path not in referred}
    if ownerless:
        yield _left(name, "ownerless", "", ownerless, now)
    if unreferenced:
        replaced = referred - referred_files(session, table, snapshots - unreferenced)
        yield _left(name, "replaced", "", {path: all_files[path] for path in replaced & all_files.keys()}, now)


def _below(files: Mapping[str, StoredFile], folder: str) -> dict[str, StoredFile]:
    return {path: file for path, file in files.items() if path.startswith(f"{path_of(folder)}/")}


def _left(
    table: str, kind: Kind, name: str, files: Mapping[str, StoredFile], now: int, *, branch: bool = False
) -> Left:
    newest = max((file.modified_millis for file in files.values()), default=now)
    size = sum(file.bytes for file in files.values())
    return Left(table, kind, name, branch, len(files), size, max(0, now - newest) // 1000)
