"""Somebody who reads a date again and again while it is captured anew, and keeps what was seen."""

from __future__ import annotations

import threading
import time
from collections import Counter
from collections.abc import Sequence
from dataclasses import dataclass, field
from types import TracebackType

from py4j.protocol import Py4JError
from pyspark.errors import PySparkException
from pyspark.sql import SparkSession
from pyspark.sql import functions as sf
from warehouse.failures import JobError
from warehouse.jvm import activate
from warehouse.reading import read_as_of
from warehouse.store_spec import StoreSpec
from warehouse.vendor_errors import causes_of, store_failure

from tests.faults.ledger import Sums

PAUSE_SECONDS = 0.3


def stored_sums(session: SparkSession, store: StoreSpec, table: str, as_of: str) -> Sums:
    """What a reader gets for one date, every value read from the store."""
    rows = read_as_of(session, store, table, as_of, window=1)
    row = rows.agg(sf.count("id"), sf.sum("id"), sf.sum("amount")).collect()[0]
    return Sums(*(value or 0 for value in row))


@dataclass
class Readings:
    """``seen``: table → how often each content was read. ``errors``: sentences of reads that failed, with the longest
    time in seconds that one of them took. ``unclear``: errors that no sentence of this project explains."""

    seen: dict[str, Counter[Sums]] = field(default_factory=dict)
    errors: dict[str, float] = field(default_factory=dict)
    unclear: list[str] = field(default_factory=list)


class Reader:
    """Reads every table in turn in a thread of its own while the block runs."""

    def __init__(self, session: SparkSession, store: StoreSpec, tables: Sequence[str], as_of: str) -> None:
        self.readings = Readings({table: Counter() for table in tables})
        self._session, self._store, self._as_of = session, store, as_of
        self._stop = threading.Event()
        self._thread = threading.Thread(target=self._read_on, name="reader", daemon=True)

    def __enter__(self) -> Readings:
        self._thread.start()
        return self.readings

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        self._stop.set()
        self._thread.join()

    def _read_on(self) -> None:
        activate(self._session)
        while not self._stop.is_set():
            for table, seen in self.readings.seen.items():
                began = time.monotonic()
                try:
                    seen[stored_sums(self._session, self._store, table, self._as_of)] += 1
                except (JobError, Py4JError, PySparkException) as error:
                    self._keep(table, error, time.monotonic() - began)
            self._stop.wait(PAUSE_SECONDS)

    def _keep(self, table: str, error: JobError | Py4JError | PySparkException, seconds: float) -> None:
        known = error if isinstance(error, JobError) else store_failure(causes_of(error), self._store.uri, table)
        if known is None:
            self.readings.unclear.append(f"{table}: {[f'{c.class_name}: {c.message[:300]}' for c in causes_of(error)]}")
        else:
            self.readings.errors[str(known)] = max(seconds, self.readings.errors.get(str(known), 0.0))
