"""Small files of the store, on whichever file system its URI names."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

from warehouse.jvm import jvm_of

if TYPE_CHECKING:
    from pyspark.sql import SparkSession


def write_text(session: SparkSession, path: str, text: str) -> None:
    """Write ``text`` to ``path``, replacing what is there."""
    file_system, java_path = _located(session, path)
    stream = file_system.create(java_path, True)
    try:
        stream.write(text.encode())
    finally:
        stream.close()


def read_text(session: SparkSession, path: str) -> str | None:
    """What is in ``path``; None where there is no such file."""
    file_system, java_path = _located(session, path)
    if not file_system.exists(java_path):
        return None
    stream = file_system.open(java_path)
    try:
        return bytes(stream.readAllBytes()).decode()
    finally:
        stream.close()


def read_a_byte(session: SparkSession, path: str) -> None:
    """See whether the contents of a file can be had. :raises Py4JJavaError: they cannot."""
    file_system, java_path = _located(session, path)
    stream = file_system.open(java_path)
    try:
        stream.read()
    finally:
        stream.close()


def exists(session: SparkSession, path: str) -> bool:
    """Whether there is such a file or folder."""
    file_system, java_path = _located(session, path)
    return bool(file_system.exists(java_path))


def delete_folder(session: SparkSession, path: str) -> None:
    """Delete a folder and all in it; nothing where there is none."""
    file_system, java_path = _located(session, path)
    file_system.delete(java_path, True)


def _located(session: SparkSession, path: str) -> tuple[Any, Any]:
    java_path = jvm_of(session).org.apache.hadoop.fs.Path(path)
    return java_path.getFileSystem(session._jsc.hadoopConfiguration()), java_path
