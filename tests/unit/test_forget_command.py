"""What `forget` says of what it did, of the models that read it, and of what ended runs had left."""

from __future__ import annotations

import dataclasses
import json
from pathlib import Path

import pytest
from logical_warehouse import forgetting
from logical_warehouse.airflow_history import AirflowHistory
from logical_warehouse.cli import main
from logical_warehouse.forgetting import TrainedOn, ended_line, result_lines, trained_on, under_way_line, unread_line
from logical_warehouse.trained_models import TrainedModel
from warehouse.clean_spec import CleanResult
from warehouse.forget_spec import ForgetResult, ForgottenDate
from warehouse.forgotten import (
    FORGETTINGS,
    MOST_FORGETTINGS,
    REPLACED,
    Forgetting,
    Forgettings,
    forgettings,
    ids_of_states,
)
from warehouse.run_spec import RunSpec
from warehouse.spec_json import to_json

from tests.unit.records import ORDERS

DAY = "2013-06-01"


def test_what_forgetting_says() -> None:
    churn = TrainedModel("churn", DAY, "r7", (DAY,), None)
    result = ForgetResult(
        "orders", 3, FORGOTTEN_AT, (ForgottenDate(DAY, 2, 8),), (5,), ("keep_churn_2013-06-01",),
        ("retired_4",), ("run_x_try1",), 1.5, matched=3, seen=seen(DAY),
    )  # fmt: skip
    assert result_lines(result, trained_on(result, [churn])) == [
        "orders: 2 rows of 3 keys forgotten at 2014-01-01T00:00:00Z, 1.5 s",
        "  as of 2013-06-01: 2 rows gone, 8 left",
        "  also from the kept inputs of trainings: keep_churn_2013-06-01",
        "  dropped, since they held such rows: retired_4",
        "models trained on these dates:",
        "  churn as of 2013-06-01, run r7: not in the store (any more)",
    ]
    assert "run_x_try1" in under_way_line("orders", ["run_x_try1"])
    assert ended_line("orders", ["run_y_try2"], CleanResult((), 3, 4_000)).endswith(
        "(run_y_try2): 3 file(s), 4,000 bytes"
    )
    unread = dataclasses.replace(NOTHING, unread=("2013-06-02", "keep_churn_2013-06-02"))
    assert result_lines(unread, trained_on(unread, []))[0].startswith("orders: nothing that can be read has a row")
    assert unread_line(unread).startswith(
        "orders: not all is done: the store has lost 2013-06-02, keep_churn_2013-06-02, and may get it back"
    )
    assert result_lines(result, trained_on(result, []))[-1] == "no model is known that was trained on these dates"


FORGOTTEN_AT = "2014-01-01T00:00:00Z"
NOTHING = ForgetResult("orders", 3, FORGOTTEN_AT, (), (), (), (), (), 1.5)


def seen(*dates: str, states: tuple[int, ...] = (), at: str = FORGOTTEN_AT) -> Forgetting:
    return Forgetting(at, "officer", "id", dates, states)


def test_forgetting_rows_that_only_a_kept_input_had_tells_of_its_model() -> None:
    churn = TrainedModel("churn", DAY, "r7", (DAY,), None, (7,))
    other = TrainedModel("churn", "2013-06-02", "r8", ("2013-06-02",), None, (8,))
    kept = dataclasses.replace(NOTHING, snapshots=(5,), kept=("keep_churn_2013-06-01",), matched=1, seen=seen(DAY))
    assert result_lines(kept, trained_on(kept, [churn, other])) == [
        "orders: rows of 3 keys forgotten at 2014-01-01T00:00:00Z, 1.5 s",
        "  no published snapshot had any",
        "  as of 2013-06-01: no published row, but some that were kept, replaced or not published yet",
        "  also from the kept inputs of trainings: keep_churn_2013-06-01",
        "2 of the 3 keys had no row; a key must be written exactly as stored, masked where its column is",
        "models trained on these dates:",
        "  churn as of 2013-06-01, run r7: not in the store (any more)",
    ]
    # A whole state has no date by itself, once that was ended or published anew.
    kept = dataclasses.replace(kept, seen=seen(states=(6, 7)))
    assert trained_on(kept, [churn, other]).models == (churn,)
    assert result_lines(kept, trained_on(kept, [churn, other]))[-2] == "models trained on these states:"


def test_forgetting_what_is_gone_tells_of_the_models_of_the_times_before() -> None:
    (nothing, missed) = result_lines(NOTHING, trained_on(NOTHING, []))
    assert nothing == (
        "orders: nothing in the store has a row of the 3 keys, no published snapshot, kept input or replaced state"
    )
    assert missed.startswith("3 of the 3 keys had no row")
    churn = TrainedModel("churn", DAY, "r7", (DAY,), None)
    again = dataclasses.replace(NOTHING, blank=1, before=(seen("2013-05-31", at="2013"), seen(DAY)))
    assert trained_on(again, [churn]) == TrainedOn((), (churn,))
    assert result_lines(again, trained_on(again, [churn]))[2:] == [
        "1 of the keys begin or end with a blank, which was taken for a part of them",
        "models trained on what rows were forgotten of by 'id' before, at 2014-01-01T00:00:00Z as officer asked, "
        "at 2013 as officer asked; whether by these keys is not known:",
        "  churn as of 2013-06-01, run r7: not in the store (any more)",
    ]
    # Named once.
    both = dataclasses.replace(again, seen=seen(DAY))
    assert trained_on(both, [churn]) == TrainedOn((churn,), ())


def test_what_a_table_keeps_of_forgetting() -> None:
    assert forgettings({}) == Forgettings(())
    many = Forgettings(())
    for number in range(MOST_FORGETTINGS + 1):
        many = many.and_then(seen(DAY, at=str(number)))
    assert [one.at for one in many.done] == [str(number) for number in range(1, MOST_FORGETTINGS + 1)]
    properties = {FORGETTINGS: to_json(many), REPLACED: json.dumps({"1": 2, "2": 3, "7": 8})}
    assert forgettings(properties) == many
    assert ids_of_states(properties, [3, 9]) == (1, 2, 3, 9), "a training may have read it before rows were forgotten"


def test_forget_removes_what_ended_runs_left_and_names_those_under_way(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    dead, alive, branch = (RunSpec("snapshot_orders", run, 1) for run in ("dead", "alive", "not validated"))
    result = ForgetResult(
        "orders", 1, FORGOTTEN_AT, (ForgottenDate(DAY, 2, 8),), (5,), (), (branch.branch,),
        (branch.branch, dead.branch), 1.5, (alive.branch, dead.branch), 1, seen=seen(DAY),
    )  # fmt: skip
    removed: list[tuple[str, ...]] = []

    def remove(_plan: object, table: str, tries: tuple[str, ...]) -> CleanResult:
        assert table == "orders" and "as of 2013-06-01: 2 rows gone" in capsys.readouterr().out, "first it is said"
        removed.append(tries)
        return CleanResult((), 1, 1_000)

    monkeypatch.setattr(forgetting, "ask_airflow", lambda *arguments: AirflowHistory())
    monkeypatch.setattr(forgetting, "result_of", lambda *arguments: result)
    monkeypatch.setattr(forgetting, "active_runs", lambda: [alive])
    monkeypatch.setattr(forgetting, "remove_tries", remove)
    path, keys = tmp_path / "warehouse.yaml", tmp_path / "keys"
    path.write_text(ORDERS.format(store="/dev/shm/none"))
    keys.write_text("7\n")
    assert main(["forget", "orders", "--column", "id", "--keys-file", str(keys), "--manifest", str(path)]) == 0
    assert removed == [(dead.branch,)]
    ended, under_way = capsys.readouterr().err.splitlines()
    assert f"({dead.branch}): 1 file(s), 1,000 bytes" in ended
    assert alive.branch in under_way and branch.branch in under_way and dead.branch not in under_way
