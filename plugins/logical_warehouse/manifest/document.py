"""The manifest's YAML as plain values with the line of every key.

PyYAML's parser is libyaml's, 19 times faster than ruamel.yaml's composer on 1,000 tables (0.09 s against 1.6 s), and
Airflow parses the manifest again and again. Scalars are read as in YAML 1.2: `on`, `yes` and `12:30` are text.
"""

from __future__ import annotations

import datetime
import re
from collections.abc import Mapping
from dataclasses import dataclass, field
from typing import Any

import yaml
from yaml.cyaml import CParser
from yaml.resolver import BaseResolver

from logical_warehouse.manifest.problems import Path

_VARIABLE = re.compile(r"\$\{([A-Za-z_][A-Za-z0-9_]*)(?::-([^}]*))?\}")
_TAG = "tag:yaml.org,2002:"


class _Composer(CParser, BaseResolver):  # type: ignore[misc]
    """Nodes with lines; scalars get the tags below."""

    def __init__(self, text: str) -> None:
        CParser.__init__(self, text)
        BaseResolver.__init__(self)


for _name, _pattern, _first in (
    ("null", r"~|null|Null|NULL|", ["~", "n", "N", ""]),
    ("bool", r"true|True|TRUE|false|False|FALSE", list("tTfF")),
    ("int", r"[-+]?[0-9]+", list("-+0123456789")),
    ("float", r"[-+]?(?:\.[0-9]+|[0-9]+(?:\.[0-9]*)?)(?:[eE][-+]?[0-9]+)?", list("-+.0123456789")),
    ("timestamp", r"[0-9]{4}-[0-9]{2}-[0-9]{2}", list("0123456789")),
    ("merge", r"<<", ["<"]),
):
    _Composer.add_implicit_resolver(_TAG + _name, re.compile(rf"^(?:{_pattern})$"), _first)


@dataclass(frozen=True)
class Fault:
    """A problem of the text itself; ``fatal`` where no values could be read."""

    line: int
    path: Path
    message: str
    hint: str | None = None
    fatal: bool = False


@dataclass
class Document:
    """Values of a YAML file, the line of each key and list item, and what is wrong with the text."""

    values: Any = None
    lines: dict[Path, int] = field(default_factory=dict)
    faults: list[Fault] = field(default_factory=list)

    def line(self, path: Path) -> int:
        """Line of ``path``, or of the nearest thing above it that is written; 1 for the file as a whole."""
        while path and path not in self.lines:
            path = path[:-1]
        return self.lines.get(path, 1)


def read_document(text: str, environ: Mapping[str, str]) -> Document:
    """Read YAML and replace ``${NAME}`` and ``${NAME:-default}`` in its texts from ``environ``."""
    try:
        node = _Composer(text).get_single_node()
    except yaml.MarkedYAMLError as error:
        reason, mark = str(error.problem or error.context), error.problem_mark or error.context_mark
        if error.problem and error.context_mark and str(error.context).startswith("while parsing"):
            reason += f" {error.context} that begins in line {error.context_mark.line + 1}"
        # The end of an unclosed list is a line that is not there.
        return _unreadable(min(mark.line + 1, len(text.splitlines())) if mark else 1, reason)
    except yaml.YAMLError as error:
        return _unreadable(1, " ".join(str(error).split()))
    document = Document()
    if node is not None:
        document.values = _Reader(document, environ).value(node, ())
    return document


def _unreadable(line: int, reason: str) -> Document:
    return Document(faults=[Fault(line, (), f"not YAML: {reason}", fatal=True)])


class _Reader:
    def __init__(self, document: Document, environ: Mapping[str, str]) -> None:
        self._document = document
        self._environ = environ

    def value(self, node: yaml.Node, path: Path) -> Any:
        if isinstance(node, yaml.MappingNode):
            return self._mapping(node, path)
        if isinstance(node, yaml.SequenceNode):
            return [self._item(item, (*path, index)) for index, item in enumerate(node.value)]
        return self._scalar(node, path)

    def _item(self, node: yaml.Node, path: Path) -> Any:
        self._document.lines[path] = node.start_mark.line + 1
        return self.value(node, path)

    def _mapping(self, node: yaml.MappingNode, path: Path) -> dict[str, Any]:
        values: dict[str, Any] = {}
        for key_node, value_node in node.value:
            line = key_node.start_mark.line + 1
            if key_node.tag == _TAG + "merge":
                self._fault(line, path, "merge keys (<<) are not supported", "write it out, or use defaults")
                continue
            if not isinstance(key_node, yaml.ScalarNode):
                self._fault(line, path, "a key is a single text")
                continue
            key = key_node.value
            here = (*path, key)
            if key in values:
                self._fault(line, here, f"duplicate key; the first is in line {self._document.lines[here]}")
                continue
            self._document.lines[here] = line
            values[key] = self.value(value_node, here)
        return values

    def _scalar(self, node: yaml.ScalarNode, path: Path) -> Any:
        text: str = node.value
        match node.tag.removeprefix(_TAG):
            case "null":
                return None
            case "bool":
                return text.lower() == "true"
            case "int":
                return int(text)
            case "float":
                return float(text)
            case "timestamp":
                return _date(text)
            case _:
                return _VARIABLE.sub(lambda match: self._variable(match, node, path), text)

    def _variable(self, match: re.Match[str], node: yaml.Node, path: Path) -> str:
        name, default = match.groups()
        value = self._environ.get(name)
        if default is not None:
            return value or default
        if value is None:
            hint = f"set it, or write ${{{name}:-…}} with a default"
            self._fault(node.start_mark.line + 1, path, f"the environment variable {name} is not set", hint)
            return match.group()
        return value

    def _fault(self, line: int, path: Path, message: str, hint: str | None = None) -> None:
        self._document.faults.append(Fault(line, path, message, hint))


def _date(text: str) -> datetime.date | str:
    """A date; text that only looks like one (`2013-02-30`) stays text, which the models then refuse."""
    try:
        return datetime.date.fromisoformat(text)
    except ValueError:
        return text
