"""Key ``columns`` of a table: which of the source's columns are read, and as what kinds."""

from __future__ import annotations

from typing import Annotated, get_args

from pydantic import Field, PlainValidator, WithJsonSchema, model_validator
from warehouse.kinds import KindName, parse_kind

from logical_warehouse.manifest.problems import did_you_mean
from logical_warehouse.manifest.section import Section, SomeTexts, Text, refusal, shown

DECIMAL = "decimal(p,s)"
KINDS = tuple(DECIMAL if name == "decimal" else name for name in get_args(KindName))


def _kind(value: object) -> str:
    """A kind as :func:`warehouse.kinds.parse_kind` reads it, written in one way."""
    if not isinstance(value, str):
        raise refusal(f"{shown(value)} is not a kind of value", KINDS)
    try:
        return str(parse_kind(value))
    except ValueError as error:
        name, bracket, rest = value.partition("(")
        if bracket and not rest.endswith(")"):
            # {a: decimal(38,10)} is {a: "decimal(38", "10)": null} in YAML.
            raise refusal(f"{value!r} is not a kind of value", hint="a kind with a comma needs quotes") from None
        if name == "decimal" and bracket:
            raise refusal(str(error)) from None
        raise refusal(f"{value!r} is not a kind of value", KINDS, did_you_mean(name, KINDS)) from None


KindText = Annotated[
    str,
    PlainValidator(_kind),
    WithJsonSchema(
        {
            "type": "string",
            "pattern": rf"^({'|'.join(kind for kind in KINDS if kind != DECIMAL)}|decimal\(\d+, *\d+\))$",
            "examples": ["text", "decimal(38,10)"],
        }
    ),
]


class Columns(Section):
    """Which columns are read, all but `exclude` or only `include`, and as what."""

    include: SomeTexts | None = None
    """Only these."""
    exclude: SomeTexts | None = None
    """All but these."""
    types: Annotated[dict[Text, KindText], Field(min_length=1)] | None = None
    """Column to the kind of value as which it is captured, for those whose type does not decide it as wanted."""

    @model_validator(mode="after")
    def _some(self) -> Columns:
        if self.include is not None and self.exclude is not None:
            raise refusal("columns has at most one of include and exclude", allowed=["include", "exclude"])
        if self.include is None and self.exclude is None and self.types is None:
            raise refusal("columns is empty", allowed=["include", "exclude", "types"])
        for column in self.types or ():
            if not self.has(column):
                raise refusal(f"the column {column!r} of types is not read", hint=f"take {column!r} out of types")
        return self

    def has(self, column: str) -> bool:
        """Whether ``column`` is read."""
        if self.include is not None:
            return column in self.include
        return column not in (self.exclude or ())

    def kind_of(self, column: str) -> str | None:
        """The kind that ``types`` asks for, as ``ColumnSpec.as_kind`` has it."""
        return (self.types or {}).get(column)
