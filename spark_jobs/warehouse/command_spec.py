"""How the Spark application of a command says that it has no result."""

from __future__ import annotations

IMPOSSIBLE = 11
"""Its exit code after it has said why; Python's own for an unforeseen error is 1."""
