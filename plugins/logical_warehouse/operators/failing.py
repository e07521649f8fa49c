"""The one seam between this package's exceptions and Airflow's: permanent ones are not retried."""

from __future__ import annotations

import functools
from collections.abc import Callable
from typing import Any

from airflow.sdk.exceptions import AirflowException, AirflowFailException
from warehouse.failures import PermanentError, RetryableError


def airflow_failures(execute: Callable[..., str]) -> Callable[..., str]:
    """Turn a ``PermanentError`` into ``AirflowFailException`` and a ``RetryableError`` into ``AirflowException``."""

    @functools.wraps(execute)
    def mapped(*args: Any, **kwargs: Any) -> str:
        try:
            return execute(*args, **kwargs)
        except PermanentError as error:
            raise AirflowFailException(str(error)) from error.__cause__
        except RetryableError as error:
            raise AirflowException(str(error)) from error.__cause__

    return mapped
