"""Two checks at once are not both promised the same memory.

Each writes its promise before it looks at those of others, and then counts all of them. So of two, one at least sees
the other, whichever is slower; and where both do, the one that asked first waits until the other has withdrawn. What a
promised run has written already is in its own folders of the store: only the rest is still promised.
"""

from __future__ import annotations

import time
from collections.abc import Callable, Sequence
from contextlib import suppress
from dataclasses import dataclass

from warehouse.promises import Promise
from warehouse.run_spec import RUN_PREFIX
from warehouse.snapshot_record import SnapshotRecord
from warehouse.spec_json import SpecError

from logical_warehouse.capacity import Held, Room, ensure_fits, expirable
from logical_warehouse.manifest import Store
from logical_warehouse.promises import Promises
from logical_warehouse.store_files import StoreFiles, tables_path
from logical_warehouse.store_health import StoreHealth
from logical_warehouse.stored_tables import read_stored_table

WAIT_SECONDS = 20
"""How long the first of several checks waits for the others to withdraw: those take seconds."""


@dataclass(frozen=True)
class Reserving:
    """``is_live``: whether the run of a promise has not ended. ``ask_health``: the store's memory as it is now."""

    store: Store
    files: StoreFiles
    promises: Promises
    is_live: Callable[[Promise], bool]
    ask_health: Callable[[], StoreHealth]
    pause: Callable[[float], None] = time.sleep

    def reserve(self, group: str, own: Promise, largest: str) -> Room:
        """Promise a run its memory.

        :raises RetryableError: that memory is promised to other runs, or the store does not answer.
        :raises PermanentError: it does not fit, whatever other runs do.
        """
        self.promises.make(own)
        try:
            room = self._room(own, largest)
            waited = 0
            while room.missing > 0 and waited < WAIT_SECONDS and self._fits_without_later(room, own):
                self.pause(1)
                waited += 1
                room = self._room(own, largest)
            candidates = expirable(room.missing, self._records(), own.tables) if room.missing > 0 else []
            ensure_fits(group, room, candidates)
        except BaseException:
            self.promises.withdraw(own)
            raise
        return room

    def _room(self, own: Promise, largest: str) -> Room:
        others, left = [], 0
        for promise in self.promises.all():
            if promise.run != own.run:
                written = self._written(promise)
                if self.is_live(promise):
                    others.append(Held(promise, max(0, promise.bytes - written)))
                else:
                    left += written
        # Last: what another run writes meanwhile is then counted twice, and never not at all.
        health = self.ask_health()
        return Room(own.bytes, health.free, health.capacity, largest, tuple(others), left)

    def _fits_without_later(self, room: Room, own: Promise) -> bool:
        later = [held for held in room.others if _order(held.promise) > _order(own)]
        return bool(later) and room.missing <= sum(held.bytes for held in later)

    def _written(self, promise: Promise) -> int:
        size = 0
        for table in promise.tables:
            data = f"{tables_path(self.store)}/{table}/data"
            for folder in self.files.folders(data):
                if folder.startswith(RUN_PREFIX) and promise.run.try_of(folder) is not None:
                    size += self.files.size(f"{data}/{folder}")
        return size

    def _records(self) -> dict[str, Sequence[SnapshotRecord]]:
        folder = tables_path(self.store)
        found: dict[str, Sequence[SnapshotRecord]] = {}
        for name in self.files.folders(folder):
            with suppress(SpecError, ValueError):  # of another version of this package: it is not offered
                if (table := read_stored_table(self.files, folder, name)) is not None:
                    found[name] = table.records
        return found


def _order(promise: Promise) -> tuple[str, str, str]:
    return promise.made_at, promise.dag_id, promise.run_id
