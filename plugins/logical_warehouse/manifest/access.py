"""Key ``access`` of a table: who may read its snapshots in the store."""

from __future__ import annotations

import re
from typing import Annotated, Any, Literal

from pydantic import BeforeValidator, Field, GetJsonSchemaHandler, model_validator
from pydantic.json_schema import JsonSchemaValue
from pydantic_core import CoreSchema
from warehouse.access_spec import AccessSpec

from logical_warehouse.manifest.problems import did_you_mean
from logical_warehouse.manifest.section import Section, refusal, shown

EVERYONE = "everyone"
FORMS = (EVERYONE, "{group: …}")
GROUP_PATTERN = r"^[A-Za-z0-9_][A-Za-z0-9_.@+-]*$"
"""A group as `id -Gn` prints it: Alluxio divides that answer at blanks."""


def _group(value: object) -> object:
    if isinstance(value, str) and not re.match(GROUP_PATTERN, value):
        raise refusal(f"{value!r} cannot be the name of a group", ["letters, digits and _ . @ + -, no blanks"])
    return value


class Access(Section):
    """`everyone` or `{group: …}`."""

    group: Annotated[str, BeforeValidator(_group), Field(json_schema_extra={"pattern": GROUP_PATTERN})] | None = None
    """Group whose members may read the table, beside the account that the jobs run as; the store must know it."""
    word: Annotated[Literal["everyone"] | None, Field(exclude=True)] = None

    @model_validator(mode="before")
    @classmethod
    def _one_form(cls, data: Any) -> Any:
        if data == EVERYONE:
            return {"word": EVERYONE}
        if isinstance(data, str):
            hint = did_you_mean(data, (EVERYONE,)) or f"did you mean {{group: {data}}}?"
            raise refusal(f"{data!r} is not a known access", FORMS, hint)
        if isinstance(data, dict) and list(data) == ["group"] and data["group"] is not None:
            return data
        if isinstance(data, dict) and len(data) == 1 and (key := str(next(iter(data)))) != "group":
            raise refusal(f"{key!r} is not a known access", FORMS, did_you_mean(key, ("group",)))
        raise refusal(f"{shown(data)} is not a known access", FORMS)

    @classmethod
    def __get_pydantic_json_schema__(cls, schema: CoreSchema, handler: GetJsonSchemaHandler) -> JsonSchemaValue:
        mapping = handler.resolve_ref_schema(handler(schema))
        group = mapping["properties"]["group"]
        mapping["properties"] = {"group": {**group["anyOf"][0], "description": group["description"]}}
        mapping["required"] = ["group"]
        return {"anyOf": [{"enum": [EVERYONE]}, mapping], "description": cls.__doc__ or ""}

    @property
    def spec(self) -> AccessSpec:
        """As the Spark jobs know it."""
        return AccessSpec(self.group)
