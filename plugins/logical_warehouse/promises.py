"""The promises of the store's memory, as Airflow's side reads and writes them; see ``warehouse.promises``."""

from __future__ import annotations

from collections.abc import Collection, Sequence
from contextlib import suppress
from typing import Protocol

from warehouse.failures import PermanentError
from warehouse.promises import Promise, promises_folder
from warehouse.run_spec import EndedRun
from warehouse.spec_json import SpecError, from_json, to_json
from warehouse.store_failures import FileIncomplete
from warehouse.store_spec import StoreSpec

from logical_warehouse.manifest import Store
from logical_warehouse.plan import store_spec
from logical_warehouse.store_files import StoreFiles, path_in, store_files

LIVE = ["queued", "running"]
"""States of a run of Airflow in which its tasks may still run."""
MOST_ENDED = 200
"""Ended runs that one run cleans up after; the next one goes on."""


class Runs(Protocol):
    """What is asked about runs of Airflow."""

    def exist(self, dag_id: str, run_ids: list[str], states: list[str] | None = None) -> bool:
        """Whether any of the runs does, in one of ``states`` where given."""


class Promises:
    """Those of one store.

    :raises RetryableError: from any method, where the store does not answer.
    """

    def __init__(self, files: StoreFiles, spec: StoreSpec) -> None:
        self._files = files
        self._spec = spec

    def all(self) -> list[Promise]:
        """Every promise that stands, the oldest first; those of another version of this package are left alone."""
        found = []
        for path, is_held in self._files.in_memory(path_in(promises_folder(self._spec.uri))).items():
            if is_held:
                # Given up meanwhile; or not complete: who is writing it looks at the others' afterwards.
                with suppress(FileNotFoundError, FileIncomplete, SpecError):
                    found.append(from_json(Promise, self._files.read(path)))
        return sorted(found, key=lambda promise: (promise.made_at, promise.dag_id, promise.run_id))

    def make(self, promise: Promise) -> None:
        """Write it, in place of the run's own earlier one.

        Not before the store's directory is there: the first snapshot job of all creates and pins it, before anything
        is written below, and then makes its promise itself.
        """
        parent, _, name = path_in(self._spec.uri).rstrip("/").rpartition("/")
        if name in self._files.folders(parent or "/"):
            self._files.write(self._path(promise), to_json(promise).encode())

    def withdraw(self, promise: Promise) -> None:
        """Give it up."""
        self._files.remove_file(self._path(promise))

    def _path(self, promise: Promise) -> str:
        return path_in(self._spec.promise_path(promise.run))


def promises_in(store: Store) -> Promises | None:
    """The promises of a store; None of one whose files cannot be listed from here."""
    try:
        return Promises(store_files(store), store_spec(store))
    except PermanentError:
        return None


def of_group(promises: Sequence[Promise], dag_id: str, tables: Collection[str]) -> list[Promise]:
    """Of promises of ended runs, the oldest first, those after which a run of a DAG cleans up.

    Not of runs that wrote other tables, too: the DAG's tables were others then.
    """
    return [one for one in promises if one.dag_id == dag_id and set(one.tables) <= set(tables)][:MOST_ENDED]


def ended_runs(
    promises: Sequence[Promise], dag_id: str, tables: Collection[str], runs: Runs, tries: Collection[str]
) -> tuple[EndedRun, ...]:
    """Runs of a DAG that hold a promise and have ended in Airflow, the oldest first, but for those of other tables.

    :param tries: names of all run branches, and of folders of such, that were there before this is asked: a run that
        has ended may be cleared while the answer is used, and lives again.
    """
    ended = [one for one in promises if one.dag_id == dag_id and not runs.exist(dag_id, [one.run_id], LIVE)]
    return tuple(
        EndedRun(
            one.run_id,
            one.as_of,
            one.start,
            tuple(sorted(name for name in tries if one.run.try_of(name) is not None)),
            one.made_at,
        )
        for one in of_group(ended, dag_id, tables)
    )
