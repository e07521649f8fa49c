"""Key ``history`` of a table: what a run may claim about the past."""

from __future__ import annotations

import datetime
from dataclasses import dataclass
from typing import Annotated, Any

from pydantic import Field, GetJsonSchemaHandler, model_validator
from pydantic.json_schema import JsonSchemaValue
from pydantic_core import CoreSchema
from warehouse.table_spec import HistoryMode

from logical_warehouse.manifest.problems import did_you_mean
from logical_warehouse.manifest.section import Duration, NotNegative, Section, Text, refusal

_INTERVAL = "{interval: {column: …}}"
_VALID_BETWEEN = "{valid_between: {from: …, to: …}}"
FORMS = (
    "current",
    "{current: {lateness: 12h}}",
    _INTERVAL,
    _VALID_BETWEEN,
    "time_travel",
    "{time_travel: {keeps: 90d}}",
)
MODES: tuple[HistoryMode, ...] = ("interval", "valid_between", "time_travel", "current")
_WORDS: tuple[HistoryMode, ...] = ("current", "time_travel")
"""Modes that a word alone says: they need nothing else."""


@dataclass(frozen=True)
class History:
    """How a table knows its past; attributes that are not of the mode have their defaults.

    ``interval``: ``column``, and ``lookback``, how many earlier intervals each run captures again. ``valid_between``:
    ``valid_from``, ``valid_to`` and ``to_inclusive``. ``time_travel``: ``keeps``, how far back the source's own history
    reaches; None where the manifest does not say. ``current``: ``lateness``.
    """

    mode: HistoryMode
    column: str | None = None
    lateness: datetime.timedelta | None = None
    lookback: int = 0
    valid_from: str | None = None
    valid_to: str | None = None
    to_inclusive: bool = False
    keeps: datetime.timedelta | None = None

    @property
    def can_be_backfilled(self) -> bool:
        """Whether past intervals may be captured: of a ``current`` table the source no longer knows them."""
        return self.mode != "current"

    @property
    def is_by_interval(self) -> bool:
        """Whether a snapshot adds its interval's rows to the others', instead of being a whole state."""
        return self.mode == "interval"


class CurrentHistory(Section):
    """The table as it is now."""

    lateness: Duration = datetime.timedelta(hours=12)
    """How long after the end of its interval a run may still capture it; at most the schedule's interval."""


class IntervalHistory(Section):
    """Rows whose column lies in the interval."""

    column: Text
    """Date or timestamp column that says to which interval a row belongs."""
    lookback: NotNegative = 0
    """How many earlier intervals each run captures again, of those that are published; those that differ are published
    again."""


class ValidityHistory(Section):
    """Rows with the span of time in which they hold (slowly changing dimension, type 2)."""

    valid_from: Annotated[Text, Field(alias="from")]
    """Date or timestamp column: the first moment at which the row holds."""
    valid_to: Annotated[Text, Field(alias="to")]
    """Date or timestamp column: the first moment at which the row no longer holds; null, or far away, while it does."""
    inclusive: bool = False
    """Whether `to` is the last moment at which the row holds, instead of the first at which it does not."""


class TimeTravelHistory(Section):
    """What the source itself kept of the table."""

    keeps: Duration | None = None
    """How far back the source keeps it; unset where it keeps it for ever, or can be asked."""


class HistoryConfig(Section):
    """`{interval: {column: …}}`, `{valid_between: {from: …, to: …}}`, `time_travel` or `current`."""

    interval: IntervalHistory | None = None
    """Rows whose column lies in the interval, which are taken not to change after it (but for `lookback`); any date can
    be backfilled."""
    valid_between: ValidityHistory | None = None
    """Rows valid at the end of the interval; any date can be backfilled."""
    time_travel: TimeTravelHistory | None = None
    """The source's own history (system-versioned tables, flashback) at the end of the interval; can be backfilled as
    far as the source keeps it."""
    current: CurrentHistory | None = None
    """The table as it is now, at most `lateness` after the end of the interval; cannot be backfilled."""

    @model_validator(mode="before")
    @classmethod
    def _one_mode(cls, data: Any) -> Any:
        if isinstance(data, cls):
            return data
        written = {data: None} if isinstance(data, str) else data
        if not isinstance(written, dict) or len(written) != 1:
            raise refusal("history has exactly one mode", FORMS)
        (mode, settings) = next(iter(written.items()))
        if mode not in MODES:
            raise refusal(f"{mode!r} is not a known history", FORMS, did_you_mean(str(mode), MODES))
        if mode == "interval" and settings is None:
            raise refusal("interval needs the column that says to which interval a row belongs", [_INTERVAL])
        if mode == "valid_between" and settings is None:
            raise refusal("valid_between needs the columns that say when a row holds", [_VALID_BETWEEN])
        return {mode: settings if settings is not None else {}}

    @classmethod
    def __get_pydantic_json_schema__(cls, schema: CoreSchema, handler: GetJsonSchemaHandler) -> JsonSchemaValue:
        mapping = handler.resolve_ref_schema(handler(schema))
        mapping.update(minProperties=1, maxProperties=1)
        return {"anyOf": [{"enum": list(_WORDS)}, mapping], "description": cls.__doc__ or ""}

    def resolved(self) -> History:
        """The one mode that is given."""
        if (interval := self.interval) is not None:
            return History("interval", column=interval.column, lookback=interval.lookback)
        if (valid := self.valid_between) is not None:
            return History(
                "valid_between",
                valid_from=valid.valid_from,
                valid_to=valid.valid_to,
                to_inclusive=valid.inclusive,
            )
        if self.time_travel is not None:
            return History("time_travel", keeps=self.time_travel.keeps)
        assert self.current is not None  # the validator lets nothing else through
        return History("current", lateness=self.current.lateness)
