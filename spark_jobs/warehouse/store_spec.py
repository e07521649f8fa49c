"""Where snapshots live, and the paths of all that lies beside them."""

from __future__ import annotations

import re
from dataclasses import dataclass

from warehouse.run_spec import RunSpec
from warehouse.spec_json import SpecError

PROMISES_FOLDER = "_promised"

_PATH_PART = re.compile(r"[A-Za-z0-9_][A-Za-z0-9_.~:+-]*")


@dataclass(frozen=True)
class StoreSpec:
    """Where snapshots live: an Iceberg Hadoop catalog under ``uri``. ``memory_only``: no row may reach a disk.
    ``replication``: copies of each file, in the memory of as many workers."""

    uri: str
    catalog: str = "warehouse"
    namespace: str = "snapshots"
    memory_only: bool = True
    replication: int = 1

    def all_copies(self, size: int) -> int:
        """Bytes of memory that all copies of files of so many bytes take."""
        return size * self.replication

    def identifier(self, table: str) -> str:
        """Spark identifier of a table, ``catalog.namespace.table``."""
        return f"{self.catalog}.{self.namespace}.{table}"

    def run_path(self, run: RunSpec, task: str) -> str:
        """Path of the answer of one try of one task."""
        return f"{self.run_folder(run)}/{answer_name(task, run.attempt)}"

    def run_folder(self, run: RunSpec) -> str:
        """Folder of what a run keeps beside the tables: its answers, and the source's fingerprints."""
        return f"{self.uri.rstrip('/')}/_runs/{_part(run.dag_id)}/{run.key}"

    def promise_path(self, run: RunSpec) -> str:
        """Path of the run's promise (see ``warehouse.promises``)."""
        return f"{self.uri.rstrip('/')}/{PROMISES_FOLDER}/{_part(run.dag_id)}/{run.key}.json"

    def fingerprint_folder(self, run: RunSpec, table: str, as_of: str) -> str:
        """Folder of the source's fingerprint of a table, until its run branch is published; a file for each try."""
        return self.fingerprint_folder_of(run.dag_id, run.key, table, as_of)

    def fingerprint_folder_of(self, dag_id: str, run_key: str, table: str, as_of: str) -> str:
        """As :meth:`fingerprint_folder`, by the run's key."""
        parts = "/".join(map(_part, (dag_id, run_key, "fingerprints", table, as_of)))
        return f"{self.uri.rstrip('/')}/_runs/{parts}"


def answer_name(task: str, attempt: int) -> str:
    """Name of the file with the answer of one try of one task, in the folder of its run."""
    return f"{_part(task)}-try{attempt}.json"


def _part(name: str) -> str:
    """``name``, if it is one step of a path and nothing else. :raises SpecError: it is not."""
    if not _PATH_PART.fullmatch(name):
        raise SpecError(f"{name!r} cannot be part of a path in the store")
    return name
