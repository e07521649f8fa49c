"""Why a table, or an interval of it, cannot be captured from a source that answers."""

from __future__ import annotations

import difflib
from dataclasses import dataclass

from warehouse.failures import PermanentError, RetryableError


@dataclass(eq=False)
class MissingTable(PermanentError):
    table: str
    source_name: str
    source: str

    def __str__(self) -> str:
        return f"table {self.table}: source {self.source} has no table {self.source_name}"


@dataclass(eq=False)
class MissingColumn(PermanentError):
    table: str
    source_name: str
    columns: tuple[str, ...]
    found: tuple[str, ...] = ()

    def __str__(self) -> str:
        missing = ", ".join(repr(column) for column in self.columns)
        near = difflib.get_close_matches(self.columns[0], self.found, n=1)
        hint = f"; did you mean {near[0]!r}?" if near else ""
        return f"table {self.table}: {self.source_name} has no column {missing}{hint}"


@dataclass(eq=False)
class NoPrivilege(PermanentError):
    table: str
    source_name: str
    user: str | None

    def __str__(self) -> str:
        return f"table {self.table}: user {self.user!r} may not read {self.source_name}"


@dataclass(eq=False)
class UnsupportedColumn(PermanentError):
    table: str
    column: str
    type: str
    reason: str
    hint: str = "exclude it with columns.exclude"
    others: tuple[str, ...] = ()

    def __str__(self) -> str:
        others = f"; nor can {', '.join(map(repr, self.others))} be captured" if self.others else ""
        return f"table {self.table}: column {self.column!r} of type {self.type} {self.reason}; {self.hint}{others}"


@dataclass(eq=False)
class StateNotHeld(PermanentError):
    """``reason``: what of the table escapes a transaction, of the dialect's own words."""

    table: str
    reason: str

    def __str__(self) -> str:
        return (
            f"table {self.table} cannot be read in one consistent state, since {self.reason}; "
            "list it under a source with consistency: best_effort, or change that in the source"
        )


@dataclass(eq=False)
class RefusedValues(PermanentError):
    """``what``: what the values are that no stored value equals, ``infinite``. ``rows``: how many of them."""

    table: str
    column: str
    type: str
    rows: int
    what: str

    def __str__(self) -> str:
        return (
            f"table {self.table}: column {self.column!r} of type {self.type} has {self.rows} values that cannot be "
            f"stored exactly ({self.what}); name another kind for it in columns.types, or exclude it with "
            "columns.exclude"
        )


@dataclass(eq=False)
class SplitImpossible(PermanentError):
    table: str
    reason: str

    def __str__(self) -> str:
        return f"table {self.table} cannot be split: {self.reason}"


@dataclass(eq=False)
class IntervalNotExpressible(PermanentError):
    table: str
    reason: str

    def __str__(self) -> str:
        return f"table {self.table}: {self.reason}"


@dataclass(eq=False)
class CapturedTooLate(PermanentError):
    table: str
    as_of: str
    late_seconds: int
    lateness_seconds: int

    def __str__(self) -> str:
        return (
            f"table {self.table} is only known as it is now, {self.late_seconds} seconds after {self.as_of} ended, "
            f"later than its lateness of {self.lateness_seconds} seconds allows; capture the newest complete interval, "
            "or trigger this date with capture_late"
        )


@dataclass(eq=False)
class IntervalNotOver(RetryableError):
    source: str
    as_of: str
    seconds: int

    def __str__(self) -> str:
        return (
            f"the clock of source {self.source} is {self.seconds} seconds short of the end of {self.as_of}, so rows of "
            "that interval may still come; it is tried again, but check the clocks"
        )
