"""What every training does around its own learning: read the inputs as of a date, keep the model, say what was read.

An application of one's own is three lines, as ``train_model.py`` is: a function from the input frames and the
manifest's arguments to a fitted model and its metrics, given to :func:`run_training`.

Below ``model_path`` each try has its own folder with ``model`` (Spark ML), ``metrics.json`` and ``inputs.json``, and
``current.json``, written last, names the folder that counts: a reader never sees half a model. It also names the one
that counted before, which stays for whoever is reading it just now, and goes when the next one counts. A training
removes no other folder: what no pointer has named may be of another run of this date, which is still writing it. Those
of ended runs are for ``clean-store``.
"""

from __future__ import annotations

import dataclasses
import json
import time
from collections.abc import Callable, Mapping
from dataclasses import dataclass
from datetime import UTC, datetime
from typing import TYPE_CHECKING, Any

from py4j.protocol import Py4JJavaError
from pyspark.ml import PipelineModel
from pyspark.sql import DataFrame

from warehouse.coverage import NoSuchSnapshot
from warehouse.failures import RetryableError
from warehouse.model_folders import INPUTS, POINTER, new_folder
from warehouse.reading import UnknownTable, read_again, read_input
from warehouse.spec_json import from_json
from warehouse.store_files import delete_folder, read_text, write_text
from warehouse.store_spec import StoreSpec
from warehouse.train_spec import KEPT_PREFIX, InputRead, TrainJob, TrainResult
from warehouse.vendor_errors import store_errors

if TYPE_CHECKING:
    from pyspark.sql import SparkSession

Learn = Callable[[Mapping[str, DataFrame], Mapping[str, object]], tuple[PipelineModel, dict[str, float]]]
"""Inputs by table name and the manifest's arguments → fitted model and its metrics."""


@dataclass(eq=False)
class InputNotCaptured(RetryableError):
    """A reference table without any snapshot: the training does not wait for it, its retries may see it arrive."""

    table: str
    training: str

    def __str__(self) -> str:
        return f"table {self.table}, an input of the training {self.training}, was never captured; run its snapshot"


def run_training(session: SparkSession, job: TrainJob, learn: Learn) -> TrainResult:
    """Read the inputs of ``job``, learn, and make the model the current one of its date.

    :returns: ``model_path`` is the folder that ``PipelineModel.load`` takes.
    :raises JobError: an input cannot be read as of the date, or ``learn`` refuses it.
    """
    started = time.monotonic()
    read_at = datetime.now(UTC).isoformat(timespec="milliseconds").replace("+00:00", "Z")
    frames, reads = _read_inputs(session, job)
    model, metrics = learn(frames, job.arguments)
    print(", ".join(f"{name} {value:.6g}" for name, value in metrics.items()), flush=True)
    with store_errors(job.store.uri):
        model_path = _keep_model(session, job, model, metrics, _inputs_json(job, reads, read_at))
    return TrainResult(job.training, job.as_of, metrics, reads, model_path, round(time.monotonic() - started, 3))


def load_model(session: SparkSession, model_path: str) -> PipelineModel:
    """The current model below ``model_path``, the path that the manifest names for a training and a date.

    :raises FileNotFoundError: none was trained.
    """
    folder = current_folder(session, model_path)
    if folder is None:
        raise FileNotFoundError(f"no model was trained below {model_path}")
    return PipelineModel.load(f"{model_path.rstrip('/')}/{folder}/model")


def current_folder(session: SparkSession, model_path: str) -> str | None:
    """Name of the folder below ``model_path`` that counts, or None where no training of that date ended well."""
    pointer = _read_json(session, f"{model_path.rstrip('/')}/{POINTER}")
    return None if pointer is None else str(pointer["folder"])


def repeat_inputs(
    session: SparkSession, store: StoreSpec | str, model_path: str, *, folder: str | None = None
) -> dict[str, DataFrame]:
    """Exactly what a training read, row for row, by table; whatever was published since.

    :param model_path: the path that the manifest names for the training and the date.
    :param folder: of the try below it; the one that counts where not given.
    :raises FileNotFoundError: no such training.
    :raises InputExpired: an input is no longer kept; `keep_inputs` in the manifest keeps them.
    """
    folder = folder or current_folder(session, model_path)
    written = None if folder is None else _read_json(session, f"{model_path.rstrip('/')}/{folder}/{INPUTS}")
    if written is None:
        raise FileNotFoundError(f"no training wrote what it read below {model_path}")
    reads = [from_json(InputRead, json.dumps(one)) for one in written["inputs"]]
    return {read.table: read_again(session, store, read, trained_at=written["read_at"]) for read in reads}


def _read_json(session: SparkSession, path: str) -> Any | None:
    """What a JSON file holds; None where there is no such file."""
    text = read_text(session, path)
    return None if text is None else json.loads(text)


def _read_inputs(session: SparkSession, job: TrainJob) -> tuple[dict[str, DataFrame], tuple[InputRead, ...]]:
    keep_as = f"{KEPT_PREFIX}{job.training}_{job.as_of}" if job.keep_inputs else None
    frames: dict[str, DataFrame] = {}
    reads: list[InputRead] = []
    for spec in job.inputs:
        try:
            frames[spec.table], read = read_input(
                session, job.store, spec, job.as_of, as_of_end=job.as_of_end, keep_as=keep_as
            )
        except (UnknownTable, NoSuchSnapshot) as error:
            waits = spec.mode in ("window", "all")
            if waits or (isinstance(error, NoSuchSnapshot) and error.published):
                raise
            raise InputNotCaptured(spec.table, job.training) from error
        first, last = read.as_of[0], read.as_of[-1]
        dates = first if first == last else f"{first} to {last}"
        print(f"{read.table}: {read.rows} rows of {dates}, Iceberg snapshot {read.iceberg_snapshot_id}", flush=True)
        reads.append(read)
    return frames, tuple(reads)


def _inputs_json(job: TrainJob, reads: tuple[InputRead, ...], read_at: str) -> str:
    return json.dumps(
        {
            "training": job.training,
            "as_of": job.as_of,
            "dag_id": job.run.dag_id,
            "run_id": job.run.run_id,
            "read_at": read_at,
            "inputs": [dataclasses.asdict(read) for read in reads],
        },
        indent=2,
    )


def _keep_model(
    session: SparkSession, job: TrainJob, model: PipelineModel, metrics: dict[str, float], inputs_json: str
) -> str:
    root = job.model_path.rstrip("/")
    folder = new_folder(job.run)
    model.write().save(f"{root}/{folder}/model")
    write_text(session, f"{root}/{folder}/metrics.json", json.dumps(metrics, indent=2))
    write_text(session, f"{root}/{folder}/{INPUTS}", inputs_json)
    try:
        replaced = _read_json(session, f"{root}/{POINTER}") or {}
    except (Py4JJavaError, ValueError):
        # Lost, or whoever wrote it died: it leads nobody anywhere, and is replaced. clean-store frees what it named.
        replaced = {}
    write_text(session, f"{root}/{POINTER}", json.dumps({"folder": folder, "before": replaced.get("folder")}))
    if replaced.get("before") is not None:
        delete_folder(session, f"{root}/{replaced['before']}")
    return f"{root}/{folder}/model"
