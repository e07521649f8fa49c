"""Key ``columns`` of a table: which of the source's columns are read, as what kinds, and under which masks."""

from __future__ import annotations

from typing import Annotated, get_args

from pydantic import Field, PlainValidator, WithJsonSchema, model_validator
from warehouse.kinds import KindName, parse_kind
from warehouse.masks import MASK_FORMS, MASK_PATTERN, parse_mask

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


def _mask(value: object) -> str:
    """A mask as :func:`warehouse.masks.parse_mask` reads it."""
    if not isinstance(value, str):
        raise refusal(f"{shown(value)} is not a mask", MASK_FORMS)
    try:
        return str(parse_mask(value))
    except ValueError:
        name, bracket, rest = value.partition("(")
        if bracket and not rest.endswith(")"):
            raise refusal(f"{value!r} is not a mask", MASK_FORMS, "quote it where it has a comma") from None
        names = [form.partition("(")[0] for form in MASK_FORMS]
        near = None if name in names else did_you_mean(name, names)
        raise refusal(f"{value!r} is not a mask", MASK_FORMS, near) from None


MaskText = Annotated[
    str,
    PlainValidator(_mask),
    WithJsonSchema(
        {"type": "string", "pattern": f"^({MASK_PATTERN})$", "examples": ["hash", "truncate(4)", "hmac(mask_key)"]}
    ),
]


class Columns(Section):
    """Which columns are read, all but `exclude` or only `include`, as what, and under which masks."""

    include: SomeTexts | None = None
    """Only these."""
    exclude: SomeTexts | None = None
    """All but these."""
    types: Annotated[dict[Text, KindText], Field(min_length=1)] | None = None
    """Column to the kind of value as which it is captured, for those whose type does not decide it as wanted."""
    mask: Annotated[dict[Text, MaskText], Field(min_length=1)] | None = None
    """Column to what the source hands out in place of its values: their SHA-256 (`hash`), their HMAC-SHA-256 under the
    password of an Airflow connection, their first characters, or the same text for every row (`redact`)."""
    classification: Annotated[dict[Text, Text], Field(min_length=1)] | None = None
    """Column to its label, one of `classification.labels`."""

    @model_validator(mode="after")
    def _some(self) -> Columns:
        if self.include is not None and self.exclude is not None:
            raise refusal("columns has at most one of include and exclude", allowed=["include", "exclude"])
        if all(getattr(self, key) is None for key in type(self).model_fields):
            raise refusal("columns is empty", allowed=type(self).model_fields)
        for key in ("types", "mask", "classification"):
            for column in getattr(self, key) or ():
                if not self.has(column):
                    near = did_you_mean(column, self.include or ())
                    hint = near or f"take {column!r} out of {key}"
                    raise refusal(f"the column {column!r} of {key} is not read", hint=hint)
        return self

    def has(self, column: str) -> bool:
        """Whether ``column`` is read."""
        if self.include is not None:
            return column in self.include
        return column not in (self.exclude or ())

    def kind_of(self, column: str) -> str | None:
        """The kind that ``types`` asks for, as ``ColumnSpec.as_kind`` has it."""
        return (self.types or {}).get(column)

    def mask_of(self, column: str) -> str | None:
        """The mask that ``mask`` asks for, as ``ColumnSpec.mask`` has it."""
        return (self.mask or {}).get(column)

    def label_of(self, column: str) -> str | None:
        """The label of ``classification``, as ``ColumnSpec.classification`` has it."""
        return (self.classification or {}).get(column)

    @property
    def named(self) -> tuple[str, ...]:
        """Columns that are written somewhere, and that the source must have."""
        keys = (self.include, self.exclude, self.types, self.mask, self.classification)
        return tuple(dict.fromkeys(column for key in keys for column in key or ()))
