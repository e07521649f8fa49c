"""A stack of its own for the canary, whose source has values that nobody else could write."""

from __future__ import annotations

import secrets
import time
from collections.abc import Iterator
from dataclasses import dataclass
from pathlib import Path

import pytest

from local_stack.preflight import swap_devices
from local_stack.stack import Stack
from tests.e2e.runs import eventually
from tests.faults.ledger import ROWS, Ledger
from tests.support.airflow_stack import airflow_stack
from tests.support.leaks import Needle, number_needle, text_needle

DAY = "2013-06-01"
DAGS = {"snapshot_flights", "snapshot_weather", "snapshot_planes", "snapshot_canaries", "training_late_departures"}


@dataclass(frozen=True)
class Canaries:
    """``since``: seconds since the epoch, before the first process of the stack."""

    stack: Stack
    ledger: Ledger
    needles: tuple[Needle, ...]
    since: float

    @property
    def names(self) -> set[str]:
        return {needle.name for needle in self.needles}

    @property
    def source_files(self) -> Path:
        """What the source itself has on its disk."""
        return self.stack.state / self.stack.source.name


@pytest.fixture(scope="session")
def canaries(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Canaries]:
    if swap_devices():
        pytest.skip(f"this machine swaps to {', '.join(swap_devices())}")
    since = time.time()
    tail, destination, maker, secret = (f"canary-{secrets.token_hex(12)}-" for _ in range(4))
    number = secrets.randbits(61) | 1 << 60
    manifest = Path(__file__).with_name("warehouse.yaml")
    with airflow_stack("canary", manifest, tmp_path_factory.mktemp("drivers")) as stack:
        ledger = Ledger(stack.source)
        ledger.create()
        ledger.run(
            # A number and texts of flights and planes, of which the training makes categories of its model.
            f"ALTER TABLE public.flights ADD COLUMN canary bigint NOT NULL DEFAULT {number};"
            f"UPDATE public.flights SET tailnum = '{tail}' || tailnum, dest = '{destination}' || dest "
            f"WHERE time_hour >= '{DAY} 00:00Z' AND time_hour < '{DAY} 00:00Z'::timestamptz + interval '1 day';"
            f"UPDATE public.planes SET tailnum = '{tail}' || tailnum, manufacturer = '{maker}' || manufacturer;"
            # And a table for a shuffle that no memory holds, read through the gate at which its driver is killed.
            f"CREATE TABLE public.canaries AS SELECT n AS id, '{DAY} 00:00Z'::timestamptz + n * interval '1 second' "
            f"AS at, '{secret}' || n AS secret FROM generate_series(1, {ROWS['accounts']}) n;"
            "ALTER TABLE public.canaries ALTER COLUMN at SET NOT NULL, ADD PRIMARY KEY (id);"
            "GRANT SELECT ON public.canaries TO PUBLIC; ANALYZE"
        )
        api = stack.airflow.api()
        eventually("all DAGs", lambda: api.dag_ids() >= DAGS)
        yield Canaries(
            stack,
            ledger,
            (
                text_needle("a tail number", tail),
                text_needle("a destination", destination),
                text_needle("a maker", maker),
                text_needle("a secret", secret),
                number_needle("a number", number),
            ),
            since,
        )
