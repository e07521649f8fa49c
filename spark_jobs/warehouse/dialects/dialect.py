"""What every dialect can do, and the SQL that is the same in all of them."""

# ruff: noqa: S608 - building SQL is what this package is for; names pass quote(), literals literal()

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from datetime import date, datetime, timedelta
from datetime import time as wall_time
from types import MappingProxyType
from typing import TYPE_CHECKING, Literal, Protocol
from zoneinfo import ZoneInfo

from warehouse.kinds import Kind
from warehouse.splits import SPLIT_KEY
from warehouse.table_spec import ColumnSpec

if TYPE_CHECKING:
    from warehouse.dialects.fingerprint_sql import FingerprintSql
    from warehouse.dialects.mask_sql import MaskSql

Encoding = Literal["plain", "epoch_days", "epoch_micros"]
"""How a captured value travels: as JDBC has it, or a date or timestamp as a whole number since 1970-01-01 (UTC)."""


class DialectError(ValueError):
    """Something that the source's SQL cannot say; the message is part of a sentence that names the table."""


class CaptureRefused(DialectError):
    """A column's type that cannot arrive exact; the message says why, ``hint`` which key of the manifest helps."""

    def __init__(self, reason: str, hint: str = "exclude it with columns.exclude") -> None:
        self.hint = hint
        super().__init__(reason)


@dataclass(frozen=True)
class Captured:
    """How one column is read so that it arrives exact.

    ``sql``: expression over the quoted column in the source's SQL, readable over JDBC as ``encoding`` says.
    ``refused_sql``: condition, true for the values that no value of ``kind`` equals; a table that has one is refused.
    ``sql`` gives null for them, so that reading does not break. ``refused_as``: what such values are (``infinite``).
    """

    sql: str
    kind: Kind
    encoding: Encoding = "plain"
    refused_sql: str | None = None
    refused_as: str = ""


def of_one_calendar(value_sql: str, kind: Kind, first_sql: str) -> Captured:
    """A date or time that travels as JDBC has it, which before 15 October 1582 counts by another calendar.

    :param first_sql: the first moment of that day, in the source's SQL, comparable with ``value_sql``.
    """
    return Captured(
        f"CASE WHEN {value_sql} >= {first_sql} THEN {value_sql} END",
        kind,
        refused_sql=f"{value_sql} < {first_sql}",
        refused_as="before 1582-10-15, where JDBC counts by another calendar",
    )


FIRST_DAY = "1582-10-15"
"""Of the Gregorian calendar; java.sql's dates before it are Julian ones."""


class Dialect(Protocol):
    """SQL of one engine. Nothing here runs a statement; arguments are values, never SQL, unless they are called so.

    What has a body here is the same in every engine.
    """

    name: str
    driver_class: str
    shares_snapshots: bool
    """Whether several connections can read one exported state."""
    holds_state: bool
    """Whether one transaction reads one state from its first statement to its last."""
    isolation: int | None = 4
    """``java.sql.Connection``'s number of the isolation level that does it; 4 is repeatable read."""
    session_settings: tuple[str, ...] = ()
    """Statements of every connection that reads rows: they fix what values look like as text."""
    init_statements: tuple[str, ...]
    """Statements of a connection before its transaction begins."""
    begin_statements: tuple[str, ...] = ()
    """Statements that fix the transaction's state, where its first statement does not."""
    hashes_rows: bool = True
    """Whether the engine can hash a row as Spark does, which ``validate: rows`` needs."""
    properties: Mapping[str, str] = MappingProxyType({})
    """JDBC properties of every connection that reads rows."""
    masks: MaskSql
    """How it says the masks of sensitive columns."""
    alive_sql: str | None = "SELECT 1"
    """Fails where the connection has ended; None: the driver is asked instead."""

    sends_columns: bool = False
    """Whether ``copy_read`` knows a faster way to its rows than JDBC."""
    announced_process: str | None = None
    """Method of the driver's connection that tells which server process the protocol named; None where none does."""

    def process_sql(self) -> str:
        """One row: the server process that answers. :raises DialectError: the engine does not tell."""
        raise DialectError(f"{self.name} does not tell which process answers")

    def quote(self, identifier: str) -> str:
        """Quoted identifier. :raises DialectError: not an identifier of this engine."""

    def literal(self, text: str) -> str:
        """Quoted string literal. :raises DialectError: the text holds NUL."""
        if "\0" in text:
            raise DialectError("a string cannot hold NUL")
        return "'" + text.replace("'", "''") + "'"

    def relation(self, schema: str, table: str, at: datetime | None = None) -> str:
        """``"schema"."table"``; with ``at``, an aware datetime, as the source's own history has it at that instant.

        :raises DialectError: the engine keeps no history that SQL can ask for.
        """
        if at is not None:
            raise DialectError(
                f"{self.name} keeps no history of its tables that SQL can ask for, so its history cannot be "
                "time_travel; use valid_between, interval or current"
            )
        return f"{self.quote(schema)}.{self.quote(table)}"

    def history_begins_sql(self, schema: str, table: str) -> str | None:
        """One row: since when the source's own history knows the table, ISO 8601 in UTC, or null for always.

        None where the engine cannot be asked.
        """
        return None

    def open_writers_sql(self, before: datetime) -> str | None:
        """One row: how many transactions that were open before that instant have written something and are open still.

        What they wrote may be in the source's own history of that instant once they commit. None where it cannot be.
        """
        return None

    def select(self, columns: dict[str, str], relation: str, where_sql: str | None = None) -> str:
        """``SELECT`` of expressions by alias: ``columns`` is alias → SQL expression."""
        listed = ", ".join(f"{expression} AS {self.quote(alias)}" for alias, expression in columns.items())
        return f"SELECT {listed} FROM {relation}{where_clause(where_sql)}"

    def time_bound(
        self, column: str, type_name: str, moment: datetime, time_zone: str, *, last_before: bool = False
    ) -> str:
        """Literal of ``moment``, an aware datetime, with which ``column`` is compared, exact in the source's time zone.

        :param last_before: the last value of the column's type before ``moment`` instead, by its digits of a second.
        :raises DialectError: no date and no time, or one that cannot express this moment.
        """

    def interval_predicate(self, column: str, type_name: str, start: datetime, end: datetime, time_zone: str) -> str:
        """Condition that ``column`` lies in ``[start, end)``, aware datetimes, exact in the source's time zone.

        :raises DialectError: the column's type cannot express these bounds.
        """
        first, last = (self.time_bound(column, type_name, moment, time_zone) for moment in (start, end))
        return f"{self.quote(column)} >= {first} AND {self.quote(column)} < {last}"

    def validity_predicate(
        self, valid_from: ColumnSpec, valid_to: ColumnSpec, end: datetime, time_zone: str, *, to_inclusive: bool = False
    ) -> str:
        """Condition that a row is valid just before ``end``; a row without an end still is.

        :param to_inclusive: ``valid_to`` is the last moment at which the row holds, not the first at which it does not.
        :raises DialectError: a column's type cannot express ``end``.
        """
        begins = f"{self.quote(valid_from.name)} < {self.time_bound(valid_from.name, valid_from.type, end, time_zone)}"
        last = self.time_bound(valid_to.name, valid_to.type, end, time_zone, last_before=to_inclusive)
        ends = self.quote(valid_to.name)
        return f"{begins} AND ({ends} >= {last} OR {ends} IS NULL)"

    def columns_sql(self, schema: str, table: str) -> str | None:
        """Rows ``(name, type, nullable, readable)`` in the table's order, the last two ``'true'`` or ``'false'``.

        No row: no such table. One row whose name is null: a table without columns. None: the driver's description of
        the table has to do (see ``jdbc_metadata``).
        """

    def estimate_sql(self, select_sql: str) -> str | None:
        """Statement whose answer :meth:`read_estimate` understands; None where the engine has no estimate."""

    def read_estimate(self, answer: str) -> tuple[int, int]:
        """Estimated rows, and bytes of one row, of the answer to :meth:`estimate_sql`."""

    def row_bytes_sql(self, schema: str, table: str) -> str | None:
        """One row: bytes of an average row, for engines whose estimate leaves them out as 0."""
        return None

    def state_refusal_sql(self, schema: str, table: str) -> str | None:
        """One row: why a transaction does not hold this table's state; null where it does. None: it always does."""
        return None

    def captured_at_sql(self) -> str:
        """One row: the source's clock as ISO 8601 in UTC."""

    def source_position_sql(self) -> str | None:
        """One row: the source's own name of the state that the transaction reads."""

    def export_snapshot_sql(self) -> str | None:
        """One row: the name under which other connections import this transaction's state."""

    def import_statements(self, snapshot: str) -> tuple[str, ...]:
        """What a connection runs before it reads, to see the exported state."""

    def in_state(self, relation: str, snapshot: str) -> str:
        """The relation in the exported state, for engines in which a statement names it and not a connection."""
        return relation

    def storage_sql(self, schema: str, table: str) -> str | None:
        """Rows ``(kind, pages)``, one for each part that the table is stored in; a kind is ``heap`` or another word.

        None where rows have no place to split by.
        """
        return None

    def place_split(self, pages: Sequence[int], parts: int) -> tuple[str, list[str]]:
        """Expression of a row's place, and at most ``parts - 1`` borders as literals."""
        raise DialectError(f"{self.name} has no places to split rows by")

    def keys_sql(self, schema: str, table: str) -> str | None:
        """Rows ``(column, unique)`` of readable columns that lead an index over all rows, the best to split by first.

        ``unique`` is ``'true'`` where that index is. None where the engine cannot be asked.
        """
        return None

    def key_sample_sql(
        self, column: ColumnSpec, relation: str, where_sql: str | None, *, share: float, stored: bool, grid: int
    ) -> str:
        """At most ``grid`` rows ``(key as text, rank, count)``, in the keys' order and evenly placed, NULL first.

        :param share: of the rows to look at, in (0, 1]; an engine without sampling looks at all.
        :param stored: whether the relation is a table that can be sampled by its pages.
        :raises DialectError: keys of this type have no order.
        """
        order = f"ORDER BY CASE WHEN {SPLIT_KEY} IS NULL THEN 0 ELSE 1 END, {SPLIT_KEY}"
        keys = self.sampled(f"SELECT {self.key_expression(column)} AS {SPLIT_KEY}", relation, where_sql, share, stored)
        numbered = (
            f"SELECT {SPLIT_KEY}, row_number() OVER ({order}) AS key_number, rank() OVER ({order}) AS key_rank, "
            f"count(*) OVER () AS key_count FROM ({keys}) sampled_keys"
        )
        # A row whenever number * grid passes a multiple of count: every row where there are fewer than grid.
        return (
            f"SELECT {self.key_text(SPLIT_KEY, column.type)}, key_rank, key_count FROM ({numbered}) numbered_keys "
            f"WHERE mod(key_number * {grid}, key_count) < {grid} ORDER BY key_number"
        )

    def key_expression(self, column: ColumnSpec) -> str:
        """The column as it is split by; its JDBC type has to be one that Spark knows."""
        return self.quote(column.name)

    def key_text(self, expression: str, type_name: str) -> str:
        """A key as the text that :meth:`key_literal` takes. :raises DialectError: keys of this type have no order."""
        raise DialectError(f"{self.name} has no order of keys that is known")

    def key_literal(self, text: str, type_name: str) -> str:
        """A border as a literal of the key's type, compared as the column itself is."""
        raise DialectError(f"{self.name} has no order of keys that is known")

    def sampled(self, select_sql: str, relation: str, where_sql: str | None, share: float, stored: bool) -> str:
        """``select_sql`` from about ``share`` of the rows that ``where_sql`` lets through."""
        return f"{select_sql} FROM {relation}{where_clause(where_sql)}"

    def capture(self, column: ColumnSpec) -> Captured:
        """How ``column`` is read: as ``column.as_kind`` where the manifest says so, else as its type demands.

        :raises CaptureRefused: values of the type cannot arrive exact, or not as that kind.
        """

    def fingerprint_abilities_sql(self) -> str | None:
        """One row: what :meth:`fingerprints` needs to know of the server; None where it needs nothing."""
        return None

    def fingerprints(self, abilities: str) -> FingerprintSql:
        """How the server that gave this answer fingerprints its rows."""


MICROSECOND_DIGITS = 6


def ensure_identifier(identifier: str, most_characters: int) -> None:
    """Return if an engine that counts characters takes ``identifier``.

    :raises DialectError: it does not.
    """
    if not identifier or "\0" in identifier or len(identifier) > most_characters:
        raise DialectError(f"{identifier!r} is not an identifier (1 to {most_characters} characters, no NUL)")


def where_clause(where_sql: str | None) -> str:
    """`` WHERE …``, or nothing."""
    return f" WHERE {where_sql}" if where_sql else ""


def all_of(*conditions: str | None) -> str | None:
    """Conjunction of the conditions that are there. The line break ends a comment in somebody's filter."""
    present = [condition for condition in conditions if condition]
    return " AND ".join(f"({condition}\n)" for condition in present) or None


def local_wall_time(moment: datetime, time_zone: str) -> datetime:
    """The wall time in ``time_zone`` at ``moment``, without zone.

    :raises DialectError: that wall time comes twice (clocks go back), so that rows cannot be told apart by it.
    """
    local = moment.astimezone(ZoneInfo(time_zone))
    if local.replace(fold=0).utcoffset() != local.replace(fold=1).utcoffset():
        raise DialectError(f"the local time {local:%Y-%m-%d %H:%M} comes twice in {time_zone}")
    return local.replace(tzinfo=None)


def last_digit(digits: int) -> timedelta:
    """The finest step of a time with so many digits of a second."""
    return timedelta(microseconds=10 ** max(0, MICROSECOND_DIGITS - digits))


def local_date(moment: datetime, time_zone: str) -> date:
    """The date that begins at ``moment`` in ``time_zone``.

    :raises DialectError: no date begins then.
    """
    local = moment.astimezone(ZoneInfo(time_zone))
    if local.timetz().replace(tzinfo=None) != wall_time(0):
        raise DialectError(f"a date cannot express the bound {local:%Y-%m-%d %H:%M} in {time_zone}")
    return local.date()
