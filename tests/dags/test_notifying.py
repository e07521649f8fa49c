"""The notifiers of the manifest: found or refused, told of failures and problems, and never in the way."""

from __future__ import annotations

import logging
from pathlib import Path
from types import SimpleNamespace
from typing import Any

import pytest
from airflow.sdk.exceptions import AirflowFailException
from logical_warehouse.dag_builder import BrokenManifest, build_dags, raise_problems
from logical_warehouse.manifest import Notifier
from logical_warehouse.notifying import failure_sentence, problems_of, tell

from tests.dags.recording_notifier import RecordingNotifier

RECORDING = "tests.dags.recording_notifier.RecordingNotifier"
MANIFEST = """\
version: 1
sources: {bank: {connection: bank}}
store: {uri: file:///dev/shm/store}
defaults: {source: bank, schedule: "@daily", start: 2013-06-01}
tables:
  accounts: {table: public.accounts, history: {interval: {column: opened}}}
trainings:
  churn: {application: train_model.py, inputs: {accounts: all}}
"""


@pytest.fixture(autouse=True)
def told() -> list[str]:
    RecordingNotifier.told.clear()
    return RecordingNotifier.told


def failed(exception: BaseException) -> dict[str, Any]:
    ti = SimpleNamespace(dag_id="snapshot_accounts", task_id="check", run_id="manual__1")
    return {"ti": ti, "exception": exception}


def build(tmp_path: Path, more: str) -> tuple[Path, dict[str, Any]]:
    path = tmp_path / "warehouse.yaml"
    path.write_text(MANIFEST + more)
    return path, build_dags(path)


def test_a_task_that_failed_for_good_is_told_of(tmp_path: Path, told: list[str]) -> None:
    more = f"notify: [{{notifier: {RECORDING}, arguments: {{message: 'Look: {{{{ warehouse_problem }}}}'}}}}]\n"
    _, dags = build(tmp_path, more)
    for dag_id, task_id in (("snapshot_accounts", "check"), ("training_churn", "train")):
        (callback,) = dags[dag_id].get_task(task_id).on_failure_callback
        callback(failed(AirflowFailException("source bank refuses user 'reader'")))
    sentence = "Look: snapshot_accounts.check has failed in run manual__1: source bank refuses user 'reader'"
    assert told == [sentence] * 2


def test_the_monitor_tells_of_its_own_failures_itself(tmp_path: Path, told: list[str]) -> None:
    _, dags = build(tmp_path, f"notify: [{{notifier: {RECORDING}}}]\n")
    (callback,) = dags["warehouse_monitor"].get_task("compare").on_failure_callback
    callback(failed(AirflowFailException("the store is away")))
    assert told == []
    callback(failed(ValueError("unforeseen")))
    assert len(told) == 1
    assert not dags["warehouse_monitor"].get_task("repair").on_failure_callback


def test_without_notifiers_a_task_has_no_callback(tmp_path: Path) -> None:
    _, dags = build(tmp_path, "")
    assert not dags["snapshot_accounts"].get_task("check").on_failure_callback


def test_of_an_unexpected_failure_only_the_kind_is_told() -> None:
    assert failure_sentence(failed(ValueError("DE89 3704 0044"))).endswith("manual__1: it ended with ValueError")


def test_a_notifier_that_is_down_keeps_no_other_from_being_told(
    told: list[str], caplog: pytest.LogCaptureFixture
) -> None:
    both = [Notifier(notifier=RECORDING, arguments={"broken": True}), Notifier(notifier=RECORDING)]
    with caplog.at_level(logging.WARNING):
        assert not tell(both, failed(ValueError()), "table accounts is lost")  # type: ignore[arg-type]
    assert told == ["table accounts is lost"]
    assert "could not be reached (ConnectionError)" in caplog.text
    assert "token abc" not in "".join(record.getMessage() for record in caplog.records)


@pytest.mark.parametrize(
    ("notifier", "arguments", "problem"),
    [
        ("airflow.providers.nosuch.Notifier", {}, "cannot be imported"),
        ("airflow.sdk.NoSuchNotifier", {}, "cannot be imported"),
        ("airflow.sdk.DAG", {}, "is not a notifier of Airflow"),
        (RECORDING, {"channel": "#ops"}, "does not take its arguments in the manifest"),
    ],
)
def test_a_notifier_of_no_use_is_an_import_error_and_the_dags_stand(
    tmp_path: Path, notifier: str, arguments: dict[str, Any], problem: str
) -> None:
    (sentence,) = problems_of([Notifier(notifier=notifier, arguments=arguments)])
    assert problem in sentence
    path, dags = build(tmp_path, f"notify: [{{notifier: {notifier}, arguments: {arguments}}}]\n")
    assert "snapshot_accounts" in dags
    with pytest.raises(BrokenManifest, match=problem):
        raise_problems(path)


def test_a_real_provider_is_taken() -> None:
    smtp = Notifier(
        notifier="airflow.providers.smtp.notifications.smtp.SmtpNotifier",
        arguments={"to": "ops@bank.example", "subject": "{{ warehouse_problem }}"},
    )
    assert list(problems_of([smtp])) == []
