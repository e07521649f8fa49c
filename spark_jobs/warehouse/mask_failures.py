"""Why a table with sensitive columns is not captured. No message holds a value or a key."""

from __future__ import annotations

from dataclasses import dataclass

from warehouse.failures import PermanentError


@dataclass(eq=False)
class KeyMissing(PermanentError):
    connection: str

    def __str__(self) -> str:
        return (
            f"the key of the mask hmac({self.connection}) did not reach the driver: in client mode it comes by its "
            "environment, as the source's password does"
        )


@dataclass(eq=False)
class KeyUnusable(PermanentError):
    """``least``: characters that a key must have."""

    table: str
    connection: str
    least: int

    def __str__(self) -> str:
        return (
            f"table {self.table}: the password of the Airflow connection {self.connection!r}, which is the key of a "
            f"mask, is empty or shorter than {self.least} characters; set a long random one before anything is captured"
        )


@dataclass(eq=False)
class KeyChanged(PermanentError):
    """``check`` has frozen what the key was: trying again without it cannot help."""

    connection: str

    def __str__(self) -> str:
        return (
            f"the password of the Airflow connection {self.connection!r}, the key of a mask, changed while the run was "
            "under way; run it again from check on"
        )


@dataclass(eq=False)
class KeyNotInSession(PermanentError):
    """The session was made with the key, and does not have it."""

    connection: str
    source: str

    def __str__(self) -> str:
        return (
            f"the key of the mask hmac({self.connection}) did not reach the session of source {self.source}: take "
            "sessionVariables out of its JDBC URL, and let a proxy before the source pass session settings on"
        )


@dataclass(eq=False)
class MaskNotAsDefined(PermanentError):
    """The source's own function is not the one that the mask means, so that equal values would not be equal."""

    table: str
    mask: str
    source: str

    def __str__(self) -> str:
        return (
            f"table {self.table}: source {self.source} does not compute the mask {self.mask} as it is defined, so that "
            "its values could not be joined; exclude the masked columns, and see docs/sensitive-columns.md for the "
            "versions that can"
        )


@dataclass(eq=False)
class Unclassified(PermanentError):
    table: str
    columns: tuple[str, ...]

    def __str__(self) -> str:
        names = ", ".join(map(repr, self.columns))
        listed = ", ".join(f"{name}: …" for name in self.columns)
        return (
            f"table {self.table}: {names} {'has' if len(self.columns) == 1 else 'have'} no label, and "
            f"require_classification is set; set columns.classification to {{{listed}}} too, or exclude them"
        )
