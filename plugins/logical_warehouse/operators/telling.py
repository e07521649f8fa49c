"""Telling the notifiers of what the monitor finds: of each problem once, and each notifier by itself."""

from __future__ import annotations

import json
import logging
from collections.abc import Iterable, Iterator, Sequence
from dataclasses import dataclass
from typing import TYPE_CHECKING

from airflow.sdk import Variable

from logical_warehouse.manifest import Notifier
from logical_warehouse.notifying import tell

if TYPE_CHECKING:
    from airflow.sdk import Context

TOLD_VARIABLE = "warehouse_told"
"""Airflow variable: JSON of who was told of which problems: place and class of a notifier → keys."""
LOG = "log"
"""Who is told first, and always reached: the task's log."""
MOST_MESSAGES = 5
"""About the losses of one table at once."""

_log = logging.getLogger(__name__)


@dataclass(frozen=True)
class Problem:
    """Something that people are told of once. ``key``: what makes it the same problem the next time. ``table``: that
    with many others of it a message tells of them together."""

    key: str
    sentence: str
    table: str = ""


def tell_once(
    notifiers: Sequence[Notifier], context: Context, problems: Sequence[Problem], *, forget_others: bool = True
) -> None:
    """Tell everybody of those problems of which they were not told before; who cannot be reached is told the next time.

    :param forget_others: of a problem that is not among ``problems`` (any more) people are told when it comes back.
    """
    told = _told()
    now: dict[str, list[str]] = {}
    for name, notifier in [(LOG, None), *((f"{n} {one.notifier}", one) for n, one in enumerate(notifiers))]:
        before = set(told.get(name, ()))
        after = before & {problem.key for problem in problems} if forget_others else set(before)
        for message, of_message in _messages(problem for problem in problems if problem.key not in before):
            if notifier is None:
                for problem in of_message:
                    _log.warning("%s", problem.sentence)
            if notifier is None or tell([notifier], context, message):
                after |= {problem.key for problem in of_message}
        now[name] = sorted(after)
    if now != told:
        Variable.set(TOLD_VARIABLE, json.dumps(now))


def _told() -> dict[str, list[str]]:
    told = json.loads(Variable.get(TOLD_VARIABLE, default="{}"))
    return told if isinstance(told, dict) else {}


def _messages(problems: Iterable[Problem]) -> Iterator[tuple[str, list[Problem]]]:
    """One of each problem; but of a table that has lost many dates, as after a cold restart, one of all."""
    of_table: dict[str, list[Problem]] = {}
    for problem in problems:
        of_table.setdefault(problem.table or problem.key, []).append(problem)
    for found in of_table.values():
        if len(found) <= MOST_MESSAGES:
            yield from ((problem.sentence, [problem]) for problem in found)
        else:
            more = f"; and so are {len(found) - 1} more of its snapshots, each of which the log of this task names"
            yield f"{found[0].sentence}{more}", found
