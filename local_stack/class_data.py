"""placeholder"""

from __future__ import annotations
from pathlib import Path


def ensure_class_data_archive() -> Path | None:
    return None
