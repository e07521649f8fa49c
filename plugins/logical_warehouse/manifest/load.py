"""Reads the manifest: the healthy part of it, and everything that is wrong with the rest."""

from __future__ import annotations

import os
from collections.abc import Iterable, Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import Any, TypeVar

from pydantic import ValidationError
from pydantic_core import PydanticCustomError

from logical_warehouse.manifest import problems
from logical_warehouse.manifest.cross_checks import check_group, check_training
from logical_warehouse.manifest.document import Document, read_document
from logical_warehouse.manifest.manifest import VERSION, Classification, Manifest, ManifestConfig
from logical_warehouse.manifest.monitor import Monitor, Notifier
from logical_warehouse.manifest.problems import MANIFEST, Problem, did_you_mean, dotted
from logical_warehouse.manifest.resolve import (
    check_defaults,
    check_labels,
    inherited,
    resolve_table,
    resolve_training,
    unknown,
)
from logical_warehouse.manifest.section import Section, check_name, shown
from logical_warehouse.manifest.source import Source, SourceConfig
from logical_warehouse.manifest.spark import Spark
from logical_warehouse.manifest.store import Store
from logical_warehouse.manifest.table import Defaults, Table, TableConfig
from logical_warehouse.manifest.training import Training, TrainingConfig
from logical_warehouse.manifest.validation import Complaint, complaints, keys_of, refused

_NAMED = {"sources": "source", "tables": "table", "trainings": "training"}
"""Sections whose keys are names, and what they name."""

Model = TypeVar("Model", bound=Section)


@dataclass(frozen=True)
class LoadedManifest:
    """``manifest`` holds what is healthy; it is None where the file as a whole cannot be used.

    Groups of which one table has a problem are left out as a whole, and so are the trainings that read them; each has
    a problem that says so. ``problems`` are in the order of the file's lines.
    """

    manifest: Manifest | None
    problems: tuple[Problem, ...]


def load_manifest(path: Path, environ: Mapping[str, str] | None = None) -> LoadedManifest:
    """Load the manifest at ``path``.

    :param environ: replaces ``${NAME}``; the process's environment where None.
    """
    try:
        text = path.read_text(encoding="utf-8")
    except OSError as error:
        return LoadedManifest(None, (Problem(str(path), 1, "", f"cannot be read: {error.strerror}"),))
    except UnicodeDecodeError:
        return LoadedManifest(None, (Problem(str(path), 1, "", "is not UTF-8 text"),))
    return _Loading(str(path), read_document(text, os.environ if environ is None else environ)).load()


def _subject(path: problems.Path) -> str:
    return f"{path[0]}.{path[1]}" if len(path) > 1 and path[0] in _NAMED else MANIFEST


class _Loading:
    """One load; collects problems as it goes."""

    def __init__(self, file: str, document: Document) -> None:
        self._file = file
        self._document = document
        self._problems: list[Problem] = []

    def load(self) -> LoadedManifest:
        for fault in self._document.faults:
            self._add(Complaint(fault.path, fault.message, hint=fault.hint), line=fault.line)
        manifest = None if any(fault.fatal for fault in self._document.faults) else self._manifest()
        return LoadedManifest(manifest, tuple(sorted(self._problems, key=lambda problem: problem.line)))

    def _manifest(self) -> Manifest | None:
        raw = self._document.values
        if not isinstance(raw, dict):
            message = "is empty" if raw is None else f"{shown(raw)} is not a mapping"
            self._add(Complaint((), message, keys_of(ManifestConfig)))
            return None
        self._check_keys(raw)
        sources = self._sources(raw)
        store = self._section(Store, raw, "store")
        spark = self._section(Spark, raw, "spark")
        defaults = self._section(Defaults, raw, "defaults")
        monitor = self._section(Monitor, raw, "monitor")
        notify = self._notify(raw)
        classification = self._section(Classification, raw, "classification")
        usable = raw.get("version") == VERSION and sources and store and spark and defaults and classification
        # Problems of tables are told even where nothing can be used, for all are to be told at once.
        tables = self._tables(raw, defaults, sources, classification)
        trainings = self._trainings(raw, defaults, sources, tables)
        if not usable or store is None or spark is None:
            return None
        return Manifest(sources, store, spark, tables, trainings, monitor, notify)

    def _notify(self, raw: dict[str, Any]) -> tuple[Notifier, ...]:
        entries = raw.get("notify") or []
        if not isinstance(entries, list):
            self._add(Complaint(("notify",), f"{shown(entries)} is not a list", hint="begin each notifier with '- '"))
            return ()
        found = [self._validated(Notifier, entry, ("notify", index)) for index, entry in enumerate(entries)]
        return tuple(one for one in found if one is not None)

    def _check_keys(self, raw: dict[str, Any]) -> None:
        allowed = keys_of(ManifestConfig)
        for key in raw:
            if key not in allowed:
                self._add(Complaint((key,), "unknown key", allowed, did_you_mean(key, allowed)))
        for key in ("version", "sources", "store", "tables"):
            if key not in raw:
                self._add(Complaint((key,), "is missing"))
        if "version" in raw and raw["version"] != VERSION:
            self._add(Complaint(("version",), f"{shown(raw['version'])} is not a known version", (str(VERSION),)))

    def _section(self, model: type[Model], raw: dict[str, Any], key: str) -> Model | None:
        """A section that there is once; an optional one that is not written is as if it were empty."""
        if raw.get(key) is None and not any(field.is_required() for field in model.model_fields.values()):
            return model()
        return self._validated(model, raw[key], (key,)) if key in raw else None

    def _named(self, raw: dict[str, Any], key: str, model: type[Model]) -> dict[str, Model | None]:
        """The entries of a section of names, in order; None for one that has a problem."""
        entries = raw.get(key)
        if entries is None:
            if key in raw and key != "trainings":
                self._add(Complaint((key,), "is empty"))
            return {}
        if not isinstance(entries, dict):
            self._add(Complaint((key,), f"{shown(entries)} is not a mapping", (f"name of a {_NAMED[key]}: …",)))
            return {}
        return {name: self._entry(model, key, name, entry) for name, entry in entries.items()}

    def _entry(self, model: type[Model], key: str, name: str, raw: Any) -> Model | None:
        validated = self._validated(model, raw, (key, name))
        try:
            check_name(name, _NAMED[key])
        except PydanticCustomError as error:
            self._add(refused(error, (key, name)))
            return None
        return validated

    def _validated(self, model: type[Model], raw: Any, path: problems.Path) -> Model | None:
        faulty = any(fault.path[: len(path)] == path for fault in self._document.faults)
        try:
            validated = model.model_validate(raw)
        except ValidationError as error:
            self._add_all(complaints(error, model, path))
            return None
        return None if faulty else validated

    def _sources(self, raw: dict[str, Any]) -> dict[str, Source]:
        configs = self._named(raw, "sources", SourceConfig)
        return {name: Source(name=name, **dict(config)) for name, config in configs.items() if config is not None}

    def _tables(
        self,
        raw: dict[str, Any],
        defaults: Defaults | None,
        sources: dict[str, Source],
        classification: Classification | None,
    ) -> dict[str, Table]:
        configs = self._named(raw, "tables", TableConfig)
        if defaults is None:
            return {}
        written_sources = raw.get("sources") if isinstance(raw.get("sources"), dict) else {}
        wrong_defaults = list(check_defaults(defaults, written_sources or {}))
        self._add_all(wrong_defaults)
        tables: dict[str, Table] = {}
        for name, config in configs.items():
            if config is None:
                continue
            causes = [dotted(one.path) for one in wrong_defaults if one.path[-1] not in config.model_fields_set]
            source = inherited("source", config, defaults)
            if source in (written_sources or {}) and source not in sources:
                causes.append(f"sources.{source}")
            if causes:
                self._leave_out(("tables", name), f"{causes[0]} has a problem")
                continue
            table, found = resolve_table(name, config, defaults, sources)
            if table is not None and classification is not None:
                found += check_labels(table, classification.labels)
            self._add_all(found)
            if table is not None and not found:
                tables[name] = table
        return self._whole_groups(raw, tables)

    def _whole_groups(self, raw: dict[str, Any], tables: dict[str, Table]) -> dict[str, Table]:
        """Without the groups of which a table has a problem."""
        members: dict[str, list[str]] = {}
        alone = set()
        for name, entry in (raw.get("tables") or {}).items() if isinstance(raw.get("tables"), dict) else ():
            group = entry.get("group") if isinstance(entry, dict) else None
            if isinstance(group, str):
                members.setdefault(group, []).append(name)
            else:
                alone.add(name)
        left_out: set[str] = set()
        for group, names in members.items():
            healthy = [tables[name] for name in names if name in tables]
            found = list(check_group(group, healthy)) if healthy else []
            if group in alone:
                message = f"the group {group!r} has the name of a table that is in no group"
                found.append(Complaint(("tables", names[0], "group"), message, hint="rename one of them"))
            self._add_all(found)
            broken = [name for name in names if name not in tables]
            culprits = dict.fromkeys([*broken, *(str(complaint.path[1]) for complaint in found)])
            if culprits:
                left_out.update(names)
                if len(names) > 1:
                    line = self._document.line(("tables", names[0], "group"))
                    self._add(
                        Complaint(
                            ("groups", group),
                            f"left out, since {_listed(f'tables.{name}' for name in culprits)} and a group is captured "
                            "as a whole",
                        ),
                        line=line,
                        subject=f"groups.{group}",
                    )
        return {name: table for name, table in tables.items() if name not in left_out}

    def _trainings(
        self, raw: dict[str, Any], defaults: Defaults | None, sources: dict[str, Source], tables: dict[str, Table]
    ) -> dict[str, Training]:
        configs = self._named(raw, "trainings", TrainingConfig)
        if defaults is None:
            return {}
        written = tuple(raw["tables"]) if isinstance(raw.get("tables"), dict) else ()
        trainings: dict[str, Training] = {}
        for name, config in configs.items():
            if config is None:
                continue
            training = resolve_training(name, config, defaults)
            path = ("trainings", name, "inputs")
            missing = [table for table in training.inputs if table not in written]
            left_out = [table for table in training.inputs if table in written and table not in tables]
            self._add_all(unknown("table", table, written, (*path, table)) for table in missing)
            if left_out:
                self._leave_out(("trainings", name), f"{_listed(f'tables.{table}' for table in left_out)}")
            if missing or left_out:
                continue
            found = list(check_training(training, tables, sources))
            self._add_all(found)
            if not found:
                trainings[name] = training
        return trainings

    def _leave_out(self, path: problems.Path, reason: str) -> None:
        self._add(Complaint(path, f"left out, since {reason}"))

    def _add_all(self, found: Iterable[Complaint]) -> None:
        for complaint in found:
            self._add(complaint)

    def _add(self, complaint: Complaint, *, line: int | None = None, subject: str | None = None) -> None:
        path = complaint.path
        self._problems.append(
            Problem(
                file=self._file,
                line=self._document.line(path) if line is None else line,
                path=dotted(path),
                message=complaint.message,
                allowed=complaint.allowed,
                hint=complaint.hint,
                subject=_subject(path) if subject is None else subject,
            )
        )


def _listed(names: Iterable[str]) -> str:
    listed = list(names)
    return f"{' and '.join(listed)} {'has a problem' if len(listed) == 1 else 'have problems'}"
