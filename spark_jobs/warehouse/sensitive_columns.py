"""What a stored table says of its sensitive columns, in its properties: pure, standard library only.

``warehouse.masks`` has every column that was ever published, with its mask, or with nothing for one in clear: a column
keeps its mask for as long as the table is the same one, or its snapshots could not be read together.
``warehouse.classification.<column>`` is its label, which may change; each record keeps those of its day.
"""

from __future__ import annotations

import json
from collections.abc import Collection, Iterator, Mapping

from warehouse.masks import parse_mask
from warehouse.table_spec import TableSpec

MASKS = "warehouse.masks"
CLASSIFICATION = "warehouse.classification."
METRICS = "write.metadata.metrics.column."
NO_BOUNDS = "counts"
"""Iceberg's word for statistics of a column without its smallest and largest value."""


def sensitive_properties(table: TableSpec) -> dict[str, str]:
    """The properties of a table as the manifest has it now."""
    masks = {column.name: "" if column.mask is None else _meaning(table, column.mask) for column in table.columns}
    labels = {f"{CLASSIFICATION}{name}": label for name, label in table.classification.items()}
    return {MASKS: json.dumps(masks, sort_keys=True, ensure_ascii=False), **labels}


def mask_differences(stored: Mapping[str, str], wanted: Mapping[str, str]) -> tuple[str, ...]:
    """For each column that is captured, and was, by another mask: what it is now and what it was.

    :param stored: the table's properties. Without :data:`MASKS` they are from before there were masks: all was in
        clear.
    """
    before, now = _masks(stored), _masks(wanted)
    return tuple(
        f"its column {name!r} is {_words(mask)}, was {_words(before.get(name, ''))}"
        for name, mask in now.items()
        if mask != before.get(name, "" if MASKS not in stored else mask)
    )


def sensitive_changes(
    stored: Mapping[str, str], wanted: Mapping[str, str], schema: Collection[str], *, first: bool
) -> dict[str, str | None]:
    """What publishing must set in the table's properties, and what it must remove (None).

    :param schema: names of the columns that the table will have.
    :param first: nothing was published before.
    """
    captured = _masks(wanted)
    masks = captured if first else {**_masks(stored), **captured}
    properties: dict[str, str | None] = {MASKS: json.dumps(masks, sort_keys=True, ensure_ascii=False)}
    for name in stored:
        column = name.removeprefix(CLASSIFICATION)
        # Of a column that is no longer captured there may be values still.
        if name.startswith(CLASSIFICATION) and name not in wanted and (first or column in captured):
            properties[name] = None
    properties |= dict.fromkeys(metrics_of_gone_columns(stored, schema))
    properties |= {name: value for name, value in wanted.items() if name.startswith(CLASSIFICATION)}
    properties |= dict(metrics_properties(wanted, schema))
    return {name: value for name, value in properties.items() if stored.get(name) != value}


def metrics_properties(wanted: Mapping[str, str], schema: Collection[str]) -> Iterator[tuple[str, str]]:
    """Properties by which Iceberg keeps no smallest and largest value of a masked column, whatever else it is told."""
    return ((f"{METRICS}{name}", NO_BOUNDS) for name, mask in _masks(wanted).items() if mask and name in schema)


def metrics_of_gone_columns(stored: Mapping[str, str], schema: Collection[str]) -> Iterator[str]:
    """Properties to remove for a schema: Iceberg refuses every change of them while one names a column it lacks."""
    return (name for name in stored if name.startswith(METRICS) and name.removeprefix(METRICS) not in schema)


def _masks(properties: Mapping[str, str]) -> dict[str, str]:
    masks: dict[str, str] = json.loads(properties.get(MASKS, "{}"))
    return masks


def _meaning(table: TableSpec, mask: str) -> str:
    """The mask, and under which key: another one gives other values."""
    connection = parse_mask(mask).connection
    return f"{mask} under key {table.key_checks[connection]}" if connection else mask


def _words(mask: str) -> str:
    return f"masked by {mask}" if mask else "in clear"
