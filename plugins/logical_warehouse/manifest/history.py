"""Key ``history`` of a table: what a run may claim about the past."""

from __future__ import annotations

import datetime
from dataclasses import dataclass
from typing import Any, Literal

from pydantic import GetJsonSchemaHandler, model_validator
from pydantic.json_schema import JsonSchemaValue
from pydantic_core import CoreSchema

from logical_warehouse.manifest.problems import did_you_mean
from logical_warehouse.manifest.section import Duration, Section, Text, refusal

HistoryMode = Literal["interval", "current"]
MODES = ("current", "interval")
NOT_YET = ("valid_between", "time_travel")
_FORMS = ("current", "{current: {lateness: 12h}}", "{interval: {column: …}}")


@dataclass(frozen=True)
class History:
    """How a table knows its past: ``column`` for ``interval``, ``lateness`` for ``current``, else None."""

    mode: HistoryMode
    column: str | None = None
    lateness: datetime.timedelta | None = None

    @property
    def can_be_backfilled(self) -> bool:
        """Whether past intervals may be captured: of a ``current`` table the source no longer knows them."""
        return self.mode == "interval"


class CurrentHistory(Section):
    """The table as it is now."""

    lateness: Duration = datetime.timedelta(hours=12)
    """How long after the end of its interval a run may still capture it; at most the schedule's interval."""


class IntervalHistory(Section):
    """Rows whose column lies in the interval."""

    column: Text
    """Date or timestamp column that says to which interval a row belongs."""

    @model_validator(mode="before")
    @classmethod
    def _not_yet(cls, data: Any) -> Any:
        if isinstance(data, dict) and "lookback" in data:
            raise refusal("lookback is not supported yet", allowed=["column"])
        return data


class HistoryConfig(Section):
    """`current`, `{current: {lateness: 12h}}` or `{interval: {column: …}}`."""

    current: CurrentHistory | None = None
    """The table as it is now, at most `lateness` after the end of the interval; cannot be backfilled."""
    interval: IntervalHistory | None = None
    """Rows whose column lies in the interval, which are taken not to change after it; any date can be backfilled."""

    @model_validator(mode="before")
    @classmethod
    def _one_mode(cls, data: Any) -> Any:
        if isinstance(data, cls):
            return data
        written = {data: None} if isinstance(data, str) else data
        if not isinstance(written, dict) or len(written) != 1:
            raise refusal("history has exactly one mode", _FORMS)
        (mode, settings) = next(iter(written.items()))
        if mode in NOT_YET:
            raise refusal(f"{mode} is not supported yet", _FORMS)
        if mode not in MODES:
            raise refusal(f"{mode!r} is not a known history", _FORMS, did_you_mean(str(mode), MODES))
        if mode == "interval" and settings is None:
            raise refusal("interval needs the column that says to which interval a row belongs", [_FORMS[2]])
        return {mode: settings if settings is not None else {}}

    @classmethod
    def __get_pydantic_json_schema__(cls, schema: CoreSchema, handler: GetJsonSchemaHandler) -> JsonSchemaValue:
        mapping = handler.resolve_ref_schema(handler(schema))
        mapping.update(minProperties=1, maxProperties=1)
        return {"anyOf": [{"const": "current"}, mapping], "description": cls.__doc__ or ""}

    def resolved(self) -> History:
        """The one mode that is given."""
        if self.interval is not None:
            return History("interval", column=self.interval.column)
        assert self.current is not None  # the validator lets nothing else through
        return History("current", lateness=self.current.lateness)
