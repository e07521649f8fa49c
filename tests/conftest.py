"""What all tests share: a clean environment."""

from __future__ import annotations

import os
from collections.abc import Iterator

import pytest


@pytest.fixture(autouse=True)
def clean_environment(monkeypatch: pytest.MonkeyPatch) -> Iterator[None]:
    """No test sees a setting or a password of whoever runs it."""
    for name in list(os.environ):
        if name.startswith(("WAREHOUSE_", "SPARK_")) or "PASSWORD" in name.upper():
            monkeypatch.delenv(name)
    return
