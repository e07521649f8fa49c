"""The short version of `make test-canary`: after trainings, and a driver killed half way, no value of a row is in a
file on a disk, in a deleted one that is still open, or in Airflow's database.
"""

from __future__ import annotations

import pytest

from local_stack.stack import Stack
from tests.e2e.conftest import Canaries
from tests.support.leaks import search_database, search_disks, search_files


@pytest.fixture(autouse=True)
def written(stack: Stack, backfilled: object, killed_run: object) -> None:
    """Both tables with a canary, each of which somebody else's death or reading could have taken to a disk."""
    if not stack.memory_only:
        pytest.skip("this machine swaps")


def test_no_file_on_a_disk_has_one(stack: Stack, canaries: Canaries) -> None:
    store = search_files([file for file in stack.alluxio.folder.rglob("*") if file.is_file()], canaries.needles)
    assert store.found == {needle.name for needle in canaries.needles}  # nothing hides them: there they are
    disks = search_disks(canaries.since, canaries.needles, aside=[stack.state / stack.source.name])
    logs = [file for file in (stack.airflow.home / "logs").rglob("*") if file.is_file()]
    assert disks.places > len(logs) > 8
    assert (disks.leaks, disks.unreadable) == ((), ())


def test_airflows_database_has_none(stack: Stack, canaries: Canaries) -> None:
    with stack.metadata.connect("airflow") as connection:
        found = search_database(connection, canaries.needles)
    assert found.places > 40
    assert found.leaks == ()
