"""The command that shows values: both sides of a published snapshot, or of a run branch, and the rows that differ."""

from __future__ import annotations

import pytest
from warehouse.compare_spec import CompareJob
from warehouse.comparing import Compared, compare_snapshot, compared_text
from warehouse.fingerprints import Difference
from warehouse.store_failures import BranchGone
from warehouse.table_spec import TableSpec

from tests.spark.runs import Runs, interval

DAY = "2013-06-01"


def job(runs: Runs, table: TableSpec, **asked: object) -> CompareJob:
    return CompareJob(runs.store, runs.database.source(), interval(DAY), table, **asked)  # type: ignore[arg-type]


def compared(runs: Runs, table: TableSpec, **asked: object) -> tuple[Compared, str]:
    asked_for = job(runs, table, **asked)
    found = compare_snapshot(runs.session, asked_for)
    return found, compared_text(asked_for, found)


def test_nothing_differs(tmpfs_runs: Runs) -> None:
    tmpfs_runs.events([DAY])
    tmpfs_runs.publish(tmpfs_runs.table(), DAY)
    found, text = compared(tmpfs_runs, tmpfs_runs.table(), key=("id",))
    assert found.comparison.differences == () and found.keys == ()
    assert "10 rows in the source, 10 in the store; as a whole they are: equal" in text
    assert "2013-06-01 00:09:00Z" in text and "no row differs" in text


def test_rows_that_the_source_has_changed_since(tmpfs_runs: Runs) -> None:
    tmpfs_runs.events([DAY, "2013-06-02"])
    tmpfs_runs.publish(tmpfs_runs.table(), DAY)
    tmpfs_runs.database.run(
        "UPDATE events SET amount = 77.5, note = NULL WHERE id = 3; DELETE FROM events WHERE id = 5;"
        "INSERT INTO events VALUES (8, '2013-06-01 12:00+00', 2, 'again'), (500, '2013-06-01 12:00+00', 2, 'new');"
        "UPDATE events SET amount = 9 WHERE id = 12"  # of another day
    )
    found, text = compared(tmpfs_runs, tmpfs_runs.table(), key=("id",))
    assert found.keys is not None
    assert [(one.key, one.where) for one in found.keys] == [
        (("3",), "amount: 77.50 in the source, 0.75 in the store; note: null in the source, note 3 in the store"),
        (("5",), "in the store only"),
        (("500",), "in the source only"),
        (("8",), "2 rows in the source, 1 in the store"),
    ]
    assert found.comparison.differences[0] == Difference(None, ("rows", "hash"))
    assert {one.column for one in found.comparison.differences[1:]} == {"id", "at", "amount", "note"}
    assert "11 rows in the source, 10 in the store" in text and "77.50" in text
    limited, _ = compared(tmpfs_runs, tmpfs_runs.table(), key=("id",), limit=2)
    assert limited.keys is not None and len(limited.keys) == 2


def test_an_unpublished_branch_against_the_source_as_it_was_captured(tmpfs_runs: Runs) -> None:
    tmpfs_runs.events([DAY])
    table = tmpfs_runs.table(mode="current")
    capture = tmpfs_runs.snapshot([table], DAY).captures[0]
    tmpfs_runs.database.run("UPDATE events SET amount = 77.5 WHERE id = 3")
    found, _ = compared(tmpfs_runs, table, branch=capture.branch, fingerprint=capture.fingerprint)
    assert found.comparison.differences == ()
    found, text = compared(tmpfs_runs, table, branch=capture.branch)
    assert [one.column for one in found.comparison.differences] == [None, "amount"] and "77.50" in text
    with pytest.raises(BranchGone):
        compared(tmpfs_runs, table, branch="run_nobody_try1")
