"""What every Spark application of a DAG writes to its ``result_path``."""

from __future__ import annotations

from dataclasses import dataclass

from warehouse.failures import FailureKind
from warehouse.snapshot_spec import SnapshotResult
from warehouse.spec_json import SPEC_VERSION
from warehouse.train_spec import TrainResult
from warehouse.validate_spec import ValidateResult


@dataclass(frozen=True)
class JobFailure:
    """Why a job ended without a result: one sentence for a person, no trace, no value of the data."""

    kind: FailureKind
    message: str


Result = SnapshotResult | ValidateResult | TrainResult


@dataclass(frozen=True)
class JobAnswer:
    """What a Spark application writes to its ``result_path``: a result or a failure, never both."""

    snapshot: SnapshotResult | None = None
    validate: ValidateResult | None = None
    train: TrainResult | None = None
    failure: JobFailure | None = None
    version: int = SPEC_VERSION
