"""Moments that the tests write as text."""

from __future__ import annotations

import pendulum
from pendulum import DateTime


def moment_of(text: str, time_zone: str = "UTC") -> DateTime:
    """``text`` as pendulum reads it, which is in ``time_zone`` unless it says another."""
    moment = pendulum.parse(text, tz=time_zone)
    assert isinstance(moment, DateTime)
    return moment
