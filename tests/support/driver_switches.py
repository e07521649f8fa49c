"""The test's side of ``driver_points/sitecustomize.py``: switches that stop Spark drivers."""

from __future__ import annotations

from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass
from pathlib import Path
from typing import Literal

FOLDER = Path(__file__).with_name("driver_points")
"""To be on the PYTHONPATH of an Airflow whose drivers are to be stopped."""
VARIABLE = "WAREHOUSE_TEST_FAULTS"
Hold = Literal["validating", "publishing"]
"""``validating``: before a run branch is read back. ``publishing``: all of a table's new metadata is written, and the
commit that makes it visible is not."""


@dataclass(frozen=True)
class DriverSwitches:
    """The folder that the drivers look into."""

    folder: Path

    def kill_next(self, entry_point: str) -> Path:
        """The switch that kills the next driver of ``snapshot_tables``, … before it answers; gone when it was used."""
        switch = self.folder / f"kill_{entry_point}"
        switch.touch()
        return switch

    @contextmanager
    def hold(self, point: Hold, *, after: int = 0) -> Iterator[None]:
        """Drivers that come to the point wait there until the block ends or :meth:`release`; ``after`` so many."""
        for old in self.folder.glob(f"at_{point}.*"):
            old.unlink()
        (self.folder / f"hold_{point}").write_text(str(after))
        try:
            yield
        finally:
            self.release(point)

    def release(self, point: Hold) -> None:
        """Let all of them go on."""
        (self.folder / f"hold_{point}").unlink(missing_ok=True)

    def waiting(self, point: Hold) -> list[int]:
        """Process ids of the drivers (Python) that came to the point since it was closed."""
        return [int(file.suffix[1:]) for file in self.folder.glob(f"at_{point}.*")]
