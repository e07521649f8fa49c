"""Which run asks a job, and for which data interval."""

from __future__ import annotations

import hashlib
import re
from dataclasses import dataclass

RUN_PREFIX = "run_"
"""Of run branches, and of the folders of their data files."""


@dataclass(frozen=True)
class RunSpec:
    """Which run asks: ``attempt`` is Airflow's try number of the task, unique within the run and task.

    ``again``: label of the earlier interval that the run captures again, beside its own; empty for its own.
    """

    dag_id: str
    run_id: str
    attempt: int
    again: str = ""

    @property
    def key(self) -> str:
        """Name of the run that is safe in paths and in branch names: readable, and unique by its digest."""
        readable = re.sub(r"[^a-z0-9]+", "_", self.run_id.lower()).strip("_")[:60]
        digest = hashlib.sha256(f"{self.dag_id}/{self.run_id}".encode()).hexdigest()[:8]
        return f"{readable}_{digest}"

    @property
    def branch_prefix(self) -> str:
        """Prefix of the run branches of all tries of this run."""
        return f"{RUN_PREFIX}{self.key}_try"

    @property
    def branch(self) -> str:
        """Iceberg branch into which this try writes."""
        return f"{self.branch_prefix}{self.attempt}{self._of}"

    def replaces(self, branch: str) -> bool:
        """Whether ``branch`` is of this run and has to go when this one is made.

        The one of the run's own interval is made first, in place of all that earlier tries left.
        """
        return branch.startswith(self.branch_prefix) and branch.endswith(self._of)

    def try_of(self, branch: str) -> int | None:
        """Number of the try of this run that a run branch is of; None for one of another run."""
        found = re.fullmatch(rf"{re.escape(self.branch_prefix)}(\d+)(_of_.+)?", branch)
        return int(found[1]) if found else None

    @property
    def _of(self) -> str:
        return f"_of_{self.again}" if self.again else ""


@dataclass(frozen=True)
class EndedRun:
    """A run that Airflow takes for ended, and that did not see to what it had written; ``start``: of its interval.

    ``tries``: run branches, and folders of that name, that were there before Airflow was asked. What comes later is of
    a run that was cleared, and lives again. ``promised_at``: when its promise was made; another is of such a run, too.
    """

    run_id: str
    as_of: str
    start: str
    tries: tuple[str, ...] = ()
    promised_at: str = ""


@dataclass(frozen=True)
class IntervalSpec:
    """The data interval ``[start, end)`` as ISO 8601 in UTC (``2013-06-01T00:00:00Z``), and its label."""

    as_of: str
    start: str
    end: str
