"""The demo: three days of real flights captured into memory, and a model trained on each, all by Airflow's REST."""

from __future__ import annotations

import time
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass, field
from datetime import UTC, datetime

from rich.console import Console

from local_stack import demo_report
from local_stack.airflow_api import FINISHED, AirflowApi, Json
from local_stack.airflow_settings import USER
from local_stack.errors import StackError
from local_stack.preflight import swap_devices
from local_stack.stack import Stack

DATES = ("2013-06-01", "2013-06-02", "2013-06-03")
BACKFILLED = ("snapshot_flights", "snapshot_weather")
REFERENCE = "snapshot_reference"
TRAINING = "training_late_departures"
DAGS = {*BACKFILLED, REFERENCE, TRAINING}
TIMEOUT = 900
"""Seconds for all runs together."""
POLL = 2.0
FIRST_RUN_TIMEOUT = 20
"""Seconds in which the scheduler creates the run of the latest interval after a DAG was unpaused."""


@dataclass
class Runs:
    """The runs that the demo waits for, by DAG and label: an as-of date, or ``now`` for the reference tables.

    A training's run appears when its inputs have arrived; until then it is None.
    """

    wanted: dict[tuple[str, str], str | None] = field(default_factory=dict)
    earlier_trainings: set[str] = field(default_factory=set)
    states: dict[tuple[str, str], str] = field(default_factory=dict)

    @property
    def finished(self) -> bool:
        """Whether every run is there and has succeeded."""
        return all(self.states.get(key) == "success" for key in self.wanted)


def run_demo(stack: Stack) -> None:
    """Start the stack, capture, train, and print what happened; the services stay up.

    :raises StackError: a service, a run or a check of the result failed.
    """
    console = Console(highlight=False)
    if not console.is_terminal:
        console = Console(highlight=False, width=120)  # a log: lines need not fit a screen of 80
    started = time.monotonic()
    stack.check()
    if not stack.memory_only:
        console.print(
            f"[yellow]This machine swaps to {', '.join(swap_devices())}[/]: the store is not held to memory only "
            "(store.memory_only: false), since the demo's data is public. After `swapoff -a` it is.",
            soft_wrap=True,
        )
    with _phase(console, "services"):
        stack.start(lambda phase, seconds: console.print(f"  {phase}: {seconds:.0f} s"))
    api = stack.airflow.api()
    with _phase(console, "DAGs"):
        _wait_for_dags(api)
    with _phase(console, "reference tables"):
        # First: the trainings read the newest planes, which nothing makes them wait for.
        reference = Runs({(REFERENCE, "now"): _start_reference(api)})
        _follow(api, reference, console)
    with _phase(console, "dated tables and trainings"):
        runs = _start_dated(api)
        _follow(api, runs, console)
    captures = [(dag, run) for (dag, _), run in _ended(runs) + _ended(reference) if dag != TRAINING]
    demo_report.print_snapshots(console, stack, api, captures)
    demo_report.print_trainings(console, api, [run for (dag, _), run in _ended(runs) if dag == TRAINING])
    with _phase(console, "reading the same rows twice"):
        demo_report.print_read_timing(console, stack, "flights", DATES[-1])
    console.print(f"\nThe demo took {time.monotonic() - started:.0f} s. The services are up; `make stop` ends them.")
    console.print(f"Airflow: {stack.airflow.url}  user {USER}  password {stack.airflow.password}", soft_wrap=True)


def _ended(runs: Runs) -> list[tuple[tuple[str, str], str]]:
    return [(key, run_id) for key, run_id in sorted(runs.wanted.items()) if run_id is not None]


@contextmanager
def _phase(console: Console, name: str) -> Iterator[None]:
    console.print(f"[bold]{name}[/]")
    started = time.monotonic()
    yield
    console.print(f"  [dim]{name}: {time.monotonic() - started:.0f} s[/]")


def _wait_for_dags(api: AirflowApi) -> None:
    deadline = time.monotonic() + 60
    while missing := DAGS - api.dag_ids():
        if errors := api.import_errors():
            raise StackError(f"{errors[0]['filename']} cannot be imported: {errors[0]['stack_trace'].strip()}")
        if time.monotonic() > deadline:
            raise StackError(f"Airflow does not show {', '.join(sorted(missing))}; see .local/run/airflow-*.log")
        time.sleep(1)


def _start_dated(api: AirflowApi) -> Runs:
    runs = Runs(earlier_trainings={run["dag_run_id"] for run in api.runs(TRAINING)})
    for dag_id in BACKFILLED:
        api.cancel_backfills(dag_id)
    api.set_paused(TRAINING, False)  # first: an event for a paused training is dropped
    for dag_id in BACKFILLED:
        api.set_paused(dag_id, False)
        # "completed" runs are run again, so that another demo captures the same dates anew.
        api.create_backfill(dag_id, f"{DATES[0]}T00:00:00Z", f"{DATES[-1]}T00:00:00Z", reprocess="completed")
        by_date = {(run["logical_date"] or "")[:10]: run["dag_run_id"] for run in api.runs(dag_id)}
        for date in DATES:
            if date not in by_date:
                raise StackError(f"Airflow's backfill of {dag_id} has no run for {date}")
            runs.wanted[dag_id, date] = by_date[date]
    for date in DATES:
        runs.wanted[TRAINING, date] = None
    return runs


def _start_reference(api: AirflowApi) -> str:
    """Unpausing captures the latest interval by itself, the first time; afterwards a run is triggered."""
    before = {run["dag_run_id"] for run in api.runs(REFERENCE)}
    api.set_paused(REFERENCE, False)
    deadline = time.monotonic() + (0 if before else FIRST_RUN_TIMEOUT)
    while time.monotonic() < deadline:
        if created := [run["dag_run_id"] for run in api.runs(REFERENCE) if run["dag_run_id"] not in before]:
            return str(created[0])
        time.sleep(0.5)
    return str(api.trigger(REFERENCE)["dag_run_id"])


def _follow(api: AirflowApi, runs: Runs, console: Console) -> None:
    """Wait for all runs, printing each task as it starts and ends.

    :raises StackError: a run failed, with the error of its task's log; or the time is over.
    """
    started, seen = time.monotonic(), datetime.now(UTC).isoformat()
    shown: dict[tuple[str, str, str], str] = {}
    with console.status("") as status:
        while not runs.finished:
            _look(api, runs)
            # By DAG too: backfills of two DAGs give their runs the same ids.
            labels = {(dag, run_id): f"{dag} {label}" for (dag, label), run_id in runs.wanted.items() if run_id}
            for task in api.changed_tasks(seen):
                key = (task["dag_id"], task["dag_run_id"], task["task_id"])
                state = f"{task['state'] or 'waits'}"
                if key[:2] in labels and shown.get(key) != state:
                    shown[key] = state
                    if state in ("success", "failed", "up_for_retry"):
                        console.print(_line(time.monotonic() - started, labels[key[:2]], task))
            _fail_on_failure(api, runs)
            done = sum(state in FINISHED for state in runs.states.values())
            running = ", ".join(
                f"{labels[dag_id, run_id].removeprefix('snapshot_')}: {task_id}"
                for (dag_id, run_id, task_id), state in shown.items()
                if state == "running"
            )
            status.update(f"{done} of {len(runs.wanted)} runs, {time.monotonic() - started:.0f} s; {running}")
            if time.monotonic() - started > TIMEOUT:
                open_runs = [" ".join(key) for key in runs.wanted if runs.states.get(key) != "success"]
                raise StackError(f"after {TIMEOUT} s these runs have not ended: {', '.join(open_runs)}")
            time.sleep(POLL)


def _look(api: AirflowApi, runs: Runs) -> None:
    for dag_id in {dag_id for dag_id, _ in runs.wanted}:
        for run in api.runs(dag_id):
            if dag_id == TRAINING and run["dag_run_id"] not in runs.earlier_trainings:
                key = (TRAINING, run["partition_key"])
                if key in runs.wanted:
                    runs.wanted[key] = run["dag_run_id"]
            for key, run_id in runs.wanted.items():
                if key[0] == dag_id and run_id == run["dag_run_id"]:
                    runs.states[key] = run["state"]


def _line(seconds: float, label: str, task: Json) -> str:
    took = f" in {task['duration']:.0f} s" if task["duration"] else ""
    colour = {"success": "green", "failed": "red"}.get(task["state"], "yellow")
    return f"  {seconds:4.0f} s  {label}: {task['task_id']} [{colour}]{task['state']}[/]{took}"


def _fail_on_failure(api: AirflowApi, runs: Runs) -> None:
    for (dag_id, label), state in runs.states.items():
        run_id = runs.wanted[dag_id, label]
        if state != "failed" or run_id is None:
            continue
        tasks = [task for task in api.task_instances(dag_id, run_id) if task["state"] == "failed"]
        if not tasks:
            raise StackError(f"{dag_id} {label} failed without a failed task")
        log = api.task_log(dag_id, run_id, tasks[0]["task_id"], tasks[0]["try_number"])
        raise StackError(f"{dag_id} {label}: task {tasks[0]['task_id']} failed:\n{_errors(log)}")


def _errors(log: str) -> str:
    lines = log.splitlines()
    errors = [line for line in lines if " error " in line or "Exception: " in line]
    return "\n".join((errors or lines)[-8:])
