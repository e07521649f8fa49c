"""Between a command and its Spark application: a result comes back by a file, or a sentence says why there is none."""

from __future__ import annotations

from collections.abc import Callable
from contextlib import nullcontext
from pathlib import Path
from typing import Any

import pytest
import warehouse.answers
from logical_warehouse import local_submit
from logical_warehouse.local_submit import result_of
from warehouse.answers import run_command
from warehouse.expire_spec import ExpireJob, ExpireResult
from warehouse.store_failures import TableNotInStore
from warehouse.store_spec import StoreSpec

STORE = StoreSpec("alluxio://localhost:19998/warehouse")
Ask = Callable[[Callable[[Any, ExpireJob], ExpireResult]], ExpireResult | None]


@pytest.fixture
def ask(monkeypatch: pytest.MonkeyPatch, tmp_path: Path) -> Ask:
    """Asks an application that runs in this process, without Spark."""
    monkeypatch.setattr(warehouse.answers, "job_session", nullcontext)
    monkeypatch.setattr(local_submit, "SCRATCH_ROOT", tmp_path)

    def ask(run: Callable[[Any, ExpireJob], ExpireResult]) -> ExpireResult | None:
        def submit(_plan: object, application: str, argument: str, *, scratch: Path, known: tuple[int, ...]) -> int:
            code = run_command(ExpireJob, [application, argument], run)
            assert scratch.parent == tmp_path and code in known
            return code

        monkeypatch.setattr(local_submit, "submit_here", submit)
        plan: Any = None
        found = result_of(
            plan,
            "expire_snapshots.py",
            ExpireResult,
            lambda path: ExpireJob(STORE, "flights", "2013-06-02", 0, "me", path),
        )
        assert list(tmp_path.iterdir()) == []
        return found

    return ask


def test_a_result_comes_back(ask: Ask) -> None:
    asked = []

    def run(_session: object, job: ExpireJob) -> ExpireResult:
        asked.append((job.store, job.table, job.start))
        return ExpireResult(("2013-06-01",))

    assert ask(run) == ExpireResult(("2013-06-01",))
    assert asked == [(STORE, "flights", "2013-06-02")]


def test_an_expected_failure_is_one_sentence_and_no_result(ask: Ask, capsys: pytest.CaptureFixture[str]) -> None:
    def run(_session: object, job: ExpireJob) -> ExpireResult:
        raise TableNotInStore(job.table)

    assert ask(run) is None
    assert capsys.readouterr().out == f"{TableNotInStore('flights')}\n"


def test_an_unforeseen_error_keeps_its_trace(ask: Ask) -> None:
    def run(_session: object, _job: ExpireJob) -> ExpireResult:
        raise ZeroDivisionError

    with pytest.raises(ZeroDivisionError):
        ask(run)
