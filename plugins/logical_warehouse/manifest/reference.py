"""The tables of ``docs/manifest.md``, generated from the models, so that no key is missing and none is stale."""

from __future__ import annotations

import re
from typing import Any

from logical_warehouse.manifest.schema import manifest_schema

_BLOCK = re.compile(r"(<!-- keys of (?P<model>\w+) -->\n).*?(<!-- end -->)", re.DOTALL)
TOP = "Manifest"
"""Name in the text for the keys at the top."""

_KINDS = {
    "integer": "whole number",
    "number": "number",
    "string": "text",
    "boolean": "`true`, `false`",
    "array": "list",
    "object": "name → value",
    "null": "`null`",
}


def with_reference(text: str) -> str:
    """``text`` with the table of each ``<!-- keys of Model --> … <!-- end -->`` written anew.

    :raises KeyError: it names a model that the manifest does not have.
    """
    schema = manifest_schema()
    return _BLOCK.sub(lambda block: f"{block[1]}{_table(schema, block['model'])}{block[3]}", text)


def sections() -> dict[str, tuple[str, ...]]:
    """Keys of every mapping of the manifest with fixed keys, by the name of its model."""
    schema = manifest_schema()
    return {name: tuple(_keyed(schema, name)["properties"]) for name in (TOP, *schema["$defs"])}


def _keyed(schema: dict[str, Any], model: str) -> dict[str, Any]:
    """The part of a model's schema that has keys, also where there is a short form beside it."""
    found: dict[str, Any] = schema if model == TOP else schema["$defs"][model]
    if "properties" in found:
        return found
    long_form: dict[str, Any] = next(one for one in found["anyOf"] if "properties" in one)
    return long_form


def _table(schema: dict[str, Any], model: str) -> str:
    keyed = _keyed(schema, model)
    required = keyed.get("required", ())
    rows = [
        f"| `{key}` | {_kind(value)} | {_default(key, value, required)} | {value['description']} |"
        for key, value in keyed["properties"].items()
    ]
    return "| key | kind | default | meaning |\n|---|---|---|---|\n" + "".join(f"{row}\n" for row in rows)


def _default(key: str, value: dict[str, Any], required: list[str] | tuple[str, ...]) -> str:
    if key in required:
        return "required"
    return f"`{value['default']}`" if "default" in value else ""


def _kind(value: dict[str, Any]) -> str:
    members = [one for one in value.get("anyOf", [value]) if not str(one.get("pattern", "")).startswith(r"\$")]
    return " or ".join(dict.fromkeys(_kind_of_one(one) for one in members))


def _kind_of_one(one: dict[str, Any]) -> str:
    match one:
        case {"$ref": reference}:
            kind = _link(reference)
        case {"enum": words}:
            kind = ", ".join(f"`{word}`" for word in words)
        case {"const": word}:
            kind = f"`{word}`"
        case {"format": "date"}:
            kind = "date"
        case {"type": "string", "pattern": pattern} if r"\d+h" in pattern:
            kind = "duration"
        case {"type": "object", "additionalProperties": {"$ref": reference}}:
            kind = f"name → {_link(reference)}"
        case {"type": kind}:
            kind = _KINDS[kind]
        case _:
            raise KeyError(f"no words for {one}")
    return kind


def _link(reference: str) -> str:
    """``#/$defs/SourceConfig`` → a link to the heading ``source``."""
    words = _words(reference)
    return f"[{words}](#{words.replace(' ', '-')})"


def _words(reference: str) -> str:
    name = reference.rsplit("/", 1)[-1].removesuffix("Config")
    return re.sub(r"(?<!^)(?=[A-Z])", " ", name).lower()
