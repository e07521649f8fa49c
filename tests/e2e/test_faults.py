"""What readers got while a run was killed twice. What became of that run, test_recovery.py looks at when it is due."""

from __future__ import annotations

from tests.e2e.killed_run import KilledRun
from tests.faults.ledger import DATE, TABLES
from tests.faults.matrix import World, rows_lost
from tests.faults.store_contents import contents


def test_killed_while_writing_and_while_publishing(world: World, killed_run: KilledRun) -> None:
    assert killed_run.half == {"accounts": killed_run.new["accounts"], "savings": killed_run.old["savings"]}
    assert killed_run.problems == []
    assert [rows_lost(world, table, DATE) for table in TABLES] == [0, 0]
    # Of the run that is still tried again stays what it has captured, and nothing that the killed driver had written.
    held = [contents(world.session, world.store, table) for table in TABLES]
    assert [path for found in held for path in found.leaked if path.startswith("data/")] == []
