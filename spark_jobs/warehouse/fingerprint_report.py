"""Comparisons for people, as a table in the task's log, and for machines, as JSON. Pure; neither names a value."""

from __future__ import annotations

import dataclasses
import json
from collections.abc import Sequence

from warehouse.fingerprints import ComparedColumn, Comparison


def comparison_table(comparison: Comparison) -> str:
    """One line for the rows and one for each column, of what is the same and what differs."""
    rows = [
        ("", "kind", "source", "stored", "", "verdict"),
        (
            f"{comparison.table} as of {comparison.as_of}",
            "",
            f"{comparison.source_rows:,}",
            f"{comparison.stored_rows:,}",
            "rows",
            _verdict_of_rows(comparison),
        ),
    ]
    rows += [
        (f"  {one.column}", one.kind, f"{one.source_nulls:,}", f"{one.stored_nulls:,}", "nulls", _verdict(one))
        for one in comparison.columns
    ]
    return aligned(rows, right={2, 3})


def report_json(comparisons: Sequence[Comparison]) -> str:
    """A JSON list of :class:`Comparison`, each with its ``differences``."""
    return json.dumps(
        [
            dataclasses.asdict(one) | {"differences": [dataclasses.asdict(found) for found in one.differences]}
            for one in comparisons
        ],
        sort_keys=True,
    )


def aligned(rows: Sequence[Sequence[str]], right: set[int]) -> str:
    """Lines of cells under each other, those of the columns ``right`` to the right."""
    widths = [max(len(row[index]) for row in rows) for index in range(len(rows[0]))]
    return "\n".join(
        "  ".join(
            cell.rjust(width) if index in right else cell.ljust(width)
            for index, (cell, width) in enumerate(zip(row, widths, strict=True))
        ).rstrip()
        for row in rows
    )


def _verdict_of_rows(comparison: Comparison) -> str:
    if comparison.source_rows != comparison.stored_rows:
        return "count differs"
    if comparison.rows_equal is None:
        return "count equal"
    return "count and hash equal" if comparison.rows_equal else "count equal, hash DIFFERS"


def _verdict(one: ComparedColumn) -> str:
    if one.differs:
        return f"{', '.join(one.differs)} DIFFERS"
    return f"{', '.join(one.compared)} equal"
