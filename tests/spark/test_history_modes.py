"""Every honest history: dates in random order, and after each step the answers that the source's past demands.

What is right is worked out in Python from the changes themselves, not by the SQL under test; and the source goes on
changing between the steps.
"""

from __future__ import annotations

import random
from dataclasses import dataclass, field, replace
from datetime import UTC, date, datetime, time, timedelta

import pytest
from pyspark.sql import SparkSession
from warehouse.capture_failures import IntervalNotExpressible
from warehouse.coverage import MissingIntervals
from warehouse.reading import read_as_of
from warehouse.store_spec import StoreSpec
from warehouse.table_spec import HistorySpec, TableSpec

from tests.spark.databases import MariadbDatabase
from tests.spark.runs import Runs

FIRST = date(2013, 6, 1)
STEPS = {
    "timestamptz": timedelta(microseconds=1),
    "timestamp(0)": timedelta(seconds=1),
    "datetime(6)": timedelta(microseconds=1),
    "datetime": timedelta(seconds=1),
    "date": timedelta(days=1),
}


@pytest.fixture
def chance() -> random.Random:
    """Another order in each run; the seed is printed, so that a failure can be repeated."""
    seed = random.randrange(10**6)
    print(f"seed {seed}")
    return random.Random(seed)


@pytest.fixture(params=[5, pytest.param(10, marks=pytest.mark.long)])
def days(request: pytest.FixtureRequest) -> list[date]:
    """The days that are taken; ten in the long version."""
    return [FIRST + timedelta(days=number) for number in range(request.param)]


@pytest.fixture
def engine_runs(request: pytest.FixtureRequest, session: SparkSession, tmpfs_store: StoreSpec) -> Runs:
    """Of the engine that the test's parameter names."""
    return Runs(session, tmpfs_store, request.getfixturevalue(request.param))


@dataclass
class Prices:
    """Table ``prices`` of validities in the source, beside the changes that made it: (when, article, price or None)."""

    runs: Runs
    type_name: str
    inclusive: bool
    changes: list[tuple[datetime, int, int | None]] = field(default_factory=list)

    @property
    def step(self) -> timedelta:
        """The finest step of the columns' type."""
        return STEPS[self.type_name]

    def literal(self, moment: datetime) -> str:
        return f"'{moment}{'+00' if self.type_name == 'timestamptz' else ''}'"

    def create(self) -> None:
        self.runs.database.run(
            f"CREATE TABLE prices (article integer, price integer, valid_from {self.type_name} NOT NULL, "
            f"valid_to {self.type_name})"
        )

    def change(self, when: datetime, article: int, price: int | None) -> None:
        """The article has another price from ``when`` on; None: it is no longer sold."""
        self.changes.append((when, article, price))
        end = when - self.step if self.inclusive else when
        sql = f"UPDATE prices SET valid_to = {self.literal(end)} WHERE article = {article} AND valid_to IS NULL"
        if price is not None:
            sql += f"; INSERT INTO prices VALUES ({article}, {price}, {self.literal(when)}, NULL)"
        self.runs.database.run(sql)

    def at_the_end_of(self, day: date) -> set[tuple[int, int]]:
        end = datetime.combine(day + timedelta(days=1), time(0))
        known = {article: price for _, article, price in sorted(change for change in self.changes if change[0] < end)}
        return {(article, price) for article, price in known.items() if price is not None}

    def table(self) -> TableSpec:
        history = HistorySpec(
            "valid_between", valid_from="valid_from", valid_to="valid_to", to_inclusive=self.inclusive
        )
        whole = self.runs.table("prices", history=history)
        # The history's own columns need not be kept.
        columns = tuple(column for column in whole.columns if column.name in ("article", "price"))
        return replace(whole, columns=columns)


@pytest.mark.parametrize(
    ("engine_runs", "type_name", "inclusive"),
    [
        ("database", "timestamptz", False),
        ("database", "timestamp(0)", True),
        ("database", "date", True),
        ("mariadb", "datetime(6)", False),
        ("mariadb", "datetime", True),
        ("mariadb", "date", False),
    ],
    indirect=["engine_runs"],
)
def test_states_by_validity(
    engine_runs: Runs, chance: random.Random, days: list[date], type_name: str, inclusive: bool
) -> None:
    prices = Prices(engine_runs, type_name, inclusive)
    prices.create()
    if type_name not in ("timestamptz", "datetime(6)"):
        days = days[: len(days) * 3 // 5]
    # Midnight itself belongs to the day that it begins, the moment before to the day that it ends.
    hours = (0,) if type_name == "date" else (0, 9, 24)
    for day in [FIRST - timedelta(days=1), *days]:
        for number, hour in enumerate(hours):
            when = (
                datetime.combine(day, time(0)) + timedelta(hours=hour) - (prices.step if hour == 24 else timedelta(0))
            )
            for article in chance.sample(range(6), 2):
                if all(when > earlier for earlier, same, _ in prices.changes if same == article):
                    prices.change(when, article, chance.choice([None, day.toordinal() * 10 + number]))
    prices.change(datetime.combine(days[1], time(0)), 99, 1)
    table, taken = prices.table(), []
    for step, day in enumerate(chance.sample(days, len(days))):
        engine_runs.publish(table, str(day))
        taken.append(day)
        for known in taken:
            frame = read_as_of(engine_runs.session, engine_runs.store, "prices", str(known))
            assert frame.columns == ["article", "price"]
            rows = [tuple(row) for row in frame.collect()]
            assert len(rows) == len(set(rows)) and set(rows) == prices.at_the_end_of(known), (known, taken)
        later = datetime.combine(days[-1], time(0)) + timedelta(days=1 + step)
        for article in range(3):
            prices.change(later, article, step)


@pytest.mark.parametrize("engine_runs", ["database", "mariadb"], indirect=True)
def test_rows_by_interval(engine_runs: Runs, chance: random.Random, days: list[date]) -> None:
    runs, zone = engine_runs, "+00" if engine_runs.database.source().dialect == "postgresql" else ""
    at = "timestamptz" if zone else "datetime(6)"
    runs.database.run(f"CREATE TABLE events (id integer, at {at} NOT NULL)")
    for number, day in enumerate(days):
        # The first moment of the day and the last one.
        moments = [f"({number * 10 + minute}, '{day} 00:{minute:02d}{zone}')" for minute in range(9)]
        moments.append(f"({number * 10 + 9}, '{day} 23:59:59.999999{zone}')")
        runs.database.run(f"INSERT INTO events VALUES {', '.join(moments)}")
    expected = {day: set(range(number * 10, number * 10 + 10)) for number, day in enumerate(days)}
    taken: list[date] = []
    for step, day in enumerate(chance.sample(days, len(days))):
        runs.publish(runs.table(), str(day))
        taken.append(day)
        for asked in days:
            wanted = [one for one in days if one <= asked]
            missing = tuple(str(one) for one in wanted if one not in taken)
            if missing:
                with pytest.raises(MissingIntervals) as failure:
                    read_as_of(runs.session, runs.store, "events", str(asked))
                assert failure.value.missing == missing
            else:
                rows = read_as_of(runs.session, runs.store, "events", str(asked)).select("id").collect()
                assert sorted(row.id for row in rows) == sorted(set().union(*(expected[one] for one in wanted)))
        runs.database.run(f"INSERT INTO events VALUES ({1000 + step}, '2013-06-20 00:00:00{zone}')")


def test_states_of_the_sources_own_history(
    tmpfs_store: StoreSpec, mariadb: MariadbDatabase, chance: random.Random, days: list[date]
) -> None:
    """As MariaDB's system-versioned tables have it; the clock of the session that changes them is set for it."""
    runs = Runs(mariadb.session, tmpfs_store, mariadb)
    before = datetime(2013, 5, 1, tzinfo=UTC)
    changes: list[tuple[datetime, int, int | None]] = []
    with mariadb.connection() as connection:
        connection.run(f"SET @@timestamp = {before.timestamp()}")
        connection.run("CREATE TABLE stock (article int PRIMARY KEY, amount int) WITH SYSTEM VERSIONING")

        def change(when: datetime, article: int, amount: int | None) -> None:
            changes.append((when, article, amount))
            connection.run(f"SET @@timestamp = {when.timestamp():.6f}")
            gone = f"DELETE FROM stock WHERE article = {article}"
            kept = f"INSERT INTO stock VALUES ({article}, {amount}) ON DUPLICATE KEY UPDATE amount = {amount}"
            connection.run(gone if amount is None else kept)

        for day in [FIRST - timedelta(days=1), *days]:
            midnight = datetime.combine(day, time(0), tzinfo=UTC)
            # Midnight itself belongs to the day that it begins, the moment before to the day that it ends.
            for offset in (timedelta(0), timedelta(hours=9), timedelta(days=1, microseconds=-1)):
                for article in chance.sample(range(6), 2):
                    change(midnight + offset, article, chance.choice([None, chance.randrange(100)]))
        table, taken = runs.table("stock", history=HistorySpec("time_travel")), []
        for step, day in enumerate(chance.sample(days, len(days))):
            runs.publish(table, str(day))
            taken.append(day)
            for known in taken:
                end = datetime.combine(known + timedelta(days=1), time(0), tzinfo=UTC)
                expected = {article: amount for when, article, amount in changes if when < end}
                rows = read_as_of(runs.session, runs.store, "stock", str(known)).collect()
                assert {row.article: row.amount for row in rows} == {a: n for a, n in expected.items() if n is not None}
                assert len({row.article for row in rows}) == len(rows)
            change(datetime(2013, 7, 1 + step, tzinfo=UTC), step, 1000 + step)


def test_an_engine_without_a_history_of_its_own_is_refused(tmpfs_runs: Runs) -> None:
    tmpfs_runs.events([str(FIRST)])
    with pytest.raises(IntervalNotExpressible, match="table events: postgresql keeps no history of its tables"):
        tmpfs_runs.snapshot([tmpfs_runs.table(history=HistorySpec("time_travel"))], str(FIRST))
