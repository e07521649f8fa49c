"""Section ``trainings``: Spark ML jobs that run when their inputs have a snapshot for the same as-of date."""

from __future__ import annotations

import datetime
from dataclasses import dataclass, field
from pathlib import PurePosixPath
from typing import Annotated, Any, Literal

from pydantic import BeforeValidator, Field, GetJsonSchemaHandler, model_validator
from pydantic.json_schema import JsonSchemaValue
from pydantic_core import CoreSchema
from warehouse.train_spec import InputMode

from logical_warehouse.manifest.problems import did_you_mean
from logical_warehouse.manifest.section import Duration, NotNegative, Positive, Section, Text, TextList, refusal
from logical_warehouse.manifest.spark import ScalarMap
from logical_warehouse.manifest.table import DEFAULT_OWNER, DEFAULT_RETRIES, DEFAULT_RETRY_DELAY

_WORDS = ("latest", "at_or_before", "all")
DEFAULT_WAIT_FOR_INPUTS = datetime.timedelta(hours=6)
_FORMS = ("latest", "at_or_before", "all", "{window: n}")


def _application(value: object) -> object:
    if isinstance(value, str):
        path = PurePosixPath(value)
        if path.is_absolute() or ".." in path.parts or path.suffix != ".py":
            raise refusal(
                f"{value!r} is not a Python file under spark_jobs/", allowed=["a path such as train_model.py"]
            )
    return value


class InputConfig(Section):
    """`latest`, `at_or_before`, `all` or `{window: n}`."""

    window: Positive | None = None
    """The last so many intervals up to the as-of date."""
    word: Annotated[Literal["latest", "at_or_before", "all"] | None, Field(exclude=True)] = None

    @model_validator(mode="before")
    @classmethod
    def _one_form(cls, data: Any) -> Any:
        if isinstance(data, str) and data in _WORDS:
            return {"word": data}
        if isinstance(data, str):
            raise refusal(f"{data!r} is not a known input", _FORMS, did_you_mean(data, (*_WORDS, "window")))
        if isinstance(data, dict) and list(data) == ["window"] and data["window"] is not None:
            return data
        if isinstance(data, dict) and len(data) == 1 and (key := str(next(iter(data)))) != "window":
            raise refusal(f"{key!r} is not a known input", _FORMS, did_you_mean(key, (*_WORDS, "window")))
        raise refusal("an input is one of these forms", _FORMS)

    @classmethod
    def __get_pydantic_json_schema__(cls, schema: CoreSchema, handler: GetJsonSchemaHandler) -> JsonSchemaValue:
        mapping = handler.resolve_ref_schema(handler(schema))
        mapping["properties"] = {"window": {**mapping["properties"]["window"], "type": "integer", "minimum": 1}}
        mapping["properties"]["window"].pop("anyOf", None)
        mapping["required"] = ["window"]
        return {"anyOf": [{"enum": list(_WORDS)}, mapping], "description": cls.__doc__ or ""}

    def resolved(self) -> TrainingInput:
        """The one form that is given."""
        return TrainingInput(self.word if self.word is not None else "window", self.window)


class TrainingConfig(Section):
    """A Spark ML job."""

    application: Annotated[str, BeforeValidator(_application)]
    """Path of its Python file under `spark_jobs/`."""
    inputs: Annotated[dict[str, InputConfig], Field(min_length=1)]
    """Table to what is read of it: `{window: n}` (the last n intervals up to the as-of date), `all` (all since the
    table's start), or of a reference table, read but not waited for, `at_or_before` (the newest snapshot that had ended
    with the as-of date) or `latest` (the newest snapshot of all)."""
    description: str = ""
    """Shown on the DAG's page."""
    owner: Text | None = None
    """Owner in Airflow."""
    tags: TextList | None = None
    """Tags in Airflow."""
    arguments: ScalarMap = Field(default_factory=dict)
    """Passed on to the application."""
    conf: ScalarMap = Field(default_factory=dict)
    """Spark configuration of this application, over that of `spark`."""
    model: Text | None = None
    """URI under which models go; in the store, where unset."""
    wait_for_inputs: Duration = DEFAULT_WAIT_FOR_INPUTS
    """How long to wait for missing intervals, as while a backfill runs; `0s`: by its tries only."""
    keep_inputs: bool = False
    """Keep exactly what was read, so that it can be read again row for row."""
    retries: NotNegative | None = None
    """How often a task is tried again after a failure that may pass."""
    retry_delay: Duration | None = None
    """Time between tries."""


@dataclass(frozen=True)
class TrainingInput:
    """What a training reads of one table; ``window`` is None but for the mode ``window``."""

    mode: InputMode
    window: int | None = None

    @property
    def is_dated(self) -> bool:
        """Whether the training waits for this table's snapshot of its as-of date."""
        return self.mode in ("window", "all")


@dataclass(frozen=True)
class Training:
    """A training with everything filled in; attributes are named as the manifest's keys."""

    name: str
    application: str
    inputs: dict[str, TrainingInput]
    description: str = ""
    owner: str = DEFAULT_OWNER
    tags: tuple[str, ...] = ()
    arguments: dict[str, str | int | float | bool] = field(default_factory=dict)
    conf: dict[str, str | int | float | bool] = field(default_factory=dict)
    model: str | None = None
    wait_for_inputs: datetime.timedelta = DEFAULT_WAIT_FOR_INPUTS
    keep_inputs: bool = False
    retries: int = DEFAULT_RETRIES
    retry_delay: datetime.timedelta = DEFAULT_RETRY_DELAY

    @property
    def dated_inputs(self) -> tuple[str, ...]:
        """The tables that it waits for; never empty, and all of one schedule."""
        return tuple(table for table, read in self.inputs.items() if read.is_dated)
