"""Why a captured snapshot is not published: it is not what the source had, or a check does not hold."""

from __future__ import annotations

from dataclasses import dataclass

from warehouse.failures import PermanentError
from warehouse.fingerprints import Difference

MOST_DIFFERENCES = 10
"""That a message names."""


@dataclass(eq=False)
class RowCountMismatch(PermanentError):
    table: str
    as_of: str
    source_rows: int
    stored_rows: int

    def __str__(self) -> str:
        return (
            f"table {self.table} as of {self.as_of}: the source had {self.source_rows} rows, the store has "
            f"{self.stored_rows}, a difference of {self.stored_rows - self.source_rows:+d}; nothing was published"
        )


@dataclass(eq=False)
class FingerprintMismatch(PermanentError):
    """The store does not hold what the source had. No difference names a value."""

    table: str
    as_of: str
    differences: tuple[Difference, ...]

    def __str__(self) -> str:
        named = [str(difference) for difference in self.differences[:MOST_DIFFERENCES]]
        if (more := len(self.differences) - len(named)) > 0:
            named.append(f"so do {more} more columns")
        return f"table {self.table} as of {self.as_of}: {'; '.join(named)}; nothing was published"


@dataclass(eq=False)
class CheckFailed(PermanentError):
    table: str
    as_of: str
    check: str
    rows: int
    of_rows: int

    def __str__(self) -> str:
        return (
            f"table {self.table} as of {self.as_of}: check {self.check!r} does not hold for {self.rows} of "
            f"{self.of_rows} rows; nothing was published"
        )


@dataclass(eq=False)
class CheckInvalid(PermanentError):
    table: str
    check: str
    reason: str

    def __str__(self) -> str:
        return f"table {self.table}: check {self.check!r} is not a condition on its rows ({self.reason})"


@dataclass(eq=False)
class CheckNotComputable(PermanentError):
    """A check raises an error for some row. ``condition`` is Spark's name of the error: its text quotes the value."""

    table: str
    condition: str

    def __str__(self) -> str:
        return f"table {self.table}: one of its checks cannot be computed for some row ({self.condition})"


@dataclass(eq=False)
class TooFewRows(PermanentError):
    table: str
    as_of: str
    rows: int
    min_rows: int

    def __str__(self) -> str:
        return (
            f"table {self.table} as of {self.as_of} has {self.rows} rows, fewer than min_rows {self.min_rows}; "
            "nothing was published"
        )


@dataclass(eq=False)
class ChangedTooMuch(PermanentError):
    table: str
    as_of: str
    rows: int
    previous_as_of: str
    previous_rows: int
    max_change: float

    def __str__(self) -> str:
        return (
            f"table {self.table} as of {self.as_of} has {self.rows} rows against {self.previous_rows} as of "
            f"{self.previous_as_of}, a change of more than max_change {self.max_change}; nothing was published"
        )
