"""Why a job ends without a result: exceptions that carry data and build their one sentence once.

Permanent failures end the Airflow task for good; retryable ones leave it to Airflow's retries. No message holds a
value of the data or a password. Each topic has a module of its own, ``*_failures``; errors of drivers and of the store
are mapped to these in ``vendor_errors``.
"""

from __future__ import annotations

from typing import ClassVar, Literal

FailureKind = Literal["permanent", "retryable"]


class JobError(Exception):
    """An expected failure; ``str()`` is one sentence for a person."""

    kind: ClassVar[FailureKind]


class PermanentError(JobError):
    """Trying again changes nothing until somebody changes something."""

    kind = "permanent"


class RetryableError(JobError):
    """Trying again later may succeed."""

    kind = "retryable"
