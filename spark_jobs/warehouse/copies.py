"""As many copies of each file as the store is to keep: written at once, seen to before and after publishing."""

from __future__ import annotations

import time
from dataclasses import dataclass
from typing import TYPE_CHECKING

from warehouse.failures import RetryableError
from warehouse.store_directory import FilePlace, file_places, keep, live_workers

if TYPE_CHECKING:
    from collections.abc import Iterable

    from pyspark.sql import SparkSession

    from warehouse.store_spec import StoreSpec

WAIT_SECONDS = 120.0
"""For copies that a worker took with it: the job service needs seconds, after Alluxio has noticed that it is gone."""
ASK_SECONDS = 2.0


@dataclass(eq=False)
class CopiesMissing(RetryableError):
    """``files``: that lack some of their ``copies``; ``workers``: that live."""

    table: str
    as_of: str
    copies: int
    files: int
    workers: int

    def __str__(self) -> str:
        cause = (
            f"Alluxio has {self.workers} live worker(s): start more"
            if self.workers < self.copies
            else "see whether Alluxio's job service, which makes them, runs beside every worker and has room for them, "
            "and restart its job master, which tries each block once; or clear the snapshot task too, which writes anew"
        )
        return (
            f"table {self.table} as of {self.as_of}: {self.files} file(s) do not have the {self.copies} copies that "
            f"store.replication asks for; {cause}"
        )


def ensure_copies(
    session: SparkSession,
    store: StoreSpec,
    table: str,
    as_of: str,
    files: Iterable[str],
    *,
    wait_seconds: float = WAIT_SECONDS,
) -> None:
    """Wait until each of ``files`` is in the memory of as many workers as the store's ``replication`` says.

    :raises CopiesMissing: it is not.
    """
    if store.replication == 1:
        return
    deadline = time.monotonic() + wait_seconds
    lacking, told = _lacking(session, store, files), 0
    while lacking:
        if len(lacking) != told:
            told = len(lacking)
            print(f"{table} as of {as_of}: {told} file(s) wait for their {store.replication} copies", flush=True)
        if time.monotonic() > deadline:
            raise CopiesMissing(table, as_of, store.replication, len(lacking), live_workers(session, store))
        keep(session, store, lacking)
        time.sleep(ASK_SECONDS)
        lacking = _lacking(session, store, [place.path for place in lacking])


def _lacking(session: SparkSession, store: StoreSpec, files: Iterable[str]) -> list[FilePlace]:
    places = file_places(session, store, files) or []
    return [place for place in places if place.copies < store.replication or not place.pinned]
