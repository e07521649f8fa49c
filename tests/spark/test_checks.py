"""A table's checks: what they refuse, what they say, and that nothing is published then."""

from __future__ import annotations

import pytest
from warehouse.failures import JobError
from warehouse.table_spec import ChecksSpec
from warehouse.validation_failures import ChangedTooMuch, CheckFailed, CheckInvalid, CheckNotComputable, TooFewRows

from tests.spark.runs import Runs

DAYS = ["2013-06-01", "2013-06-02"]


def refused(runs: Runs, checks: ChecksSpec, failure: type[JobError]) -> str:
    runs.events(DAYS[:1])
    with pytest.raises(failure) as caught:
        runs.publish(runs.table(checks=checks), DAYS[0])
    assert runs.records() == {}
    message = str(caught.value)
    assert "events" in message and "\n" not in message
    assert caught.value.kind == "permanent"
    return message


def test_checks_that_hold(tmpfs_runs: Runs) -> None:
    tmpfs_runs.events(DAYS[:1])
    checks = ChecksSpec({"positive": "id >= 0 -- and that is all", "noted": "note LIKE 'note%'"}, min_rows=10)
    assert tmpfs_runs.publish(tmpfs_runs.table(checks=checks), DAYS[0]).record.rows == 10


def test_a_check_that_fails_for_some_rows(runs: Runs) -> None:
    message = refused(runs, ChecksSpec({"small": "id < 8"}), CheckFailed)
    assert "'small'" in message and "2 of 10 rows" in message


def test_null_is_not_true(tmpfs_runs: Runs) -> None:
    message = refused(tmpfs_runs, ChecksSpec({"known": "nullif(id, 4) > -1"}), CheckFailed)
    assert "1 of 10 rows" in message


@pytest.mark.parametrize("expression", ["id <", "nosuch = 1", "id + 1", "count(*) > 1"])
def test_a_check_that_is_no_condition(tmpfs_runs: Runs, expression: str) -> None:
    assert "'odd'" in refused(tmpfs_runs, ChecksSpec({"odd": expression}), CheckInvalid)


def test_a_check_that_cannot_be_computed_tells_no_value(tmpfs_runs: Runs) -> None:
    message = refused(tmpfs_runs, ChecksSpec({"number": "cast(note AS int) > 0"}), CheckNotComputable)
    assert "CAST_INVALID_INPUT" in message and "note 0" not in message


def test_too_few_rows(tmpfs_runs: Runs) -> None:
    assert "min_rows 11" in refused(tmpfs_runs, ChecksSpec(min_rows=11), TooFewRows)


def test_too_large_a_change(tmpfs_runs: Runs) -> None:
    tmpfs_runs.events(DAYS)
    tmpfs_runs.database.run("DELETE FROM events WHERE id BETWEEN 10 AND 14")
    table = tmpfs_runs.table(checks=ChecksSpec(max_change=0.4))
    tmpfs_runs.publish(table, DAYS[0])
    with pytest.raises(ChangedTooMuch, match="5 rows against 10 as of 2013-06-01"):
        tmpfs_runs.publish(table, DAYS[1])
    assert list(tmpfs_runs.records()) == DAYS[:1]
    allowed = tmpfs_runs.table(checks=ChecksSpec(max_change=0.5))
    assert tmpfs_runs.publish(allowed, DAYS[1], run="again").record.rows == 5
