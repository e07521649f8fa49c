"""The generated files are current, and the schema accepts what the loader accepts."""

from __future__ import annotations

import datetime
import re
from pathlib import Path
from typing import Any

import jsonschema
import pytest
from logical_warehouse.manifest.document import read_document
from logical_warehouse.manifest.manifest import ManifestConfig
from logical_warehouse.manifest.reference import sections, with_reference
from logical_warehouse.manifest.schema import manifest_schema, schema_text

ROOT = Path(__file__).parents[3]
REFERENCE = ROOT / "docs" / "manifest.md"
VALIDATOR = jsonschema.Draft202012Validator(manifest_schema(), format_checker=jsonschema.FormatChecker())


def as_json(text: str) -> Any:
    """YAML as an editor sees it: dates are texts, and ``${NAME}`` stays."""
    return _texts(read_document(text, _Unreplaced()).values)


class _Unreplaced(dict[str, str]):
    def get(self, key: str, default: Any = None) -> str:
        return f"${{{key}}}"


def _texts(value: Any) -> Any:
    match value:
        case dict():
            return {key: _texts(one) for key, one in value.items()}
        case list():
            return [_texts(one) for one in value]
        case datetime.date():
            return value.isoformat()
        case _:
            return value


def manifest(inputs: str = "{t: all}") -> Any:
    return as_json(f"""
version: 1
sources: {{a: {{connection: a, budget: "${{BUDGET}}"}}}}
store: {{uri: "${{URI}}", reader_grace: 1h30m}}
tables:
  t: {{table: a.b, history: current, start: 2013-06-01, end: null, retry_delay: "${{DELAY:-5m}}"}}
trainings: {{x: {{application: a.py, inputs: {inputs}}}}}
""")


def with_history(history: str) -> Any:
    value = manifest()
    value["tables"]["t"]["history"] = as_json(f"h: {history}")["h"]
    return value


def test_the_schema_file_is_current() -> None:
    assert (ROOT / "dags" / "warehouse.schema.json").read_text(encoding="utf-8") == schema_text()


def test_the_reference_is_current_and_has_every_section() -> None:
    text = REFERENCE.read_text(encoding="utf-8")
    assert with_reference(text) == text
    assert set(re.findall(r"<!-- keys of (\w+) -->", text)) == set(sections())


def test_the_reference_links_to_headings_that_exist() -> None:
    text = REFERENCE.read_text(encoding="utf-8")
    headings = {heading.lower().replace(" ", "-") for heading in re.findall(r"^## (.+)$", text, re.MULTILINE)}
    links = set(re.findall(r"\]\(#([^)]+)\)", text))
    assert links
    assert links <= headings


def test_every_key_of_every_model_is_in_the_reference() -> None:
    text = REFERENCE.read_text(encoding="utf-8")
    for model, keys in sections().items():
        block = re.search(rf"<!-- keys of {model} -->\n(.*?)<!-- end -->", text, re.DOTALL)
        assert block is not None, model
        assert re.findall(r"^\| `(\w+)` \|", block[1], re.MULTILINE) == list(keys)


def test_every_property_has_a_description() -> None:
    schema = manifest_schema()
    for keyed in (schema, *schema["$defs"].values()):
        for form in (keyed, *keyed.get("anyOf", ())):
            for name, value in form.get("properties", {}).items():
                assert value.get("description"), name


def test_the_top_has_the_keys_of_the_model() -> None:
    assert list(manifest_schema()["properties"]) == list(ManifestConfig.model_fields)


def test_the_demo_manifest_fits_the_schema() -> None:
    VALIDATOR.validate(as_json((ROOT / "dags" / "warehouse.yaml").read_text(encoding="utf-8")))


@pytest.mark.parametrize(
    "history",
    [
        "current",
        "{current: {lateness: 12h}}",
        "{current: {}}",
        "{interval: {column: c}}",
        "{interval: {column: c, lookback: 3}}",
        "{valid_between: {from: a, to: b}}",
        "{valid_between: {from: a, to: b, inclusive: true}}",
        "time_travel",
        "{time_travel: {keeps: 90d}}",
    ],
)
def test_short_and_long_histories_fit(history: str) -> None:
    VALIDATOR.validate(with_history(history))


@pytest.mark.parametrize(
    "history",
    [
        "valid_between",
        "{valid_between: {from: a}}",
        "{valid_between: {valid_from: a, to: b}}",
        "{time_travel: {keeps: 90}}",
        "{interval: {column: c, lookback: -1}}",
        "curent",
        "{}",
        "{current: {}, interval: {column: c}}",
        "{interval: {}}",
        "{current: {lateness: 5}}",
    ],
)
def test_other_histories_do_not(history: str) -> None:
    assert not VALIDATOR.is_valid(with_history(history))


@pytest.mark.parametrize(
    "inputs", ["{t: latest}", "{t: at_or_before}", "{t: all}", "{t: {window: 3}}", "{t: {window: '${N:-3}'}}"]
)
def test_short_and_long_inputs_fit(inputs: str) -> None:
    VALIDATOR.validate(manifest(inputs))


@pytest.mark.parametrize(
    "inputs", ["{t: newest}", "{t: {}}", "{t: {window: 0}}", "{t: {window: x}}", "{t: {windw: 1}}"]
)
def test_other_inputs_do_not(inputs: str) -> None:
    assert not VALIDATOR.is_valid(manifest(inputs))


@pytest.mark.parametrize(
    ("key", "value"),
    [("start", "2013-13-01"), ("tags", "a"), ("retries", -1), ("retry_delay", "5 min"), ("histroy", "current"),
     ("columns", {"include": []}), ("group", "A"), ("table", "flights"), ("split", {"parts": 0})],
)  # fmt: skip
def test_what_the_loader_refuses_does_not_fit(key: str, value: object) -> None:
    wrong = manifest()
    wrong["tables"]["t"][key] = value
    assert not VALIDATOR.is_valid(wrong)


def test_names_are_checked() -> None:
    wrong = manifest()
    wrong["tables"]["T"] = wrong["tables"].pop("t")
    assert not VALIDATOR.is_valid(wrong)
