"""The JSON Schema of the manifest as written, from which editors complete and check it."""

from __future__ import annotations

import datetime
import json
from typing import Any

from pydantic.json_schema import GenerateJsonSchema

from logical_warehouse.manifest.manifest import ManifestConfig
from logical_warehouse.manifest.section import NAME_LENGTH, NAME_PATTERN, duration_text

SCHEMA_FILE = "warehouse.schema.json"
"""Name of the generated file, beside the manifest."""

_VARIABLE = {"type": "string", "pattern": r"\$\{[A-Za-z_][A-Za-z0-9_]*(:-[^}]*)?\}"}
_CHECKED = ("pattern", "enum", "const", "minimum", "format")


class _Generator(GenerateJsonSchema):
    """Defaults as a person writes them; those that are models or empty are left out."""

    def default_schema(self, schema: Any) -> dict[str, Any]:
        generated = self.generate_inner(schema["schema"])
        default = schema.get("default")
        if isinstance(default, datetime.timedelta):
            default = duration_text(default)
        if isinstance(default, bool | int | float | str) and default != "":
            return {**generated, "default": default} if "$ref" not in generated else generated
        return generated


def manifest_schema() -> dict[str, Any]:
    """The schema as a value."""
    schema = ManifestConfig.model_json_schema(schema_generator=_Generator)
    for section in ("sources", "tables", "trainings"):
        schema["properties"][section]["propertyNames"] = {"pattern": NAME_PATTERN, "maxLength": NAME_LENGTH}
    tidied: dict[str, Any] = _tidied(schema)
    return {"$schema": "https://json-schema.org/draft/2020-12/schema", **tidied, "title": "Table manifest"}


def schema_text() -> str:
    """The text of the generated file."""
    return json.dumps(manifest_schema(), indent=2, ensure_ascii=False) + "\n"


def _tidied(node: Any) -> Any:
    """Without titles, which only repeat keys; values that are no plain text may also be ``${NAME}``."""
    if isinstance(node, list):
        return [_tidied(one) for one in node]
    if not isinstance(node, dict):
        return node
    tidied: dict[str, Any] = {}
    for key, value in node.items():
        if key == "title" and isinstance(value, str):
            continue
        if key == "description" and isinstance(value, str):
            tidied[key] = " ".join(value.split())
            continue
        if key in ("properties", "$defs"):
            tidied[key] = {
                name: _or_variable(_tidied(one)) if key == "properties" else _tidied(one) for name, one in value.items()
            }
        else:
            tidied[key] = _tidied(value)
    return tidied


def _or_variable(schema: dict[str, Any]) -> dict[str, Any]:
    kept: dict[str, Any] = {key: schema[key] for key in ("description", "default", "examples") if key in schema}
    value = {key: schema[key] for key in schema if key not in kept}
    members = value.get("anyOf", [value])
    if not any(_is_checked(member) for member in members):
        return schema
    return {**kept, "anyOf": [*members, _VARIABLE]}


def _is_checked(member: dict[str, Any]) -> bool:
    """Whether ``${NAME}`` in its place would be refused, though it may become a value that is not."""
    return member.get("type") in ("integer", "number", "boolean") or any(key in member for key in _CHECKED)
