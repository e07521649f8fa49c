"""pydantic's errors as problems that a person can act on."""

from __future__ import annotations

import datetime
import typing
from collections.abc import Iterator
from types import UnionType
from typing import Annotated, Any

from pydantic import BaseModel, ValidationError
from pydantic_core import ErrorDetails, PydanticCustomError

from logical_warehouse.manifest.problems import Path, did_you_mean
from logical_warehouse.manifest.section import REFUSAL, Section, shown


class Complaint(typing.NamedTuple):
    """What is wrong at ``path``, before it is known in which line that is."""

    path: Path
    message: str
    allowed: tuple[str, ...] = ()
    hint: str | None = None


def complaints(error: ValidationError, model: type[Section], path: Path) -> Iterator[Complaint]:
    """All complaints of ``error``, which validating ``model`` at ``path`` raised."""
    for details in error.errors(include_url=False):
        yield _complaint(details, model, path)


def refused(error: PydanticCustomError, path: Path) -> Complaint:
    """The complaint of a refusal that was raised outside of a model."""
    context = error.context or {}
    return Complaint(path, context["message"], tuple(context["allowed"]), context["hint"])


def _complaint(details: ErrorDetails, model: type[Section], path: Path) -> Complaint:
    location = details["loc"]
    where = (*path, *location)
    context = details.get("ctx", {})
    value = details["input"]
    kind = details["type"]
    if kind == REFUSAL:
        return Complaint(where, context["message"], tuple(context["allowed"]), context["hint"])
    if kind == "extra_forbidden":
        allowed = keys_of(_model_at(model, location[:-1]))
        return Complaint(where, "unknown key", allowed, did_you_mean(str(location[-1]), allowed))
    if kind == "missing":
        return Complaint(where, "is missing")
    if kind in ("model_type", "model_attributes_type"):
        allowed = keys_of(_model_at(model, location))
        return Complaint(where, "is empty" if value is None else f"{shown(value)} is not a mapping", allowed)
    if value is None or kind in ("too_short", "string_too_short"):
        return Complaint(where, "is empty")
    message, allowed = _described(kind, value, context, details["msg"])
    return Complaint(where, message, allowed, "quote it" if kind == "string_type" and _is_scalar(value) else None)


def _described(kind: str, value: Any, context: dict[str, Any], fallback: str) -> tuple[str, tuple[str, ...]]:
    """Message and what is allowed, for errors about a single value."""
    what = shown(value)
    if kind == "greater_than_equal":
        return f"{what} is too small", (f"{context['ge']:g} or more",)
    if kind == "literal_error":
        return f"{what} is not a known value", (str(context["expected"]),)
    if kind == "string_pattern_mismatch":
        return f"{what} is not an identifier", (str(context["pattern"]),)
    for prefix, noun, allowed in (
        ("string", "text", ()),
        ("int", "a whole number", ()),
        ("float", "a number", ()),
        ("finite", "a number", ()),
        ("bool", "a truth value", ("true", "false")),
        ("date", "a date", ("YYYY-MM-DD",)),
        ("dict", "a mapping", ()),
        ("tuple", "a list", ()),
    ):
        if kind.startswith(prefix):
            return f"{what} is not {noun}", allowed
    return f"{what}: {fallback}", ()


def keys_of(model: type[BaseModel] | None) -> tuple[str, ...]:
    """Keys that a person may write in a section."""
    return tuple(info.alias or name for name, info in model.model_fields.items() if not info.exclude) if model else ()


def _model_at(model: type[BaseModel], location: tuple[str | int, ...]) -> type[BaseModel] | None:
    current: Any = model
    for step in location:
        members = tuple(_members(current))
        model_here = next((one for one in members if isinstance(one, type) and issubclass(one, BaseModel)), None)
        mapping = next((one for one in members if typing.get_origin(one) is dict), None)
        if model_here is not None and step in model_here.model_fields:
            current = model_here.model_fields[str(step)].annotation
        elif mapping is not None:
            current = typing.get_args(mapping)[1]
        else:
            return None
    return next((one for one in _members(current) if isinstance(one, type) and issubclass(one, BaseModel)), None)


def _members(annotation: Any) -> Iterator[Any]:
    """The types of which ``annotation`` is made, optional and annotated ones unwrapped."""
    if typing.get_origin(annotation) is Annotated:
        yield from _members(typing.get_args(annotation)[0])
    elif typing.get_origin(annotation) in (typing.Union, UnionType):
        for member in typing.get_args(annotation):
            yield from _members(member)
    else:
        yield annotation


def _is_scalar(value: Any) -> bool:
    return isinstance(value, int | float | datetime.date)
