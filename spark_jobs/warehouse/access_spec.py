"""Who may read a table, as a job is told: pure, standard library only."""

from __future__ import annotations

from dataclasses import dataclass


@dataclass(frozen=True)
class AccessSpec:
    """``group``: the one whose members may read the table, beside the account that the jobs run as; None for everyone
    who reaches the store."""

    group: str | None
