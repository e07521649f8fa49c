"""``… | python3 -m local_stack.containers.beating <component>``: whether Airflow says that it is alive."""

from __future__ import annotations

import json
import sys


def is_beating(health: str, component: str) -> bool:
    """Whether ``component`` (``scheduler``, ``dag_processor``, ``triggerer``) is healthy in the text of an answer."""
    return (json.loads(health).get(component) or {}).get("status") == "healthy"


if __name__ == "__main__":
    sys.exit(not is_beating(sys.stdin.read(), sys.argv[1]))
