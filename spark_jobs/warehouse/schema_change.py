"""What becomes of a stored table when its source's columns are no longer those stored: pure, standard library only.

A snapshot of a full-state table (``valid_between``, ``time_travel``, ``current``) is the whole table, is read with the
columns that it was captured with, and so may have any. The intervals of an interval table are read together: what one
of them adds is null in the others, and nothing may change what an older one says.
"""

from __future__ import annotations

from collections.abc import Collection, Mapping
from dataclasses import dataclass
from typing import Literal

from warehouse.kinds import Kind
from warehouse.schema_failures import ColumnsLost, SchemaChanged
from warehouse.table_spec import HistoryMode, SchemaPolicy

ChangeName = Literal["added", "dropped", "widened", "retyped"]


@dataclass(frozen=True)
class ColumnChange:
    """One column that differs. ``before``: what the store holds of it; ``after``: what it would; None for nothing.

    ``renamed``: of a column that was dropped, the one of the same type that came in its place.
    """

    change: ChangeName
    column: str
    before: Kind | None = None
    after: Kind | None = None
    renamed: str | None = None

    def __str__(self) -> str:
        match self.change:
            case "added":
                return f"column {self.column!r} ({self.after}) is new"
            case "dropped":
                perhaps = f", perhaps renamed to {self.renamed!r}" if self.renamed else ""
                return f"column {self.column!r} ({self.before}) is no longer captured{perhaps}"
            case "widened" | "retyped":
                return f"column {self.column!r} is {self.after}, was {self.before}"


def changes_between(stored: Mapping[str, Kind], wanted: Mapping[str, Kind]) -> tuple[ColumnChange, ...]:
    """What differs between the columns of the store and those of the source, both in their order, by name.

    The order itself and whether a column may be null are no changes: columns are read by name, and all are nullable.
    """
    places = list(wanted)
    changes = []
    for place, (name, before) in enumerate(stored.items()):
        after = wanted.get(name)
        if after is None:
            instead = places[place] if place < len(places) and places[place] not in stored else None
            renamed = instead if instead is not None and wanted[instead] == before else None
            changes.append(ColumnChange("dropped", name, before, renamed=renamed))
        elif after != before:
            changes.append(ColumnChange("widened" if widens(before, after) else "retyped", name, before, after))
    changes += [ColumnChange("added", name, after=after) for name, after in wanted.items() if name not in stored]
    return tuple(changes)


def widens(before: Kind, after: Kind) -> bool:
    """Whether every stored value of ``before`` reads as one of ``after``, in place (Iceberg's type promotion)."""
    match (before.name, after.name):
        case ("integer", "long") | ("float", "double"):
            return True
        case ("decimal", "decimal"):
            assert before.precision is not None and after.precision is not None, "decimals have both"
            return before.scale == after.scale and before.precision < after.precision
    return False


def ensure_allowed(
    table: str, changes: tuple[ColumnChange, ...], stored: Mapping[str, Kind], mode: HistoryMode, policy: SchemaPolicy
) -> None:
    """Return if a run may write with the changed columns.

    ``fail`` allows no change, ``additive`` new columns, ``evolve`` what leaves everything published as it is: any
    change of a full-state table; of an interval table new columns, wider types, and columns that are gone (they stay,
    null in newer intervals).

    :raises SchemaChanged: otherwise; it names every change and what can be done about it.
    """
    is_interval = mode == "interval"
    refused = [change for change in changes if not _allowed(change, is_interval, policy)]
    clashes = _clashes(changes, stored) if is_interval else ()
    if refused or clashes:
        raise SchemaChanged(
            table,
            tuple(map(str, changes))
            + tuple(f"{new!r} differs from the stored {old!r} in case only" for new, old in clashes),
            _remedies(
                refused,
                is_interval=is_interval,
                evolve_helps=policy != "evolve"
                and not clashes
                and all(_allowed(change, is_interval, "evolve") for change in refused),
            ),
        )


def ensure_nothing_lost(table: str, as_of: str, changes: tuple[ColumnChange, ...], published: Collection[str]) -> None:
    """Return if capturing the interval ``as_of`` again, which was published with the columns ``published``, loses none.

    Its values of a column that is gone may exist nowhere else any more.

    :raises ColumnsLost: otherwise.
    """
    lost = [f"column {one.column!r}" for one in changes if one.change == "dropped" and one.column in published]
    if lost:
        raise ColumnsLost(table, as_of, tuple(lost))


def _allowed(change: ColumnChange, is_interval: bool, policy: SchemaPolicy) -> bool:
    match policy:
        case "fail":
            return False
        case "additive":
            return change.change == "added"
        case "evolve":
            return not (is_interval and change.change == "retyped")


def _clashes(changes: tuple[ColumnChange, ...], stored: Mapping[str, Kind]) -> tuple[tuple[str, str], ...]:
    """New columns, each with the stored one that stays beside it and differs in case only, as Spark cannot tell."""
    lower = {name.lower(): name for name in stored}
    return tuple(
        (change.column, lower[change.column.lower()])
        for change in changes
        if change.change == "added" and change.column.lower() in lower
    )


def _remedies(refused: list[ColumnChange], *, is_interval: bool, evolve_helps: bool) -> str:
    """What to do, the gentlest first."""
    added = [change.column for change in refused if change.change == "added"]
    typed = {change.column: str(change.before) for change in refused if change.change in ("widened", "retyped")}
    remedies = []
    if added:
        remedies.append(f"leave it out with columns.exclude: [{', '.join(added)}]")
    if typed:
        listed = ", ".join(f"{name}: {kind}" for name, kind in typed.items())
        remedies.append(f"have it captured as before with columns.types: {{{listed}}}")
    if evolve_helps:
        kept = "; older intervals keep their values" if is_interval else "; older snapshots keep their columns"
        remedies.append(f"let the table change with schema: evolve{kept}")
    remedies.append("give the table a new name in the manifest, which begins a new history")
    return ", or ".join(remedies)
