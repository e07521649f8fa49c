"""Dataclasses to JSON and back, strictly: what this version does not know is refused, never guessed.

Standard library only, since it travels with ``--py-files`` and is imported by Airflow, too.
"""

from __future__ import annotations

import dataclasses
import json
import types
import typing
from pathlib import Path
from typing import Any, Literal, TypeVar

SPEC_VERSION = 1
"""Raised when a field of a spec changes its meaning; an application refuses a spec of another version."""


class SpecError(ValueError):
    """A spec or an answer that this version cannot read."""


Spec = TypeVar("Spec")


def to_json(spec: Any) -> str:
    """Compact JSON of a spec or an answer; the same value always gives the same text."""
    return json.dumps(dataclasses.asdict(spec), sort_keys=True, separators=(",", ":"))


def spec_text(argument: str) -> str:
    """JSON of the spec that a program was given as its argument: that text, or ``@`` and the path of a file with it.

    Linux refuses an argument of 128 KiB or more, which the spec of a group of some thirty wide tables has.

    :raises SpecError: the file cannot be read.
    """
    if not argument.startswith("@"):
        return argument
    try:
        return Path(argument[1:]).read_text(encoding="utf-8")
    except OSError as error:
        raise SpecError(f"the spec cannot be read: {error}") from error


def spec_argument(folder: Path, text: str) -> str:
    """What to give to a program for :func:`spec_text`; ``folder``: readable for it until it has begun."""
    file = folder / "job.json"
    file.write_text(text, encoding="utf-8")
    return f"@{file}"


def from_json(kind: type[Spec], text: str | bytes) -> Spec:
    """Read ``kind`` back from :func:`to_json`'s text.

    :raises SpecError: not JSON, another version, a missing or an unknown field, or a value of another type.
    """
    try:
        raw = json.loads(text)
    except ValueError as error:
        raise SpecError(f"{kind.__name__} is not JSON: {error}") from error
    if isinstance(raw, dict) and raw.get("version", SPEC_VERSION) != SPEC_VERSION:
        raise SpecError(f"{kind.__name__} has version {raw['version']}, this code reads version {SPEC_VERSION}")
    return typing.cast(Spec, _read(kind, raw, kind.__name__))


def _read(kind: Any, raw: Any, where: str) -> Any:  # noqa: PLR0911  # one return per kind of type hint
    origin, arguments = typing.get_origin(kind), typing.get_args(kind)
    if kind is Any:
        return raw
    if dataclasses.is_dataclass(kind):
        return _read_dataclass(typing.cast(type, kind), raw, where)
    if origin in (typing.Union, types.UnionType):
        return _read_union(arguments, raw, where)
    if origin is Literal:
        if raw not in arguments:
            raise SpecError(f"{where} is {raw!r}, not one of {', '.join(map(repr, arguments))}")
        return raw
    if origin is tuple and isinstance(raw, list):
        return tuple(_read(arguments[0], item, f"{where}[{index}]") for index, item in enumerate(raw))
    if origin is dict and isinstance(raw, dict):
        return {key: _read(arguments[1], value, f"{where}.{key}") for key, value in raw.items()}
    if kind is float and isinstance(raw, int) and not isinstance(raw, bool):
        return float(raw)
    if isinstance(kind, type) and isinstance(raw, kind) and not (isinstance(raw, bool) and kind is not bool):
        return raw
    raise SpecError(f"{where} is {type(raw).__name__}, not {getattr(kind, '__name__', kind)}")


def _read_union(members: tuple[Any, ...], raw: Any, where: str) -> Any:
    if raw is None and type(None) in members:
        return None
    # The exact type first: an int stays an int in `int | float`.
    for member in sorted((m for m in members if m is not type(None)), key=lambda m: m is not type(raw)):
        try:
            return _read(member, raw, where)
        except SpecError as error:
            failure = error
    raise failure


def _read_dataclass(kind: type, raw: Any, where: str) -> Any:
    if not isinstance(raw, dict):
        raise SpecError(f"{where} is {type(raw).__name__}, not an object")
    hints = typing.get_type_hints(kind)
    fields = {f.name: f for f in dataclasses.fields(kind)}
    if unknown := raw.keys() - fields.keys():
        raise SpecError(f"{where} has the unknown field {sorted(unknown)[0]!r}")
    for name, spec_field in fields.items():
        required = spec_field.default is dataclasses.MISSING and spec_field.default_factory is dataclasses.MISSING
        if required and name not in raw:
            raise SpecError(f"{where} lacks the field {name!r}")
    return kind(**{name: _read(hints[name], value, f"{where}.{name}") for name, value in raw.items()})
