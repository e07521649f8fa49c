"""What Airflow makes of this package's exceptions."""

from __future__ import annotations

import pytest
from airflow.sdk.exceptions import AirflowException, AirflowFailException
from logical_warehouse.operators.failing import airflow_failures
from warehouse.failures import PermanentError, RetryableError
from warehouse.job_answer import JobAnswer
from warehouse.spec_json import from_json


def test_only_what_waiting_can_mend_is_tried_again() -> None:
    with pytest.raises(AirflowFailException, match=r"^no such column$"):
        failing(PermanentError("no such column"))
    with pytest.raises(AirflowException, match=r"^not there yet$") as raised:
        failing(RetryableError("not there yet"))
    assert not isinstance(raised.value, AirflowFailException)


@airflow_failures
def failing(error: Exception) -> None:
    raise error


def test_an_answer_of_another_version_is_said_to_be_one() -> None:
    answered = airflow_failures(lambda: from_json(JobAnswer, '{"of": "tomorrow"}'))
    with pytest.raises(AirflowFailException, match=r"another version of this package: .*Clear the run from its first"):
        answered()
