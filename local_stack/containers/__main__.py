"""``python -m local_stack.containers <role> [argument…]``: the entry point of the images.

It imports what a role needs only: the images of Alluxio have no Python packages.
"""

from __future__ import annotations

import importlib
import sys

from local_stack.errors import StackError

ROLES = {
    "alluxio": ("alluxio", "main"),
    "spark": ("spark", "main"),
    "airflow": ("airflow", "main"),
    "warehouse": ("airflow", "run_warehouse"),
    "metrics": ("metrics", "main"),
    "initialise": ("initialise", "main"),
    "sample": ("sample", "main"),
}
"""Module of this package, and its function of the arguments."""


def main() -> int:
    """Become the server, or do the work, that the arguments name."""
    role, *arguments = sys.argv[1:] or [""]
    if role not in ROLES:
        print(f"error: {role!r} is no role; there are {', '.join(ROLES)}", file=sys.stderr)
        return 2
    try:
        module, function = ROLES[role]
        getattr(importlib.import_module(f"local_stack.containers.{module}"), function)(arguments)
    except StackError as error:
        print(f"error: {error}", file=sys.stderr)
        return 1
    return 0


if __name__ == "__main__":
    sys.exit(main())
