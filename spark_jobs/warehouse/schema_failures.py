"""Why a table does not go on as what its published snapshots are."""

from __future__ import annotations

from dataclasses import dataclass

from warehouse.failures import PermanentError


@dataclass(eq=False)
class SchemaChanged(PermanentError):
    """``differences``: one for each column; ``remedy``: what to do."""

    table: str
    differences: tuple[str, ...]
    remedy: str

    def __str__(self) -> str:
        listed = ", ".join(self.differences)
        return f"table {self.table} no longer has the columns of its published snapshots: {listed}; {self.remedy}"


@dataclass(eq=False)
class TableRedefined(PermanentError):
    """The manifest means another table by the name of a stored one. ``differences``: what is now and what was."""

    table: str
    differences: tuple[str, ...]

    def __str__(self) -> str:
        return (
            f"table {self.table} is not what its published snapshots are of: {', '.join(self.differences)}; give it a "
            "new name in the manifest, which begins a new history, or set back what was changed"
        )


@dataclass(eq=False)
class ColumnsLost(PermanentError):
    table: str
    as_of: str
    columns: tuple[str, ...]

    def __str__(self) -> str:
        gone = ", ".join(self.columns)
        return (
            f"table {self.table}: the published interval {self.as_of} has values of {gone}, no longer captured; "
            "capturing the interval again would lose them: leave it as it is, or bring back what is gone"
        )


@dataclass(eq=False)
class ColumnsMoved(PermanentError):
    """Between the capture and its publishing another run published other columns."""

    table: str
    column: str

    def __str__(self) -> str:
        return (
            f"table {self.table}: another run published column {self.column!r} with another type after this one was "
            "captured; run snapshot again"
        )
