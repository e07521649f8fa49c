"""``python3 -m local_stack.containers.celery_ping``: whether this container's Celery worker answers over the broker.

Celery alone, without Airflow, whose import costs seconds of a processor.
"""

from __future__ import annotations

import configparser
import socket
import sys

from local_stack.containers.airflow import HOME

TIMEOUT = 8.0
"""Seconds."""


def main() -> int:
    """0 when it answers."""
    from celery import Celery  # noqa: PLC0415 - only this image has it

    settings = configparser.ConfigParser(interpolation=None)
    settings.read(HOME / "airflow.cfg")
    broker = settings["celery"]["broker_url"].replace("%%", "%")
    worker = f"celery@{socket.gethostname()}"
    with Celery(broker=broker, set_as_current=False) as app:
        answers = app.control.inspect(destination=[worker], timeout=TIMEOUT, limit=1).ping()
    return int(worker not in (answers or {}))


if __name__ == "__main__":
    sys.exit(main())
