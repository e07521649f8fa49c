"""What killed runs left in a table: run branches, data files that no commit shows, metadata of commits that failed.

That nobody refers to a file does not make it dead: a run that is still writing has such files, too. So the data files
of each try lie in a folder of its own (see ``branch_schema``), and the caller says which tries are dead. If one of them
lives on all the same, it must fail and never publish what is gone. Hence the order:

1. list the files of the dead tries, and those of the table's metadata;
2. commit that their branches are gone. A driver commits to a branch that is there only, and on the very metadata that
   it has looked at: what was begun before this commit, by whomever, can no longer be finished, and begins anew with
   other metadata files. So of what was listed nothing becomes visible any more that is not visible already;
3. see what the metadata refer to now, and delete what was listed and is not among it.
"""

from __future__ import annotations

import time
from collections.abc import Callable
from dataclasses import dataclass, replace
from datetime import UTC, datetime
from typing import TYPE_CHECKING, Any

from warehouse.branch_schema import data_folder
from warehouse.expiry import free_unreferenced
from warehouse.iceberg_api import commit_with_retries, load_existing_table, load_table, reference_names
from warehouse.referred_files import files_referred_to, metadata_folder, path_of
from warehouse.run_spec import RUN_PREFIX
from warehouse.store_files import StoredFile, delete_file, delete_folder, files_below, folders_in, modified_millis
from warehouse.store_spec import StoreSpec

if TYPE_CHECKING:
    from pyspark.sql import SparkSession

IsDead = Callable[[str], bool]
"""Of the name of a run branch, which is that of the try's folder of data files, too: whether that try has ended."""

SETTLED_MILLIS = 10_000
"""Younger metadata files stay: a living driver reads its own manifests once before it commits or deletes them, within
milliseconds. Only such a read can be disturbed, and only the driver's try fails by that."""

DAY_MILLIS = 86_400_000
"""Age of files without an owner that may go: Iceberg's own limit for files that nothing refers to."""

LAST_REMOVAL = "warehouse.leftovers_removed_at"
"""Property whose change is the commit of step 2. Who keeps files of before that commit for a later one writes them
anew: they may be among what is deleted."""


@dataclass(frozen=True)
class Removed:
    """``branches``: run branches that are gone. ``files`` and their ``bytes``: what nothing referred to."""

    branches: tuple[str, ...] = ()
    files: int = 0
    bytes: int = 0


def remove_leftovers(
    session: SparkSession,
    store: StoreSpec,
    table_name: str,
    is_dead: IsDead,
    *,
    ownerless: bool = False,
    prefix: str = RUN_PREFIX,
) -> Removed:
    """Remove what the dead tries left in a table and nobody needs; what they published stays.

    A driver of such a try that lives on fails with ``BranchGone``.

    :param ownerless: also data files of no try; see :func:`ownerless_files`.
    :param prefix: of the names of tries, and of their folders; another one than that of runs is for other writers,
        which must heed :data:`LAST_REMOVAL`.
    :raises ListsLost: the store has lost what says which files are needed; then only branches are removed.
    """

    def is_dead_try(name: str) -> bool:
        return name.startswith(prefix) and is_dead(name)

    table = load_table(session, store.identifier(table_name))
    if table is None:
        return Removed()
    data = data_folder(table)
    dead_folders = [folder for folder in folders_in(session, data) if is_dead_try(folder)]
    dead_branches = _dead_branches(table, is_dead_try)
    if not dead_folders and not dead_branches and not ownerless:
        return Removed()
    listed = files_below(session, metadata_folder(table))
    for folder in dead_folders:
        listed |= files_below(session, f"{data}/{folder}")
    if ownerless:
        listed |= ownerless_files(session, table)
    # The branches go whatever is lost: what they alone need is then needed by nobody.
    if not dead_branches and listed.keys() <= files_referred_to(session, store, table_name).keys():
        removed = Removed()
    else:
        branches = commit_with_retries(
            lambda: _end_branches(load_existing_table(session, store, table_name), is_dead_try)
        )
        free_unreferenced(session, store, table_name)
        removed = replace(_delete(session, store, table_name, listed), branches=branches)
        print(
            f"{table_name}: removed what killed tries left: {len(branches)} run branch(es), {removed.files} file(s), "
            f"{removed.bytes:,} bytes",
            flush=True,
        )
    for folder in dead_folders:
        if not files_below(session, f"{data}/{folder}"):
            delete_folder(session, f"{data}/{folder}")
    return removed


def ownerless_files(session: SparkSession, table: Any) -> dict[str, StoredFile]:
    """Data files of a loaded table, by path, that are in no try's folder, and that nobody can be writing any more.

    Who may have written them is not known: a version of this package before those folders were, or another program.
    """
    folder = data_folder(table)
    limit = int(time.time() * 1000) - DAY_MILLIS
    return {
        path: file
        for path, file in files_below(session, folder).items()
        if not path.startswith(f"{path_of(folder)}/{RUN_PREFIX}") and file.modified_millis < limit
    }


def tries_with_leftovers(session: SparkSession, store: StoreSpec, table_name: str) -> tuple[str, ...]:
    """Tries, dead ones and those that are writing, that have data files to which the table does not refer.

    :raises ListsLost: the store has lost what says so.
    """
    data = data_folder(load_existing_table(session, store, table_name))
    referred = files_referred_to(session, store, table_name)
    return tuple(
        folder
        for folder in folders_in(session, data)
        if folder.startswith(RUN_PREFIX) and files_below(session, f"{data}/{folder}").keys() - referred.keys()
    )


def _end_branches(table: Any, is_dead: IsDead) -> tuple[str, ...]:
    branches = _dead_branches(table, is_dead)
    transaction = table.newTransaction()
    transaction.updateProperties().set(LAST_REMOVAL, datetime.now(UTC).isoformat()).commit()
    if branches:
        manage = transaction.manageSnapshots()
        for branch in branches:
            manage.removeBranch(branch)
        manage.commit()
    transaction.commitTransaction()
    return branches


def _dead_branches(table: Any, is_dead: IsDead) -> tuple[str, ...]:
    return tuple(sorted(name for name in reference_names(table) if is_dead(name)))


def _delete(session: SparkSession, store: StoreSpec, table_name: str, listed: dict[str, StoredFile]) -> Removed:
    table = load_existing_table(session, store, table_name)
    # By the store's own clock, whatever that of this machine says.
    settled = modified_millis(session, str(table.operations().current().metadataFileLocation())) - SETTLED_MILLIS
    metadata = f"{path_of(metadata_folder(table))}/"
    referred = files_referred_to(session, store, table_name)
    dead = [
        file
        for path, file in listed.items()
        if path not in referred and (file.modified_millis < settled or not path.startswith(metadata))
    ]
    for file in dead:
        delete_file(session, file.uri)  # unless Iceberg has, with the branch
    return Removed(files=len(dead), bytes=sum(file.bytes for file in dead))
