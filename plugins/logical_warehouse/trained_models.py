"""Which trainings read which dates of a table: by the models in the store, and by what Airflow knows of their runs."""

from __future__ import annotations

import json
from collections.abc import Collection, Iterable, Iterator
from contextlib import suppress
from dataclasses import dataclass
from typing import Any

from warehouse.failures import RetryableError
from warehouse.model_folders import INPUTS, POINTER, run_key_of
from warehouse.run_spec import RunSpec
from warehouse.spec_json import SpecError, from_json
from warehouse.store_failures import FileIncomplete
from warehouse.train_spec import InputRead, TrainResult

from logical_warehouse.manifest import Manifest
from logical_warehouse.store_files import LocalFiles, StoreFiles, path_in, store_files


@dataclass(frozen=True)
class TrainedModel:
    """A training that read a table. ``dates``: of the table; ``run_id``: None where the model does not tell.
    ``snapshots``: ids of the Iceberg snapshots that it read them from.

    ``path``: of the model, None where it was not found any more, or lies where it cannot be looked for.
    """

    training: str
    as_of: str
    run_id: str | None
    dates: tuple[str, ...]
    path: str | None
    snapshots: tuple[int, ...] = ()


@dataclass(frozen=True)
class ModelFolder:
    """What one try of a training wrote, or is writing. ``root``: URI under which the models of all trainings are."""

    files: StoreFiles
    root: str
    training: str
    as_of: str
    name: str

    @property
    def path(self) -> str:
        """Path in its file system."""
        return f"{path_in(self.root)}/{self.training}/{self.as_of}/{self.name}"

    @property
    def is_named(self) -> bool:
        """Whether the pointer of its date names it. One that is being written, or is lost, is taken to do so."""
        try:
            pointer = json.loads(self.files.read(f"{self.path.rpartition('/')[0]}/{POINTER}"))
        except FileNotFoundError:
            return False
        except (RetryableError, ValueError):
            return True
        return self.name in (pointer.get("folder"), pointer.get("before"))


def models_in_store(manifest: Manifest, table: str) -> list[TrainedModel]:
    """Models that lie in the store, or in a folder of this machine, and had ``table`` as an input.

    :raises RetryableError: the store does not answer.
    """
    found: list[TrainedModel] = []
    for folder in model_folders(manifest):
        with suppress(FileNotFoundError, FileIncomplete):  # incomplete: of a training that died as it wrote it
            written = json.loads(folder.files.read(f"{folder.path}/{INPUTS}"))
            if reads := _reads((from_json(InputRead, json.dumps(read)) for read in written["inputs"]), table):
                path = f"{folder.root}/{folder.training}/{folder.as_of}/{folder.name}"
                found.append(_model(folder.training, folder.as_of, written.get("run_id"), reads, path))
    return found


def model_folders(manifest: Manifest) -> list[ModelFolder]:
    """The folders of all tries of trainings, in the store and in folders of this machine.

    :raises RetryableError: the store does not answer.
    """
    roots = {f"{manifest.store.uri}/_models"}
    roots |= {training.model.rstrip("/") for training in manifest.trainings.values() if training.model}
    found: list[ModelFolder] = []
    for root in sorted(roots):
        if root.startswith(f"{manifest.store.uri}/"):
            found += _folders_below(store_files(manifest.store), root)
        elif root.startswith("file://"):
            found += _folders_below(LocalFiles(), root)
    return found


def _folders_below(files: StoreFiles, root: str) -> Iterator[ModelFolder]:
    path = path_in(root)
    for training in files.folders(path):
        for as_of in files.folders(f"{path}/{training}"):
            for name in files.folders(f"{path}/{training}/{as_of}"):
                yield ModelFolder(files, root, training, as_of, name)


def unreachable_models(folders: Iterable[ModelFolder], active: Collection[RunSpec]) -> tuple[ModelFolder, ...]:
    """Those of ended runs that no pointer leads a reader to: of killed tries, and of one date's trainings at once.

    :param folders: listed before it was asked which runs are ``active``: what has begun since is not among them.
    """
    keys = {run.key for run in active}
    ended = [one for one in folders if (key := run_key_of(one.name)) is not None and key not in keys]
    # Only now: a run that has ended since they were listed has made its own the one that counts.
    return tuple(one for one in ended if not one.is_named)


def models_of_results(results: Iterable[tuple[str, Any]], table: str) -> list[TrainedModel]:
    """Trainings that read ``table``, by what their tasks returned.

    :param results: run id, and the :class:`TrainResult` as JSON; what is none is passed over.
    """
    found = []
    for run_id, text in results:
        with suppress(SpecError):
            result = from_json(TrainResult, text if isinstance(text, str) else json.dumps(text))
            if reads := _reads(result.inputs, table):
                found.append(_model(result.training, result.as_of, run_id, reads, None))
    return found


def together(in_store: Iterable[TrainedModel], by_runs: Iterable[TrainedModel]) -> tuple[TrainedModel, ...]:
    """Every model in the store, and of what runs returned that of which the store has no model (any more).

    A run that was cleared has several models, each of what its try read.
    """
    models = list(in_store)
    stored = {(model.training, model.as_of, model.run_id, model.snapshots) for model in models}
    models += [one for one in by_runs if (one.training, one.as_of, one.run_id, one.snapshots) not in stored]
    return tuple(sorted(models, key=lambda one: (one.training, one.as_of, one.run_id or "", one.path or "")))


def that_read(
    models: Iterable[TrainedModel], dates: Collection[str], snapshots: Collection[int] = ()
) -> tuple[TrainedModel, ...]:
    """Those that read one of ``dates`` or of ``snapshots`` at least."""
    return tuple(
        model
        for model in models
        if not (set(dates).isdisjoint(model.dates) and set(snapshots).isdisjoint(model.snapshots))
    )


def _reads(reads: Iterable[InputRead], table: str) -> list[InputRead]:
    return [read for read in reads if read.table == table]


def _model(training: str, as_of: str, run_id: str | None, reads: list[InputRead], path: str | None) -> TrainedModel:
    dates = tuple(date for read in reads for date in read.as_of)
    return TrainedModel(training, as_of, run_id, dates, path, tuple(read.iceberg_snapshot_id for read in reads))
