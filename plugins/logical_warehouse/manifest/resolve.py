"""A table or training as written, with the defaults filled in, and what is wrong with the outcome."""

from __future__ import annotations

from collections.abc import Collection, Iterator, Mapping
from typing import Any, TypeVar

from logical_warehouse.intervals import Schedule, ScheduleError
from logical_warehouse.manifest.columns import Columns
from logical_warehouse.manifest.history import History
from logical_warehouse.manifest.problems import did_you_mean
from logical_warehouse.manifest.section import duration_text
from logical_warehouse.manifest.source import HOLDER_CONNECTIONS, Source
from logical_warehouse.manifest.table import (
    DEFAULT_OWNER,
    DEFAULT_RETRIES,
    DEFAULT_RETRY_DELAY,
    DEFAULT_VALIDATION,
    Defaults,
    Retention,
    Split,
    Table,
    TableConfig,
)
from logical_warehouse.manifest.training import Training, TrainingConfig
from logical_warehouse.manifest.validation import Complaint

Value = TypeVar("Value")


def check_defaults(defaults: Defaults, source_names: Collection[str]) -> Iterator[Complaint]:
    """What is wrong with the defaults by themselves; said once instead of for every table."""
    if defaults.source is not None and defaults.source not in source_names:
        yield unknown("source", defaults.source, source_names, ("defaults", "source"))
    if defaults.schedule is not None:
        try:
            Schedule(defaults.schedule, "UTC")
        except ScheduleError as error:
            yield Complaint(("defaults", "schedule"), str(error))


def unknown(what: str, name: str, names: Collection[str], path: tuple[str | int, ...]) -> Complaint:
    """The complaint about a reference to a source or table that the manifest does not have."""
    return Complaint(path, f"there is no {what} {name!r}", tuple(names), did_you_mean(name, names))


def resolve_table(
    name: str, config: TableConfig, defaults: Defaults, sources: Mapping[str, Source]
) -> tuple[Table | None, list[Complaint]]:
    """The table with everything filled in, or None, and all that is wrong with it.

    :param sources: the sources that the table may refer to.
    """
    path = ("tables", name)
    found: list[Complaint] = []

    required: dict[str, Any] = {key: inherited(key, config, defaults) for key in ("source", "schedule", "start")}
    for key, value in required.items():
        if value is None:
            options = tuple(sources) if key == "source" else ()
            found.append(Complaint((*path, key), "is missing", options, f"set it here or in defaults.{key}"))
    source, schedule = None, None
    if required["source"] is not None:
        source = sources.get(required["source"])
        if source is None:
            found.append(unknown("source", required["source"], sources, (*path, "source")))
    if required["schedule"] is not None:
        try:
            schedule = Schedule(required["schedule"], source.time_zone if source else "UTC")
        except ScheduleError as error:
            found.append(Complaint((*path, "schedule"), str(error)))
    end = inherited("end", config, defaults)
    if required["start"] is not None and end is not None and end < required["start"]:
        key = "end" if "end" in config.model_fields_set else "start"
        found.append(Complaint((*path, key), f"the end, {end}, lies before the start, {required['start']}"))
    split = _first(inherited("split", config, defaults), Split())
    if source is not None:
        found += _check_budget(split, source, path)
    history = config.history.resolved()
    retention = _first(inherited("retention", config, defaults), Retention())
    if schedule is not None:
        history, complaint = _fit_lateness(history, config, schedule, path)
        found += [*complaint, *_check_lookback(history, retention, schedule, path)]
    if history.valid_from is not None and history.valid_from == history.valid_to:
        message = f"from and to are both {history.valid_from!r}, so no row would ever be valid"
        found.append(Complaint((*path, "history", "valid_between", "to"), message))
    if history.column is not None and config.columns is not None and not config.columns.has(history.column):
        message = f"the column {history.column!r} of history.interval must be read"
        found.append(Complaint((*path, "columns"), message, hint=f"include {history.column!r}"))
    found += _check_masks(config.columns, history, split, path)
    if found:
        return None, found
    return Table(
        name=name,
        table=config.table,
        source=required["source"],
        schedule=required["schedule"],
        start=required["start"],
        end=end,
        history=history,
        group=config.group or name,
        description=config.description,
        split=split,
        columns=config.columns,
        filter=config.filter,
        retention=retention,
        validation=_first(inherited("validation", config, defaults), DEFAULT_VALIDATION),
        checks=config.checks,
        schema_policy=_first(inherited("schema_policy", config, defaults), "additive"),
        freshness=inherited("freshness", config, defaults),
        require_classification=_first(inherited("require_classification", config, defaults), False),
        access=inherited("access", config, defaults),
        **_task_settings(config, defaults),
    ), found


def resolve_training(name: str, config: TrainingConfig, defaults: Defaults) -> Training:
    """The training with everything filled in."""
    return Training(
        name=name,
        application=config.application,
        inputs={table: read.resolved() for table, read in config.inputs.items()},
        description=config.description,
        arguments=config.arguments,
        conf=config.conf,
        model=config.model,
        wait_for_inputs=config.wait_for_inputs,
        keep_inputs=config.keep_inputs,
        **_task_settings(config, defaults),
    )


def inherited(key: str, config: TableConfig | TrainingConfig, defaults: Defaults) -> Any:
    """What is written for ``key``, here or in the defaults; None where it is written here to take a default away."""
    return getattr(config if key in config.model_fields_set else defaults, key)


def _task_settings(config: TableConfig | TrainingConfig, defaults: Defaults) -> dict[str, Any]:
    return {
        "owner": _first(inherited("owner", config, defaults), DEFAULT_OWNER),
        "tags": _first(inherited("tags", config, defaults), ()),
        "retries": _first(inherited("retries", config, defaults), DEFAULT_RETRIES),
        "retry_delay": _first(inherited("retry_delay", config, defaults), DEFAULT_RETRY_DELAY),
    }


def _first(value: Value | None, otherwise: Value) -> Value:
    return otherwise if value is None else value


def _check_budget(split: Split, source: Source, path: tuple[str, str]) -> Iterator[Complaint]:
    needed = split.parts + HOLDER_CONNECTIONS
    if needed > source.budget:
        most = source.budget - HOLDER_CONNECTIONS
        yield Complaint(
            (*path, "split", "parts"),
            f"{split.parts} connections that read and one that holds the state of the source are {needed}, more than "
            f"the budget of {source.name!r}, {source.budget}",
            (f"1 to {most}",) if most > 1 else ("1",) if most == 1 else (),
            f"raise sources.{source.name}.budget or read with fewer parts" if most else
            f"raise sources.{source.name}.budget",
        )  # fmt: skip


def _fit_lateness(
    history: History, config: TableConfig, schedule: Schedule, path: tuple[str, str]
) -> tuple[History, list[Complaint]]:
    """A written lateness that is longer than an interval is refused; the default gives way."""
    if history.lateness is None or history.lateness <= schedule.shortest:
        return history, []
    longest = duration_text(schedule.shortest)
    if config.history.current is not None and "lateness" not in config.history.current.model_fields_set:
        return History("current", lateness=schedule.shortest), []
    message = f"lateness {duration_text(history.lateness)} is longer than an interval of {schedule}, {longest}"
    return history, [Complaint((*path, "history", "current", "lateness"), message, (f"up to {longest}",))]


def _check_masks(columns: Columns | None, history: History, split: Split, path: tuple[str, str]) -> Iterator[Complaint]:
    """What a column is needed for in clear."""
    if columns is None:
        return
    asked = (history.column, history.valid_from, history.valid_to)
    for column in columns.mask or ():
        here = (*path, "columns", "mask", column)
        if column in asked:
            message = f"the column {column!r} says to which {history.mode!r} a row belongs, and cannot be masked"
            hint = "exclude it" if history.column is None else f"take {column!r} out of mask"
            yield Complaint(here, message, hint=hint)
    if split.column is not None and (columns.mask_of(split.column) or not columns.has(split.column)):
        what = "masked" if columns.has(split.column) else "not read"
        message = f"the column {split.column!r} is {what}, and its values would leave the source as borders of splits"
        yield Complaint((*path, "split", "column"), message, hint="name another column, or none")


def check_labels(table: Table, labels: Collection[str]) -> Iterator[Complaint]:
    """What is wrong with a table's classification, as far as the manifest alone tells."""
    path = ("tables", table.name, "columns")
    written = table.columns.classification if table.columns is not None else None
    for column, label in (written or {}).items():
        if label not in labels:
            yield unknown("label", label, labels, (*path, "classification", column))
    if not table.require_classification:
        return
    included = (table.columns.include if table.columns is not None else None) or ()
    if missing := [column for column in included if column not in (written or {})]:
        listed = ", ".join(map(repr, missing))
        message = f"{listed} {'has' if len(missing) == 1 else 'have'} no label, and require_classification is set"
        yield Complaint((*path, "classification") if written else path, message, tuple(labels))


def _check_lookback(
    history: History, retention: Retention, schedule: Schedule, path: tuple[str, str]
) -> Iterator[Complaint]:
    """What is captured again must be there still, beside the run's own interval."""
    kept = retention.intervals(schedule)
    if kept is not None and history.lookback >= kept:
        message = f"a lookback of {history.lookback} reaches beyond what the retention {retention} keeps, {kept}"
        allowed = f"up to {kept - 1}" if kept > 1 else "0"
        yield Complaint((*path, "history", "interval", "lookback"), message, (allowed,))
