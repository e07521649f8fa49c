"""A table's rows and its fingerprint are read at once: what fails first ends the other, and is what is told."""

from __future__ import annotations

from concurrent.futures import ThreadPoolExecutor

import pytest
from warehouse.capture_failures import RefusedValues
from warehouse.failures import JobError
from warehouse.source_failures import SourceRefused
from warehouse.table_spec import SplitSpec

from tests.spark.gates import GATE, READERS, accounts, closed_gate
from tests.spark.runs import Runs

DAY = "2013-06-01"
SPLIT = "position('source_rows' IN current_query()) > 0"
RUNNING = f"SELECT count(*) FROM pg_stat_activity WHERE {READERS} AND state = 'active'"


def one_waits(runs: Runs, waiting: str, other: str) -> None:
    """Table ``accounts`` and the filter ``one_waits`` for it: one side stops at the gate, and then the other goes on.

    :param waiting: SQL condition of the side that stops. ``other``: what the filter is for the other one.
    """
    accounts(runs, 100)
    runs.database.run(
        "CREATE FUNCTION one_waits(id integer) RETURNS boolean LANGUAGE plpgsql AS $$ BEGIN "
        f"IF {waiting} THEN PERFORM pg_advisory_lock_shared({GATE}); PERFORM pg_advisory_unlock_shared({GATE}); "
        "RETURN true; END IF; "
        "WHILE NOT EXISTS (SELECT FROM pg_locks WHERE locktype = 'advisory' AND NOT granted) "
        f"LOOP PERFORM pg_sleep(0.01); END LOOP; RETURN {other}; END $$"
    )


def ends_with(runs: Runs, failure: type[JobError], words: str, *, reader: str = "auto", running: int = 0) -> None:
    """Nobody opens the gate: the capture ends all the same, and so many of its statements are left in the source."""
    table = runs.table("accounts", mode="current", split=SplitSpec(1), filter="one_waits(id)")
    with ThreadPoolExecutor(1) as pool, closed_gate(runs):
        capture = pool.submit(runs.snapshot, [table], DAY, reader=reader)
        with pytest.raises(failure, match=words):
            capture.result(timeout=60)
        assert runs.database.run(RUNNING) == [(running,)]
        later = pool.submit(runs.session.range(1).count)
        assert later.result(timeout=60) == 1, "a job of the same thread that comes later is not cancelled"
    assert runs.data_files("accounts") == set()


def test_a_write_that_fails_does_not_wait_for_the_fingerprint(tmpfs_runs: Runs) -> None:
    one_waits(tmpfs_runs, f"NOT {SPLIT}", "1 / (id - 1) < 2")
    ends_with(tmpfs_runs, SourceRefused, "22012")


@pytest.mark.parametrize(
    # Spark's connections end when what they wait for comes, or with the JVM.
    ("reader", "running"),
    [("auto", 0), ("jdbc", 1)],
)
def test_a_fingerprint_that_is_refused_does_not_wait_for_the_write(tmpfs_runs: Runs, reader: str, running: int) -> None:
    one_waits(tmpfs_runs, SPLIT, "true")
    tmpfs_runs.database.run("ALTER TABLE accounts ADD COLUMN rate numeric(5, 2) DEFAULT 'NaN'")
    ends_with(tmpfs_runs, RefusedValues, "'rate'", reader=reader, running=running)
