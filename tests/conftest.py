"""What all tests share: a clean environment."""

from __future__ import annotations

import os
import signal

import pytest


def pytest_configure() -> None:
    """A test run that is told to end still stops the services that its fixtures started."""
    signal.signal(signal.SIGTERM, signal.default_int_handler)


@pytest.fixture(autouse=True)
def clean_environment(monkeypatch: pytest.MonkeyPatch) -> None:
    """No test sees a setting or a password of whoever runs it."""
    for name in list(os.environ):
        if name.startswith(("WAREHOUSE_", "SPARK_")) or "PASSWORD" in name.upper():
            monkeypatch.delenv(name)
