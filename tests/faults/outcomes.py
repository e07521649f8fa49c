"""The table of all cells, as `make test-faults` prints it and docs/faults.md shows it."""

from __future__ import annotations

from collections.abc import Iterable

from tests.faults.matrix import Outcome

HEADER = ("fault", "point", "outcome", "rows lost", "seconds to recover", "bytes leaked")
UNKNOWN = "?"


def outcome_table(outcomes: Iterable[Outcome]) -> str:
    """As Markdown, a line for each cell; what must not be is in the outcome."""
    lines = [HEADER, tuple("---" for _ in HEADER)]
    for one in outcomes:
        how = one.how if not one.problems else f"**{one.how}: {'; '.join(one.problems)}**"
        lines.append(
            (
                one.fault,
                one.point,
                how,
                UNKNOWN if one.rows_lost is None else str(one.rows_lost),
                UNKNOWN if one.recovered is None else f"{one.recovered:.0f}",
                UNKNOWN if one.leaked is None else str(one.leaked),
            )
        )
    return "\n".join(f"| {' | '.join(line)} |" for line in lines)
