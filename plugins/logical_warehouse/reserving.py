"""Two checks at once are not both promised the same memory.

Each writes its promise before it looks at those of others, and then counts all of them. So of two, one at least sees
the other, whichever is slower; and where both do, the one that asked first waits until the other has withdrawn. What a
promised run has written already is in its own folders of the store: only the rest is still promised. What dead tries
have left there, and states whose readers' grace is over, count as room where the run's own snapshot job removes them
before it writes.
"""

from __future__ import annotations

import time
from collections.abc import Callable, Iterable, Iterator, Sequence
from dataclasses import dataclass, replace
from functools import cache, partial

from warehouse.failures import RetryableError
from warehouse.promises import Promise
from warehouse.run_spec import RUN_PREFIX
from warehouse.unpublished import SNAPSHOT_TASK, Unpublished, captured_at

from logical_warehouse.capacity import Expirable, Held, Room, ensure_fits, expirable
from logical_warehouse.manifest import Store
from logical_warehouse.plan import store_spec
from logical_warehouse.promises import Promises, of_group
from logical_warehouse.store_contents import read_marks
from logical_warehouse.store_files import StoreFiles, path_in, tables_path
from logical_warehouse.store_health import StoreHealth
from logical_warehouse.stored_tables import StoredTable, TableUnreadable, read_stored_table
from logical_warehouse.unneeded_states import Grace

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
        earlier = next((one for one in self.promises.all() if one.run == own.run), None)
        self.promises.make(own)
        try:
            room = self._room(own, largest)
            waited = 0
            while room.missing > 0 and waited < WAIT_SECONDS and self._fits_without_later(room, own):
                self.pause(1)
                waited += 1
                room = self._room(own, largest)
            candidates: list[Expirable] = []
            if room.missing > 0:
                tables = self._tables()
                candidates = expirable(room.missing, self._could_end(tables), own.tables)
                others = [one for one in tables if one.name not in own.tables and not self._is_stuck(one.name)]
                room = replace(room, left=room.left + self._unneeded(others))
            ensure_fits(group, room, candidates)
        except BaseException:
            self._give_up(own, earlier)
            raise
        return room

    def _give_up(self, own: Promise, earlier: Promise | None) -> None:
        """Give the memory up. A run that may have written keeps a promise of none: by that the next run finds it."""
        if earlier is None:
            self.promises.withdraw(own)
        else:
            self.promises.make(replace(earlier, bytes=0))

    def _room(self, own: Promise, largest: str) -> Room:
        live: list[Promise] = []
        ended: list[Promise] = []
        for promise in self.promises.all():
            if promise.run != own.run:
                (live if self.is_live(promise) else ended).append(promise)
        table_of = cache(self._table)
        others = tuple(Held(one, max(0, one.bytes - self._written_of(one, table_of))) for one in live)
        # In between: what other runs write or remove meanwhile then makes the room look smaller, never larger.
        health = self.ask_health()
        removed_first, left = self._left(own, ended)
        return Room(
            own.bytes, health.free, health.capacity, largest, others, removed_first, left, self._grace(own, table_of)
        )

    def _grace(self, own: Promise, table_of: Callable[[str], StoredTable | None]) -> Grace:
        """What the run's own tables keep for readers in flight; of all copies."""
        names = [name for name in own.tables if not self._is_stuck(name)]
        found = [table.grace for name in names if (table := table_of(name)) is not None]
        ends = [one.ends for one in found if one.ends is not None]
        size = store_spec(self.store).all_copies(sum(one.bytes for one in found))
        return Grace(size, max(ends)) if ends else Grace()

    def _is_stuck(self, table: str, ends: Callable[[str], bool] = lambda branch: False) -> bool:
        """Whether nothing of a table can be freed, by the monitor's word: see ``warehouse.referred_files``.

        :param ends: whether a branch goes before that.
        """
        return any(
            part.lists and not part.gone and not all(map(ends, part.names))
            for part in read_marks(self.files, self.store, table).parts
        )

    def _unneeded(self, tables: Iterable[StoredTable]) -> int:
        """Bytes, of all copies, of replaced and ended states for which no reader's grace is left."""
        return store_spec(self.store).all_copies(sum(table.unneeded_bytes for table in tables))

    def _fits_without_later(self, room: Room, own: Promise) -> bool:
        later = [held for held in room.others if _order(held.promise) > _order(own)]
        return bool(later) and room.missing <= sum(held.bytes for held in later)

    def _written_of(self, promise: Promise, table_of: Callable[[str], StoredTable | None]) -> int:
        """Bytes that a run has written of what it is promised: nothing that it had published before it was cleared."""
        size = 0
        for left in self._written(promise):
            table = table_of(left.table)
            if table is None or not table.has_published(left.branch, before=promise.made_at):
                size += left.bytes
        return size

    def _left(self, own: Promise, ended: Sequence[Promise]) -> tuple[int, int]:
        """Bytes that nobody needs: what the run's snapshot job removes before it writes; and what else dead tries left.

        What these have published is neither: it is no longer on a run branch.
        """
        table_of = cache(self._table)
        cleaned = of_group(ended, own.dag_id, own.tables)

        def ends(table: str, branch: str) -> bool:
            """Whether the run removes a branch whatever is lost."""
            if own.run.try_of(branch) is not None:
                return True
            dead = next((one for one in cleaned if one.run.try_of(branch) is not None), None)
            stored = table_of(table)
            return (
                dead is not None and stored is not None and not self._is_wanted(dead, _Left(table, branch, 0), stored)
            )

        tables = {name for promise in (own, *ended) for name in promise.tables}
        stuck = {name for name in tables if self._is_stuck(name, partial(ends, name))}
        names = [name for name in own.tables if name not in stuck]
        removed_first = self._unneeded(table for name in names if (table := table_of(name)) is not None)
        other = 0
        for promise in (own, *ended):
            for left in self._written(promise):
                table = table_of(left.table)
                if table is None or left.branch not in table.run_branches:
                    continue
                # Airflow starts a try when it takes the one before for dead, whatever that has captured.
                if left.table in stuck:
                    continue
                is_ours = promise is own or (promise in cleaned and not self._is_wanted(promise, left, table))
                if is_ours:
                    removed_first += left.bytes
                else:
                    other += left.bytes
        return removed_first, other

    def _is_wanted(self, promise: Promise, left: _Left, table: StoredTable) -> bool:
        """As the snapshot job sees it: see ``warehouse.unpublished``."""
        run = replace(promise.run, attempt=promise.run.try_of(left.branch) or 0)
        try:
            answer = self.files.read(path_in(store_spec(self.store).run_path(run, SNAPSHOT_TASK)))
        except FileNotFoundError:
            return False
        except RetryableError:  # its contents are lost, say
            return True
        unpublished = Unpublished(captured_at(answer), promise.as_of, promise.start)
        return unpublished.is_wanted(table.record_of(promise.as_of), table.retained_from)

    def _written(self, promise: Promise) -> Iterator[_Left]:
        spec = store_spec(self.store)
        for table in promise.tables:
            data = f"{tables_path(self.store)}/{table}/data"
            for folder in self.files.folders(data):
                if folder.startswith(RUN_PREFIX) and promise.run.try_of(folder) is not None:
                    yield _Left(table, folder, spec.all_copies(self.files.size(f"{data}/{folder}")))

    def _tables(self) -> list[StoredTable]:
        """All that can be read."""
        tables = map(self._table, self.files.folders(tables_path(self.store)))
        return [table for table in tables if table is not None]

    def _could_end(self, tables: Iterable[StoredTable]) -> list[Expirable]:
        """But for the newest date of each: it is what everybody reads."""
        spec = store_spec(self.store)
        return [
            Expirable(table.name, record.as_of, record.start, spec.all_copies(record.bytes))
            for table in tables
            for record in table.records[:-1]
            if not table.is_kept(record)
        ]

    def _table(self, name: str) -> StoredTable | None:
        """None, too, where its metadata are lost or of another version: nothing of it is offered or counted on."""
        try:
            return read_stored_table(self.files, tables_path(self.store), name)
        except (TableUnreadable, RetryableError):
            return None


@dataclass(frozen=True)
class _Left:
    """What a try has written to a table, into the folder that is named as its run branch. ``bytes``: of all copies."""

    table: str
    branch: str
    bytes: int


def _order(promise: Promise) -> tuple[str, str, str]:
    return promise.made_at, promise.dag_id, promise.run_id
