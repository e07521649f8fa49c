"""Results as tables: on the terminal by rich, in ``docs/`` as Markdown."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path

from rich.console import Console
from rich.table import Table


@dataclass(frozen=True)
class Section:
    """One comparison: what was measured, how, and a row for each side. The first column is text, the rest numbers."""

    title: str
    explanation: str
    columns: tuple[str, ...]
    rows: tuple[tuple[str, ...], ...]


def show(sections: Sequence[Section], console: Console) -> None:
    """Print every section."""
    for section in sections:
        table = Table(title=section.title, caption=section.explanation, title_justify="left", caption_justify="left")
        for index, column in enumerate(section.columns):
            table.add_column(column, justify="left" if index == 0 else "right")
        for row in section.rows:
            table.add_row(*row)
        console.print(table)


def write_markdown(sections: Sequence[Section], heading: str, path: Path) -> None:
    """Write every section below ``heading``, replacing the file."""
    parts = ["# Benchmarks\n", "Written by `make bench`.", heading, ""]
    for section in sections:
        parts += [f"## {section.title}\n", f"{section.explanation}\n"]
        parts += ["| " + " | ".join(section.columns) + " |"]
        parts += ["|" + "|".join(["---", *["---:"] * (len(section.columns) - 1)]) + "|"]
        parts += ["| " + " | ".join(row) + " |" for row in section.rows]
        parts.append("")
    path.parent.mkdir(parents=True, exist_ok=True)
    path.write_text("\n".join(parts))
