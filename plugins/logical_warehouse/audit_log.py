"""Who asked for files of a folder, by the audit log of Alluxio's master: names and paths, never a value.

A line, as ``AUDIT_LOG`` of Alluxio 2.9 has it after the time that the site's layout puts before it::

    succeeded=true  allowed=true  ugi=ana,analysts (AUTH=SIMPLE)  ip=/10.0.0.7:44  cmd=getFileInfo  src=/w/t/data/f  …
"""

from __future__ import annotations

import re
from collections.abc import Iterable, Iterator
from dataclasses import dataclass, replace
from pathlib import Path

from warehouse.failures import PermanentError

LOOKED_AT = ("getFileInfo", "listStatus", "checkAccess")
"""Commands by which a reader finds a file; its blocks come from the workers, which log nothing."""
_LINE = re.compile(
    r"^(?P<at>\S+(?: \d\S*)?)\s.*?allowed=(?P<allowed>true|false)\s+ugi=(?P<user>[^,\s]+).*?"
    r"\scmd=(?P<command>\S+)\s+src=(?P<path>\S+)"
)


@dataclass(frozen=True)
class Reader:
    """What one user asked for: requests that were ``allowed`` and ``refused``; the earliest time and the latest, as
    logged, in a layout in which later ones sort last, as in ISO 8601."""

    user: str
    allowed: int
    refused: int
    first: str
    last: str


def readers(lines: Iterable[str], folder: str, part: str = "") -> tuple[Reader, ...]:
    """Users who asked for something below a folder, in the order in which they first did.

    :param lines: in any order: of a log's older parts the oldest has the lowest number with Log4j 2, the highest with
        Log4j 1.
    :param part: that the path must have below the folder, too; a refused request counts in any case, since it may have
        been stopped on the way.
    """
    found: dict[str, Reader] = {}
    for line in lines:
        match = _LINE.match(line)
        if match is None or match["command"] not in LOOKED_AT or not f"{match['path']}/".startswith(f"{folder}/"):
            continue
        allowed = match["allowed"] == "true"
        if allowed and part not in match["path"].removeprefix(folder):
            continue
        one = found.get(match["user"]) or Reader(match["user"], 0, 0, match["at"], match["at"])
        found[one.user] = replace(
            one,
            allowed=one.allowed + allowed,
            refused=one.refused + (not allowed),
            first=min(one.first, match["at"]),
            last=max(one.last, match["at"]),
        )
    return tuple(sorted(found.values(), key=lambda one: one.first))


def log_lines(log: Path) -> Iterator[str]:
    """Lines of an audit log with its older parts (``<log>.1``, …).

    :raises PermanentError: there is no such file, or this user may not read it.
    """
    parts = {int(part.suffix[1:]): part for part in log.parent.glob(f"{log.name}.*") if part.suffix[1:].isdigit()}
    try:
        for file in (*(parts[number] for number in sorted(parts)), log):
            with file.open(encoding="utf-8", errors="replace") as opened:
                yield from opened
    except OSError as error:
        raise PermanentError(
            f"The audit log {log} cannot be read ({error.strerror}): it lies where Alluxio's master runs."
        ) from error
