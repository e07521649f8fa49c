"""Why somebody may not read or limit what lies in the store."""

from __future__ import annotations

from dataclasses import dataclass

from warehouse.failures import PermanentError


@dataclass(eq=False)
class NotAllowed(PermanentError):
    """The store refuses a user. ``group``: the one that may, as far as the store says; ``path``: what was asked for."""

    user: str
    path: str
    verb: str = "read"
    table: str | None = None
    group: str | None = None

    def __str__(self) -> str:
        what = f"table {self.table}" if self.table else self.path
        group = f": it is for group {self.group!r}" if self.group and self.verb == "read" else ""
        remedy = f"; ask whoever keeps the members of {self.group!r}" if group else ", which its owner may"
        return f"user {self.user!r} may not {self.verb} {what}{group}{remedy}"


@dataclass(eq=False)
class NotLimited(PermanentError):
    """A directory does not have the group and mode that the manifest asks for; nothing was written to it."""

    table: str
    path: str
    wanted: str
    found: str

    def __str__(self) -> str:
        return (
            f"table {self.table}: its directory {self.path} is {self.found} and not {self.wanted}, as access in the "
            "manifest asks; the store must keep groups and modes, and the jobs' user must own the directory"
        )
