"""Tables on a terminal, and in a file or a pipe."""

from __future__ import annotations

import sys
from typing import TYPE_CHECKING

if TYPE_CHECKING:
    from rich.table import Table

PIPED_COLUMNS = 160
"""Without a terminal rich would fold rows at 80 columns."""


def print_table(table: Table) -> None:
    """Print it as wide as the terminal is."""
    from rich.console import Console

    Console(width=None if sys.stdout.isatty() else PIPED_COLUMNS).print(table)
