"""Repeated measurements of several sides of one comparison."""

from __future__ import annotations

from collections.abc import Callable, Mapping
from statistics import median
from typing import TypeVar

Measured = TypeVar("Measured")


def alternate(
    sides: Mapping[str, Callable[[], Measured]], runs: int, report: Callable[[str], None] = print
) -> dict[str, list[Measured]]:
    """Run every side ``runs`` times, forwards and backwards in turn, so that none has the warm caches of another."""
    measured: dict[str, list[Measured]] = {name: [] for name in sides}
    for run in range(runs):
        order = list(sides) if run % 2 == 0 else list(sides)[::-1]
        for name in order:
            measured[name].append(sides[name]())
            report(f"  run {run + 1} of {runs}: {name}: {measured[name][-1]}")
    return measured


def seconds_and_spread(values: list[float]) -> str:
    """Median of seconds with the smallest and the largest: ``19.5 (19.1 - 20.3)``."""
    if len(values) == 1:
        return f"{values[0]:.2f}"
    return f"{median(values):.2f} ({min(values):.2f} - {max(values):.2f})"


def ratio(values: list[float], reference: list[float]) -> str:
    """Median of ``values`` by that of ``reference``: ``1.25x``."""
    return f"{median(values) / median(reference):.2f}x"
