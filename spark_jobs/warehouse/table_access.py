"""Who may read a table: the group and mode of its directory in the store.

The directory alone decides, for whoever may not enter it can neither list nor open what lies below; so files that are
written later need nothing of their own. Alluxio asks for the right to enter of every directory on the way to a file,
but not always for that of reading the file itself: its S3 hands out files of mode 600 (seen with 2.9.4).
"""

from __future__ import annotations

from contextlib import suppress
from typing import TYPE_CHECKING, Any

from py4j.protocol import Py4JJavaError

from warehouse.access_failures import NotLimited
from warehouse.access_spec import AccessSpec
from warehouse.jvm import jvm_of
from warehouse.store_files import located
from warehouse.vendor_errors import store_errors

if TYPE_CHECKING:
    from pyspark.sql import SparkSession

    from warehouse.store_spec import StoreSpec
    from warehouse.table_spec import TableSpec

LIMITED = 0o750
OPEN = 0o755
OTHERS = 0o007


def limit_table(session: SparkSession, store: StoreSpec, table: TableSpec) -> None:
    """Make the table's directory, and give it the group and mode that the manifest asks for, before a row is there.

    A table of which the manifest says nothing is left as it is: a line that was lost opens nothing.

    :raises NotLimited: the store did not do it.
    :raises JobError: the store refuses this user, or cannot be reached.
    """
    folder = table_folder(store, table.name)
    with store_errors(store.uri, table.name):
        if table.access is not None:
            limit_folder(session, folder, table.name, table.access)
            return
        group = limited_to(session, folder)
    if group is not None:
        print(
            f"{table.name}: the manifest has no access for it, and its directory stays as it is, for group {group!r}; "
            "`access: everyone` would open it",
            flush=True,
        )


def limit_beside(session: SparkSession, store: StoreSpec, table: TableSpec, folder: str) -> None:
    """Make a folder for values of the table elsewhere in the store, and limit it as the table's directory is.

    :raises NotLimited: the store did not do it.
    """
    access = table.access
    if access is None and (group := limited_to(session, table_folder(store, table.name))) is not None:
        access = AccessSpec(group)
    if access is not None:
        limit_folder(session, folder, table.name, access)


def table_folder(store: StoreSpec, table: str) -> str:
    """Where Iceberg's Hadoop catalog keeps a table."""
    return f"{store.uri.rstrip('/')}/{store.namespace}/{table}"


def limit_folder(session: SparkSession, folder: str, table: str, access: AccessSpec) -> None:
    """Make a folder, and let only the group (or everyone) into it.

    :raises NotLimited: the store did not do it.
    """
    file_system, path = located(session, folder)
    if not file_system.exists(path):
        file_system.mkdirs(path)
    status = file_system.getFileStatus(path)
    mode = OPEN if access.group is None else LIMITED
    group = str(status.getGroup()) if access.group is None else access.group
    refused: Py4JJavaError | None = None
    try:
        if status.getGroup() != group:
            file_system.setOwner(path, None, group)
        if _mode(status) != mode:
            file_system.setPermission(path, jvm_of(session).org.apache.hadoop.fs.permission.FsPermission(f"{mode:o}"))
    except Py4JJavaError as error:
        refused = error
    # Some file systems take both and do neither; others refuse both, and say so in words of their own.
    status = file_system.getFileStatus(path)
    found, wanted = (str(status.getGroup()), _mode(status)), (group, mode)
    if found != wanted:
        raise NotLimited(table, folder, _words(*wanted), _words(*found)) from refused


def limited_to(session: SparkSession, folder: str) -> str | None:
    """The group that a folder is kept for; None where everyone may enter, or there is no such folder."""
    file_system, path = located(session, folder)
    if not file_system.exists(path):
        return None
    status = file_system.getFileStatus(path)
    return None if _mode(status) & OTHERS else str(status.getGroup())


def readable_tables(session: SparkSession, store: StoreSpec) -> tuple[str, ...]:
    """Names of the tables of the store that this user may read.

    Spark's ``SHOW TABLES`` fails as a whole where one of them is kept from him (seen with Iceberg 1.12).
    """
    file_system, folder = located(session, f"{store.uri.rstrip('/')}/{store.namespace}")
    if not file_system.exists(folder):
        return ()
    names = []
    for status in file_system.listStatus(folder):
        with suppress(Py4JJavaError):
            if file_system.exists(located(session, f"{status.getPath()}/metadata")[1]):
                names.append(str(status.getPath().getName()))
    return tuple(sorted(names))


def _mode(status: Any) -> int:
    return int(status.getPermission().toShort())


def _words(group: str, mode: int) -> str:
    return f"of group {group!r} with mode {mode:o}"
