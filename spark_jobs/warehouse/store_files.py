"""Small files of the store, on whichever file system its URI names."""

from __future__ import annotations

from dataclasses import dataclass
from typing import TYPE_CHECKING, Any

from warehouse.jvm import jvm_of

if TYPE_CHECKING:
    from pyspark.sql import SparkSession


@dataclass(frozen=True)
class StoredFile:
    """A file of the store. ``bytes``: 0 while it is still written. ``modified_millis``: by the store's clock."""

    uri: str
    bytes: int
    modified_millis: int


def write_text(session: SparkSession, path: str, text: str) -> None:
    """Write ``text`` to ``path``, replacing what is there."""
    file_system, java_path = located(session, path)
    stream = file_system.create(java_path, True)
    try:
        stream.write(text.encode())
    finally:
        stream.close()


def read_text(session: SparkSession, path: str) -> str | None:
    """What is in ``path``; None where there is no such file."""
    file_system, java_path = located(session, path)
    if not file_system.exists(java_path):
        return None
    stream = file_system.open(java_path)
    try:
        return bytes(stream.readAllBytes()).decode()
    finally:
        stream.close()


def read_a_byte(session: SparkSession, path: str) -> None:
    """See whether the contents of a file can be had. :raises Py4JJavaError: they cannot."""
    file_system, java_path = located(session, path)
    stream = file_system.open(java_path)
    try:
        stream.read()
    finally:
        stream.close()


def exists(session: SparkSession, path: str) -> bool:
    """Whether there is such a file or folder."""
    file_system, java_path = located(session, path)
    return bool(file_system.exists(java_path))


def delete_folder(session: SparkSession, path: str) -> None:
    """Delete a folder and all in it; nothing where there is none."""
    file_system, java_path = located(session, path)
    file_system.delete(java_path, True)


def delete_file(session: SparkSession, path: str) -> bool:
    """Delete a file; whether there was one."""
    file_system, java_path = located(session, path)
    return bool(file_system.delete(java_path, False))


def folders_in(session: SparkSession, path: str) -> list[str]:
    """Names of the folders in a folder; none where there is none."""
    file_system, java_path = located(session, path)
    if not file_system.exists(java_path):
        return []
    return sorted(str(one.getPath().getName()) for one in file_system.listStatus(java_path) if one.isDirectory())


def files_below(session: SparkSession, path: str) -> dict[str, StoredFile]:
    """Every file in a folder and below by its path, without the store's address; none where there is no such folder."""
    file_system, java_path = located(session, path)
    if not file_system.exists(java_path):
        return {}
    found, listing = {}, file_system.listFiles(java_path, True)
    while listing.hasNext():
        one = listing.next()
        found[str(one.getPath().toUri().getPath())] = StoredFile(
            str(one.getPath().toString()), int(one.getLen()), int(one.getModificationTime())
        )
    return found


def modified_millis(session: SparkSession, path: str) -> int:
    """When a file was written, by the store's clock."""
    file_system, java_path = located(session, path)
    return int(file_system.getFileStatus(java_path).getModificationTime())


def located(session: SparkSession, path: str) -> tuple[Any, Any]:
    """Hadoop's file system that has ``path``, and the path as Hadoop knows it."""
    java_path = jvm_of(session).org.apache.hadoop.fs.Path(path)
    return java_path.getFileSystem(session._jsc.hadoopConfiguration()), java_path
