"""Which trainings read which dates of a table: by the models in the store, and by what Airflow knows of their runs."""

from __future__ import annotations

import json
from collections.abc import Collection, Iterable, Iterator
from contextlib import suppress
from dataclasses import dataclass
from typing import Any
from urllib.parse import urlsplit

from warehouse.spec_json import SpecError, from_json
from warehouse.store_failures import FileIncomplete
from warehouse.train_spec import InputRead, TrainResult

from logical_warehouse.manifest import Manifest
from logical_warehouse.store_files import LocalFiles, StoreFiles, store_files


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


def models_in_store(manifest: Manifest, table: str) -> list[TrainedModel]:
    """Models that lie in the store, or in a folder of this machine, and had ``table`` as an input.

    :raises RetryableError: the store does not answer.
    """
    found: list[TrainedModel] = []
    roots = {f"{manifest.store.uri}/_models"}
    roots |= {training.model.rstrip("/") for training in manifest.trainings.values() if training.model}
    for root in sorted(roots):
        if root.startswith(f"{manifest.store.uri}/"):
            found += _models_below(store_files(manifest.store), root, table)
        elif root.startswith("file://"):
            found += _models_below(LocalFiles(), root, table)
    return found


def _models_below(files: StoreFiles, root: str, table: str) -> Iterator[TrainedModel]:
    folder = urlsplit(root).path
    for training in files.folders(folder):
        for as_of in files.folders(f"{folder}/{training}"):
            for one in files.folders(f"{folder}/{training}/{as_of}"):
                with suppress(FileNotFoundError, FileIncomplete):  # incomplete: of a training that died as it wrote it
                    written = json.loads(files.read(f"{folder}/{training}/{as_of}/{one}/inputs.json"))
                    if reads := _reads((from_json(InputRead, json.dumps(read)) for read in written["inputs"]), table):
                        path = f"{root}/{training}/{as_of}/{one}"
                        yield _model(training, as_of, written.get("run_id"), reads, path)


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
    """Both, each training run once."""
    known = {(model.training, model.as_of, model.run_id): model for model in by_runs}
    known |= {(model.training, model.as_of, model.run_id): model for model in in_store}
    return tuple(sorted(known.values(), key=lambda model: (model.training, model.as_of, model.run_id or "")))


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
