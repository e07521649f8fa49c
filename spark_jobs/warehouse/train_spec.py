"""What a training is asked for, and what it answers."""

from __future__ import annotations

from dataclasses import dataclass
from typing import Literal

from warehouse.run_spec import RunSpec
from warehouse.spec_json import SPEC_VERSION
from warehouse.store_spec import StoreSpec

KEPT_PREFIX = "keep_"
"""Of tags that keep what a training read, for as long as the tag is there: ``keep_<training>_<as-of>``."""

InputMode = Literal["window", "all", "latest", "at_or_before"]


@dataclass(frozen=True)
class InputSpec:
    """An input of a training.

    ``window``: the last ``window`` intervals up to the as-of date; ``all``: all since the table's start;
    ``latest``: the newest published snapshot, whatever the as-of date (reference tables); ``at_or_before``: the newest
    one whose interval had ended when that of the as-of date did, of tables that keep whole states.
    """

    table: str
    mode: InputMode
    window: int | None = None


@dataclass(frozen=True)
class TrainJob:
    """Asks to train a model as of a date. ``arguments`` come from the manifest as they are.

    ``as_of_end``: end of the as-of date's interval, ISO 8601 in UTC; what ``at_or_before`` inputs had to know.
    """

    run: RunSpec
    store: StoreSpec
    training: str
    as_of: str
    inputs: tuple[InputSpec, ...]
    arguments: dict[str, str | int | float | bool]
    model_path: str
    result_path: str
    keep_inputs: bool = False
    as_of_end: str | None = None
    version: int = SPEC_VERSION


@dataclass(frozen=True)
class InputRead:
    """Exactly what a training read of one input. ``late``: those of the dates that were captured late."""

    table: str
    mode: InputMode
    as_of: tuple[str, ...]
    iceberg_snapshot_id: int
    rows: int
    late: tuple[str, ...] = ()


@dataclass(frozen=True)
class TrainResult:
    """Answer to a :class:`TrainJob`."""

    training: str
    as_of: str
    metrics: dict[str, float]
    inputs: tuple[InputRead, ...]
    model_path: str
    seconds: float
