"""What an SQLSTATE means for a run: pure, so that Airflow's check and the Spark jobs say the same of the same failure.

SQLSTATE classes: PostgreSQL manual, appendix A. A driver's own text is passed on only for class 42 (syntax error or
access rule violation), which names objects; other classes may quote values of the data.
"""

from __future__ import annotations

import re
from dataclasses import dataclass

from warehouse.failures import JobError
from warehouse.source_failures import (
    SessionsNotKept,
    SourceBusy,
    SourceRefused,
    SourceStateLost,
    SourceUnreachable,
    WrongPassword,
)

BUSY_CODES = {("HY000", 1205), ("42000", 1203), ("42000", 1226), ("70100", 1317), ("70100", 1969)}
"""MariaDB's and MySQL's: lock wait, too many connections of a user, statement killed or out of time."""
LOST_CODES = {("70100", 1927), ("HY000", 1927)}
"""MariaDB's: the connection was killed."""
NAMING_CODES = {("HY000", 4124)}
"""MariaDB's: the table is not system-versioned."""

DECORATION = re.compile(r"^([\w.]+Exception: )?(ERROR: |\(conn=\d+\) )?")
"""What drivers and Java put before a server's sentence."""

WRONG_PASSWORD = {"28P01", "28000"}
CONNECTION_LOST = {"57P01", "57P02", "57P03"}
IDLE_TOO_LONG = {"25P03", "25P04"}
"""Time-outs of transactions that somebody set for this user; it passes when the store is less busy."""
SNAPSHOT_LOST = {"22023", "42704"}
BUSY_CLASSES = {"53", "40", "55", "57"}


@dataclass(frozen=True)
class Cause:
    """One link of a chain of Java exceptions."""

    class_name: str
    message: str
    sql_state: str | None = None
    vendor_code: int = 0


def source_failure(  # noqa: PLR0911  # one return per class of SQLSTATEs
    chain: list[Cause], source: str, user: str | None, table: str | None
) -> JobError | None:
    """The failure that a chain of Java exceptions from a JDBC driver means, or None where no driver is in it."""
    cause = next((c for c in reversed(chain) if c.sql_state), None)
    if cause is None or cause.sql_state is None:
        if any(c.class_name.startswith("java.sql.") or c.class_name.endswith("PSQLException") for c in chain):
            return SourceUnreachable(source, table)
        return None
    state, code = cause.sql_state, (cause.sql_state, cause.vendor_code)
    if state in WRONG_PASSWORD:
        return WrongPassword(source, user)
    if "statement pooling mode" in cause.message:
        return SessionsNotKept(source)
    if state in IDLE_TOO_LONG:
        return SourceBusy(source, table, state)
    if state.startswith("08") or state in CONNECTION_LOST or code in LOST_CODES:
        return SourceUnreachable(source, table)
    if state in SNAPSHOT_LOST and "snapshot" in cause.message:
        return SourceStateLost(source, table)
    if state[:2] in BUSY_CLASSES or code in BUSY_CODES:
        return SourceBusy(source, table, state)
    reason = _first_line(cause.message) if state.startswith("42") or code in NAMING_CODES else ""
    return SourceRefused(source, table, state, reason)


def _first_line(message: str) -> str:
    first = message.strip().splitlines()[0] if message.strip() else ""
    return DECORATION.sub("", first)
