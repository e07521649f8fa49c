"""What a try of an ended run has captured and not published: whether somebody may still want it.

A capture that is complete is not dead with its run: the task `validate` may be cleared and publish it, and people look
at what did not validate. It stays until its date is published from a state as late, or retention is past it. Standard
library only: what the jobs remove, `check` counts as room.
"""

from __future__ import annotations

import re
from dataclasses import dataclass

from warehouse.job_answer import JobAnswer
from warehouse.snapshot_record import SnapshotRecord
from warehouse.spec_json import SpecError, from_json

SNAPSHOT_TASK = "snapshot"
NEVER_OUTDATED = "9999"
TRY = re.compile(r"(?P<prefix>.+_try)(?P<attempt>\d+)(_of_.+)?")
"""Name of a run branch, of any run."""


@dataclass(frozen=True)
class Unpublished:
    """What one try left. ``captured_at``: see :func:`captured_at`. ``as_of``, ``start``: of its run's interval; empty
    where they are not known."""

    captured_at: str | None
    as_of: str
    start: str

    def is_wanted(self, published: SnapshotRecord | None, retained_from: str) -> bool:
        """Whether it is a complete capture that may still be published.

        :param published: of its table, the record of its date.
        :param retained_from: of its table, the start of the oldest date that retention keeps; empty for all.
        """
        if self.captured_at is None:
            return False
        is_past = bool(self.start) and self.start < retained_from
        return not is_past and not (published is not None and published.captured_at >= self.captured_at)


def captured_at(answer: str | bytes | None) -> str | None:
    """When a try had the source's state, by its answer; None where it did not come to its end.

    :param answer: of the try's task ``snapshot``, None where there is none. One of another version of this package is
        taken for that of a capture that nothing outdates.
    """
    if answer is None:
        return None
    try:
        result = from_json(JobAnswer, answer).snapshot
    except SpecError:
        return NEVER_OUTDATED
    return max((capture.captured_at for capture in result.captures), default="") if result is not None else None
