"""A source as a job reaches it."""

from __future__ import annotations

from dataclasses import dataclass
from typing import Literal

from warehouse.spec_json import SpecError

PASSWORD_VARIABLE = "WAREHOUSE_SOURCE_PASSWORD"  # noqa: S105  # a name, not a password
"""Environment variable in which the source's password reaches the driver; never an argument, never in a spec."""


@dataclass(frozen=True)
class SourceSpec:
    """A source as Spark reaches it. ``url`` carries no password."""

    name: str
    dialect: str
    url: str
    user: str | None
    driver: str
    time_zone: str
    fetch_size: int = 10_000
    consistency: Literal["snapshot", "best_effort"] = "snapshot"
    reader: Literal["auto", "jdbc"] = "auto"

    def __post_init__(self) -> None:
        if self.fetch_size < 1:
            # Without one PostgreSQL's driver leaves autocommit on: it would ignore the shared state in silence.
            raise SpecError(f"fetch_size of source {self.name} is {self.fetch_size}, and at least 1 is needed")
