"""What the store really holds, by listing its files, against what Iceberg's metadata refers to."""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import dataclass
from typing import Any
from urllib.parse import urlsplit

from logical_warehouse.store_health import ask_alluxio
from pyspark.sql import SparkSession
from warehouse.iceberg_api import load_existing_table, reference_names
from warehouse.jvm import jvm_of
from warehouse.publish import data_files
from warehouse.store_spec import StoreSpec

from local_stack.alluxio import Alluxio

RUN_BRANCH = "run_"


@dataclass(frozen=True)
class Contents:
    """Of one table, by path below its folder.

    ``held``: bytes of each file. ``referred``: files that some Iceberg snapshot or the metadata's own log names.
    ``run_branches``: branches of runs, which every run that ended well has given up.
    """

    held: dict[str, int]
    referred: frozenset[str]
    run_branches: tuple[str, ...]

    @property
    def leaked(self) -> dict[str, int]:
        """Files that nothing refers to, and their bytes."""
        return {path: size for path, size in self.held.items() if path not in self.referred}

    def since(self, before: Contents) -> Contents:
        """The same without what was of no use before already."""
        held = {path: size for path, size in self.held.items() if path not in before.leaked}
        return Contents(held, self.referred, tuple(set(self.run_branches) - set(before.run_branches)))

    @property
    def missing(self) -> set[str]:
        """Files that are referred to and not there."""
        return set(self.referred - self.held.keys())


def contents(session: SparkSession, store: StoreSpec, table: str) -> Contents:
    """Of a table at this moment; nobody may write to it meanwhile."""
    root = table_folder(store, table)
    loaded = load_existing_table(session, store, table)
    referred = {urlsplit(path).path.removeprefix(f"{urlsplit(root).path}/") for path in _referred(session, loaded)}
    branches = tuple(name for name in reference_names(loaded) if name.startswith(RUN_BRANCH))
    return Contents(files(session, root), frozenset(referred), branches)


def table_folder(store: StoreSpec, table: str) -> str:
    """URI of the folder with everything of a table."""
    return f"{store.uri}/{store.namespace}/{table}"


def files(session: SparkSession, folder: str) -> dict[str, int]:
    """Every file below a folder of the store: path from there and bytes; one that is still written has none."""
    root = jvm_of(session).org.apache.hadoop.fs.Path(folder)
    system = root.getFileSystem(session._jsc.hadoopConfiguration())
    if not system.exists(root):
        return {}
    prefix = f"{urlsplit(folder).path}/"
    found, listing = {}, system.listFiles(root, True)
    while listing.hasNext():
        status = listing.next()
        found[str(status.getPath().toUri().getPath()).removeprefix(prefix)] = int(status.getLen())
    return found


def used_bytes(alluxio: Alluxio) -> int:
    """Memory that blocks take, as the master counts it."""
    health = ask_alluxio(alluxio.uri, alluxio.web)
    return health.capacity - health.free


def _referred(session: SparkSession, table: Any) -> Iterator[str]:
    for snapshot in table.snapshots():
        yield str(snapshot.manifestListLocation())
        for manifest in snapshot.allManifests(table.io()):
            yield str(manifest.path())
        for file in data_files(session, table, int(snapshot.snapshotId()), None):
            yield str(file.location())
    metadata = table.operations().current()
    yield str(metadata.metadataFileLocation())
    for entry in metadata.previousFiles():
        yield str(entry.file())
    yield f"{table.location()}/metadata/version-hint.text"
