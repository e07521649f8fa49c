"""What all sections of the manifest share: the base model, refusals, and the kinds of value."""

from __future__ import annotations

import datetime
import re
from collections.abc import Iterable
from typing import Annotated, Any

from pydantic import BaseModel, BeforeValidator, ConfigDict, Field, PlainValidator, WithJsonSchema
from pydantic_core import PydanticCustomError

from logical_warehouse.manifest.problems import did_you_mean

REFUSAL = "manifest_refusal"
"""Error type of :func:`refusal`; its context carries ``message``, ``allowed`` and ``hint``."""

NAME_PATTERN = r"^[a-z][a-z0-9_]*$"
NAME_LENGTH = 60
"""Names become parts of DAG ids (``snapshot_<group>``), pools, branches and paths."""

_DURATION_PATTERN = r"^(?:\d+d)?(?:\d+h)?(?:\d+m)?(?:\d+s)?$"
_DURATION_PARTS = re.compile(r"(?:(?P<days>\d+)d)?(?:(?P<hours>\d+)h)?(?:(?P<minutes>\d+)m)?(?:(?P<seconds>\d+)s)?")


class Section(BaseModel):
    """A mapping of the manifest: unknown keys are refused, and nothing changes once read."""

    model_config = ConfigDict(extra="forbid", frozen=True, use_attribute_docstrings=True)


def refusal(message: str, allowed: Iterable[str] = (), hint: str | None = None) -> PydanticCustomError:
    """An error for validators to raise that carries what a problem needs."""
    return PydanticCustomError(REFUSAL, "{message}", {"message": message, "allowed": tuple(allowed), "hint": hint})


def check_name(name: str, what: str) -> None:
    """Refuse a name that cannot become part of a DAG id, a branch and a path.

    :param what: for the message, ``table``.
    """
    if not re.fullmatch(NAME_PATTERN, name) or len(name) > NAME_LENGTH:
        allowed = f"a small letter, then small letters, digits and _, at most {NAME_LENGTH} in all"
        suggestion = re.sub(r"[^a-z0-9_]+", "_", name.lower()).strip("_")[:NAME_LENGTH]
        usable = suggestion != name and re.fullmatch(NAME_PATTERN, suggestion)
        hint = f"did you mean {suggestion!r}?" if usable else None
        raise refusal(f"{name!r} cannot be the name of a {what}", allowed=[allowed], hint=hint)


def one_of(value: object, allowed: Iterable[str]) -> str:
    """``value`` if it is one of the words ``allowed``, else a refusal with "did you mean"."""
    words = tuple(allowed)
    if isinstance(value, str) and value in words:
        return value
    raise refusal(f"{value!r} is not a known value", words, did_you_mean(str(value), words))


def parse_duration(value: object) -> datetime.timedelta:
    """``1d``, ``12h``, ``1h30m``, ``90s`` as a timedelta."""
    if isinstance(value, datetime.timedelta):
        return value
    match = _DURATION_PARTS.fullmatch(value) if isinstance(value, str) and value else None
    if match is None:
        raise refusal(f"{value!r} is not a duration", allowed=["numbers with d, h, m or s, such as 12h or 1h30m"])
    return datetime.timedelta(**{unit: int(number) for unit, number in match.groupdict(default="0").items()})


def duration_text(duration: datetime.timedelta) -> str:
    """The shortest text that :func:`parse_duration` reads back; whole seconds."""
    minutes, seconds = divmod(int(duration.total_seconds()), 60)
    hours, minutes = divmod(minutes, 60)
    days, hours = divmod(hours, 24)
    parts = (f"{days}d", days), (f"{hours}h", hours), (f"{minutes}m", minutes), (f"{seconds}s", seconds)
    return "".join(text for text, number in parts if number) or "0s"


def _group_name(value: object) -> object:
    if isinstance(value, str):
        check_name(value, "group")
    return value


def _whole(value: object) -> object:
    if isinstance(value, bool):
        raise refusal(f"{value!r} is not a whole number")
    return value


def _number(value: object) -> object:
    if isinstance(value, bool):
        raise refusal(f"{value!r} is not a number")
    return value


def _date(value: object) -> object:
    # pydantic would take a number for seconds since 1970.
    if value is None or isinstance(value, str) or type(value) is datetime.date:
        return value
    raise refusal(f"{shown(value)} is not a date", allowed=["YYYY-MM-DD"])


def _scalar(value: object) -> object:
    if isinstance(value, str | int | float):
        return value
    raise refusal(f"{shown(value)} is not a single value", allowed=["text (quote dates)", "number", "true", "false"])


def _text_list(value: object) -> object:
    if isinstance(value, str):
        raise refusal(f"{value!r} is not a list", hint=f"did you mean [{value}]?")
    return value


def shown(value: object) -> str:
    """A value as a message names it; mappings and lists by their kind only."""
    match value:
        case dict():
            return "a mapping"
        case list():
            return "a list"
        case None:
            return "nothing"
        case datetime.date():
            return str(value)
        case _:
            return repr(value)


# Constraints stand before the validators, or the JSON Schema would not show them.
Positive = Annotated[int, Field(ge=1), BeforeValidator(_whole)]
NotNegative = Annotated[int, Field(ge=0), BeforeValidator(_whole)]
NotNegativeNumber = Annotated[float, Field(ge=0), BeforeValidator(_number)]
Text = Annotated[str, Field(min_length=1)]
TextList = Annotated[tuple[Text, ...], BeforeValidator(_text_list)]
SomeTexts = Annotated[tuple[Text, ...], Field(min_length=1), BeforeValidator(_text_list)]
GroupName = Annotated[
    str,
    BeforeValidator(_group_name),
    WithJsonSchema({"type": "string", "pattern": NAME_PATTERN, "maxLength": NAME_LENGTH}),
]
Date = Annotated[datetime.date, BeforeValidator(_date)]
Duration = Annotated[
    datetime.timedelta,
    PlainValidator(parse_duration),
    WithJsonSchema({"type": "string", "pattern": _DURATION_PATTERN, "minLength": 2, "examples": ["12h", "1h30m"]}),
]
Scalar = Annotated[
    Any,
    PlainValidator(_scalar),
    WithJsonSchema({"anyOf": [{"type": "string"}, {"type": "number"}, {"type": "boolean"}]}),
]
