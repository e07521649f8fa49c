"""A problem of the manifest as a value, and "did you mean"."""

from __future__ import annotations

import difflib
from collections.abc import Iterable
from dataclasses import dataclass

Path = tuple[str | int, ...]
"""Keys and list positions from the top of the manifest."""

MANIFEST = "manifest"
"""Subject of a problem that is not one table's, training's or source's."""


@dataclass(frozen=True)
class Problem:
    """What is wrong, where, what is allowed and what to do.

    :param file: as the user named it.
    :param line: first line is 1.
    :param path: keys joined by dots, ``tables.flights.histroy``; empty for the file as a whole.
    :param allowed: what may stand there instead.
    :param hint: ``did you mean 'history'?`` or what to do.
    :param subject: what cannot be used because of it: ``tables.flights``, ``groups.reference``,
        ``trainings.late_departures``, ``sources.nycflights`` or ``manifest``.
    """

    file: str
    line: int
    path: str
    message: str
    allowed: tuple[str, ...] = ()
    hint: str | None = None
    subject: str = MANIFEST

    def __str__(self) -> str:
        where = f"{self.file}:{self.line}: " + (f"{self.path}: " if self.path else "")
        hint = f"; {self.hint}" if self.hint else ""
        joint = " " if hint.endswith("?") else "; "
        allowed = f"{joint}allowed: {', '.join(self.allowed)}" if self.allowed else ""
        # On one line and as it is: a name may hold line ends, or turn the direction of what follows it.
        return "".join(
            letter if letter.isprintable() else letter.encode("unicode_escape").decode()
            for letter in f"{where}{self.message}{hint}{allowed}"
        )


def dotted(path: Path) -> str:
    """``('tables', 'flights', 'tags', 0)`` as ``tables.flights.tags[0]``."""
    text = ""
    for step in path:
        text += f"[{step}]" if isinstance(step, int) else f".{step}" if text else str(step)
    return text


def did_you_mean(word: str, allowed: Iterable[str]) -> str | None:
    """``did you mean 'history'?`` where one of ``allowed`` is near, else None."""
    near = difflib.get_close_matches(word, list(allowed), n=1, cutoff=0.6)
    return f"did you mean {near[0]!r}?" if near else None
