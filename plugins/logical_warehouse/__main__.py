"""``python -m logical_warehouse``."""

from __future__ import annotations

import sys

from logical_warehouse.cli import main

if __name__ == "__main__":
    sys.exit(main())
