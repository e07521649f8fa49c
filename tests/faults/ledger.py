"""The source of the fault tests: tables whose every version is known, and two barriers inside a read.

``accounts`` is large enough to be read over two connections, ``savings`` belongs to its group. A version of a date has
other amounts and another number of rows than the one before, so that a part of either is seen by its count and its sum.
"""

from __future__ import annotations

from collections.abc import Iterator
from contextlib import closing, contextmanager
from dataclasses import dataclass
from typing import Any, Literal

from local_stack import nycflights
from local_stack.postgres import PostgresServer

TABLES = ("accounts", "savings")
DATE, BYSTANDER = "2013-06-02", "2013-06-01"
"""The date that is captured under faults, and one before it that must stay as it is."""
ROWS = {"accounts": 60_000, "savings": 2_000}
COLUMNS = "(id integer PRIMARY KEY, at timestamptz NOT NULL, amount bigint NOT NULL)"
LAST_BUT = 1_000
GATES = {"reading": 4711, "writing": 4712}
"""Advisory locks: where one is held, reads stop before their first row, or with all but the last rows delivered."""
READER = f"usename = '{nycflights.READER}'"
AT_GATE = "wait_event IS NOT DISTINCT FROM 'advisory'"
NOT_A_SPLIT = "query NOT LIKE '%source_rows%'"
Gate = Literal["reading", "writing"]


def passing(gate: Gate) -> str:
    """Statements that wait until a gate is open."""
    lock = GATES[gate]
    return f"PERFORM pg_advisory_lock_shared({lock}); PERFORM pg_advisory_unlock_shared({lock});"


@dataclass(frozen=True)
class Sums:
    """What tells one version of a date from any other, and from a part of it."""

    rows: int
    ids: int
    amounts: int


@dataclass(frozen=True)
class Ledger:
    """The tables in one PostgreSQL server."""

    server: PostgresServer

    def create(self) -> None:
        """The tables with the first version of both dates, and their barrier. Only reads of splits stop at it."""
        self.run(
            "CREATE FUNCTION public.at_gate(id integer) RETURNS boolean LANGUAGE plpgsql AS $$ BEGIN "
            # The alias of the splits' queries: the holder's own fingerprint passes.
            "IF position('source_rows' IN current_query()) = 0 THEN RETURN true; END IF; "
            f"IF id % 1000 = 1 THEN {passing('reading')} END IF; "
            f"IF id = {ROWS['accounts'] - LAST_BUT} THEN {passing('writing')} END IF; RETURN true; END $$"
        )
        for table, rows in ROWS.items():
            self.run(
                f"CREATE TABLE public.{table} {COLUMNS};"
                f"INSERT INTO public.{table} SELECT n, '{DATE} 00:00Z', n FROM generate_series(1, {rows}) n;"
                f"INSERT INTO public.{table} SELECT -n, '{BYSTANDER} 00:00Z', n FROM generate_series(1, 500) n;"
                f"GRANT SELECT ON public.{table} TO {nycflights.READER}; ANALYZE public.{table}"
            )
        self.run(
            f"CREATE TABLE public.movements {COLUMNS};"
            f"INSERT INTO public.movements SELECT n, '2013-06-01 00:00Z'::timestamptz + n * interval '1 minute', n "
            "FROM generate_series(0, 20 * 1440 - 1) n;"
            f"GRANT SELECT ON public.movements TO {nycflights.READER}; ANALYZE public.movements"
        )

    def change(self) -> None:
        """The next version of :data:`DATE`: every amount is another, and there is one row more."""
        for table in TABLES:
            self.run(
                f"UPDATE public.{table} SET amount = amount + 7 WHERE id > 0;"
                f"INSERT INTO public.{table} SELECT max(id) + 1, '{DATE} 00:00Z', 1 FROM public.{table}; "
                f"ANALYZE public.{table}"
            )

    def sums(self, table: str, as_of: str) -> Sums:
        """Of the rows that the source has now for a date."""
        return Sums(*self.run(
            f"SELECT count(*), coalesce(sum(id), 0)::bigint, coalesce(sum(amount), 0)::bigint FROM public.{table} "
            f"WHERE at >= '{as_of} 00:00Z' AND at < '{as_of} 00:00Z'::timestamptz + interval '1 day'"
        )[0])  # fmt: skip

    def rows(self, table: str, as_of: str) -> set[tuple[int, int]]:
        """Ids and amounts that the source has now for a date."""
        return set(
            self.run(
                f"SELECT id, amount FROM public.{table} "
                f"WHERE at >= '{as_of} 00:00Z' AND at < '{as_of} 00:00Z'::timestamptz + interval '1 day'"
            )
        )

    @contextmanager
    def closed(self, gate: Gate) -> Iterator[None]:
        """Reads stop at the gate until the block ends."""
        with closing(self.server.connect(nycflights.DATABASE)) as keeper, keeper.cursor() as cursor:
            cursor.execute("SELECT pg_advisory_lock(%s)", (GATES[gate],))
            yield

    def waiting(self) -> int:
        """Splits that wait at a gate."""
        return int(self.run(f"SELECT count(*) FROM pg_stat_activity WHERE {READER} AND {AT_GATE}")[0][0])

    def terminate(self, which: Literal["holder", "splits", "all"]) -> int:
        """End connections of the role that reads; how many there were."""
        condition = {"holder": f"AND NOT {AT_GATE} AND {NOT_A_SPLIT}", "splits": f"AND {AT_GATE}", "all": ""}[which]
        return len(self.run(f"SELECT pg_terminate_backend(pid) FROM pg_stat_activity WHERE {READER} {condition}"))

    def admit(self, admitted: bool) -> None:
        """Whether the role that reads may connect."""
        self.run(f"ALTER ROLE {nycflights.READER} {'LOGIN' if admitted else 'NOLOGIN'}")

    def run(self, sql: str) -> list[tuple[Any, ...]]:
        """Run statements as the owner; rows of the last one."""
        with closing(self.server.connect(nycflights.DATABASE)) as connection:
            connection.autocommit = True
            with connection.cursor() as cursor:
                cursor.execute(sql)
                return list(cursor.fetchall()) if cursor.description else []
