"""The one seam between this package's exceptions and Airflow's: permanent ones are not retried.

The sentence is all that the task log shows of an expected failure; what caused it is in the sentence.
"""

from __future__ import annotations

import functools
from collections.abc import Callable
from typing import Any, TypeVar

from airflow.sdk.exceptions import AirflowException, AirflowFailException
from warehouse.failures import PermanentError, RetryableError
from warehouse.spec_json import SpecError

Returned = TypeVar("Returned")


def airflow_failures(execute: Callable[..., Returned]) -> Callable[..., Returned]:
    """Turn a ``PermanentError`` into ``AirflowFailException`` and a ``RetryableError`` into ``AirflowException``;
    a ``SpecError`` too is not retried, since what was written stays as it is."""

    @functools.wraps(execute)
    def mapped(*args: Any, **kwargs: Any) -> Returned:
        try:
            return execute(*args, **kwargs)
        except PermanentError as error:
            raise AirflowFailException(str(error)) from None
        except RetryableError as error:
            raise AirflowException(str(error)) from None
        except SpecError as error:
            raise AirflowFailException(
                f"This run was begun, or its job answered, by another version of this package: {error}. Clear the run "
                "from its first task, so that one version does all of it."
            ) from None

    return mapped
