"""The spark-submit that an operator composes, for every kind of master: what is in its arguments, and what is not."""

from __future__ import annotations

import os
from dataclasses import dataclass, field, replace
from pathlib import Path
from types import SimpleNamespace

import pytest
from airflow.providers.apache.spark.hooks import spark_submit
from airflow.providers.apache.spark.operators.spark_submit import SparkSubmitOperator
from airflow.sdk import BaseHook, Connection
from airflow.sdk.exceptions import AirflowException, AirflowFailException
from logical_warehouse.connections import spark_master
from logical_warehouse.manifest import Spark, Store
from warehouse.failures import PermanentError
from warehouse.job_answer import JobAnswer, JobFailure
from warehouse.run_spec import IntervalSpec, RunSpec
from warehouse.snapshot_spec import SnapshotJob, SnapshotResult
from warehouse.source_spec import PASSWORD_VARIABLE, SourceSpec
from warehouse.spec_json import from_json, spec_text, to_json
from warehouse.store_spec import StoreSpec
from warehouse.table_spec import ChecksSpec, ColumnSpec, HistorySpec, RetentionSpec, SplitSpec, TableSpec

from tests.support.snapshot_task import run_snapshot

PASSWORD = "hunter2-of-the-source"
MASTERS = {
    "local[2]": Connection(conn_id="spark_default", conn_type="spark", host="local[2]"),
    "spark://master:7077": Connection(conn_id="spark_default", conn_type="spark", host="spark://master:7077"),
    "yarn": Connection(conn_id="spark_default", conn_type="spark", host="yarn", extra='{"queue": "warehouse"}'),
    "k8s://https://api:6443": Connection(
        conn_id="spark_default", conn_type="spark", host="k8s://https://api:6443", extra='{"namespace": "warehouse"}'
    ),
}
DONE = JobAnswer(snapshot=SnapshotResult((), 1.5))


@dataclass
class Submits:
    """Stands for spark-submit: keeps what it was given, and writes ``answer`` as the application would."""

    job: SnapshotJob
    answer: JobAnswer | None = DONE
    returncode: int = 0
    commands: list[list[str]] = field(default_factory=list)
    specs: list[SnapshotJob] = field(default_factory=list)
    environments: list[dict[str, str]] = field(default_factory=list)
    stdout: tuple[str, ...] = ()

    def __call__(self, command: list[str], *, env: dict[str, str] | None = None, **_: object) -> Submits:
        self.commands.append(command)
        self.specs.append(from_json(SnapshotJob, spec_text(command[-1])))
        self.environments.append(env or {})
        if self.answer is not None:
            path = Path(self.job.store.run_path(self.job.run, "snapshot").removeprefix("file://"))
            path.parent.mkdir(parents=True, exist_ok=True)
            path.write_text(to_json(self.answer))
        return self

    def wait(self) -> int:
        return self.returncode


@pytest.fixture
def job(tmp_path: Path) -> SnapshotJob:
    return SnapshotJob(
        run=RunSpec("snapshot_flights", "manual", 1),
        store=StoreSpec(f"file://{tmp_path}/store"),
        source=SourceSpec("bank", "postgresql", "jdbc:postgresql://bank/x", "reader", "org.postgresql.Driver", "UTC"),
        interval=IntervalSpec("2013-06-01", "2013-06-01T00:00:00Z", "2013-06-02T00:00:00Z"),
        tables=(),
        result_path="",
    )


@pytest.fixture
def submits(job: SnapshotJob, monkeypatch: pytest.MonkeyPatch) -> Submits:
    recorder = Submits(job)
    monkeypatch.setattr(spark_submit, "subprocess", SimpleNamespace(Popen=recorder, PIPE=-1, STDOUT=-2))
    # Of the provider's package for Kubernetes, which a site with one has installed.
    monkeypatch.setattr(spark_submit, "kube_client", object(), raising=False)
    return recorder


def after(command: list[str], option: str) -> str:
    return command[command.index(option) + 1]


def connect(monkeypatch: pytest.MonkeyPatch, spark: Connection) -> None:
    known = {"spark_default": spark, "bank": Connection(conn_id="bank", conn_type="jdbc", password=PASSWORD)}
    monkeypatch.setattr(BaseHook, "get_connection", classmethod(lambda cls, conn_id: known[conn_id]))


def run(job: SnapshotJob, jars: Path, conf: dict[str, str] | None = None) -> tuple[SparkSubmitOperator, str]:
    return run_snapshot(job, Spark(jars=str(jars), conf=conf or {}), Store(uri=job.store.uri))


@pytest.fixture
def jars(tmp_path: Path) -> Path:
    folder = tmp_path / "jars"
    folder.mkdir()
    for name in ("iceberg.jar", "postgresql.jar"):
        (folder / name).touch()
    return folder


@pytest.mark.parametrize("master", MASTERS)
def test_the_password_is_in_the_environment_and_nowhere_else(
    master: str, submits: Submits, jars: Path, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    connect(monkeypatch, MASTERS[master])
    operator, result = run(submits.job, jars)
    assert from_json(SnapshotResult, result) == DONE.snapshot
    (command,), (environment,) = submits.commands, submits.environments
    assert environment[PASSWORD_VARIABLE] == PASSWORD
    assert environment["PATH"] == os.environ["PATH"]  # spark-submit is found as before
    assert not [part for part in command if PASSWORD in part or PASSWORD_VARIABLE in part]
    log = "".join(capsys.readouterr())  # where Airflow's tasks log
    assert "Spark-Submit cmd" in log and PASSWORD not in log
    assert not [name for name in operator.template_fields if PASSWORD in repr(getattr(operator, name))]


@pytest.mark.parametrize("master", MASTERS)
def test_the_driver_is_a_process_of_this_machine(
    master: str, submits: Submits, jars: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    connect(monkeypatch, MASTERS[master])
    run(submits.job, jars)
    (command,) = submits.commands
    assert after(command, "--master") == master
    assert after(command, "--deploy-mode") == "client"
    assert after(command, "--py-files").endswith("warehouse.zip")
    assert submits.specs[0].run == submits.job.run
    if master.startswith("local"):
        assert "--jars" not in command and "spark.driver.bindAddress=127.0.0.1" in command
        assert submits.environments[0]["SPARK_LOCAL_IP"] == "127.0.0.1"
    else:  # executors fetch them, from a driver that they can reach
        assert after(command, "--jars").split(",") == [str(jars / "iceberg.jar"), str(jars / "postgresql.jar")]
        assert "spark.driver.bindAddress=127.0.0.1" not in command
        assert "SPARK_LOCAL_IP" not in submits.environments[0]


def test_a_group_of_a_hundred_wide_tables_is_one_job(
    submits: Submits, jars: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    """Its spec has more than the 128 KiB that Linux allows an argument."""
    columns = tuple(ColumnSpec(f"a_column_of_number_{number}", "numeric(18,2)") for number in range(50))
    day = "2013-06-01T00:00:00Z"
    of_table = columns, HistorySpec("current"), SplitSpec(2), ChecksSpec(), RetentionSpec(), "@daily", day
    tables = tuple(TableSpec(f"t{number}", "public", f"t{number}", *of_table) for number in range(100))
    connect(monkeypatch, MASTERS["local[2]"])
    job = replace(submits.job, tables=tables)
    assert len(to_json(job)) > 128 * 1024
    run(job, jars)
    assert submits.specs[0].tables == tables
    assert max(map(len, submits.commands[0])) < 1_000


def test_what_clusters_have_of_their_own_is_kept(submits: Submits, jars: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    connect(monkeypatch, MASTERS["yarn"])
    run(submits.job, jars, {"spark.yarn.priority": "3"})
    connect(monkeypatch, MASTERS["k8s://https://api:6443"])
    run(submits.job, jars, {"spark.kubernetes.local.dirs.tmpfs": "true"})
    yarn, kubernetes = submits.commands
    assert after(yarn, "--queue") == "warehouse" and "spark.yarn.priority=3" in yarn
    assert "spark.kubernetes.namespace=warehouse" in kubernetes
    assert "spark.kubernetes.local.dirs.tmpfs=true" in kubernetes


def test_a_submit_without_a_password_sets_none(submits: Submits, jars: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    connect(monkeypatch, MASTERS["local[2]"])
    BaseHook.get_connection("bank").password = None
    run(submits.job, jars)
    assert PASSWORD_VARIABLE not in submits.environments[0]


def test_a_driver_on_the_cluster_is_refused(monkeypatch: pytest.MonkeyPatch) -> None:
    connect(
        monkeypatch,
        Connection(conn_id="spark_default", conn_type="spark", host="yarn", extra='{"deploy-mode": "cluster"}'),
    )
    with pytest.raises(PermanentError, match=r"runs drivers on the cluster \(yarn\).*set its deploy mode to client"):
        spark_master("spark_default")


def test_a_result_counts_more_than_an_exit_code(
    submits: Submits, jars: Path, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    connect(monkeypatch, MASTERS["local[2]"])
    submits.returncode = 137
    _, result = run(submits.job, jars)
    assert from_json(SnapshotResult, result) == DONE.snapshot
    assert "ended as failed although its application answered" in "".join(capsys.readouterr())


def test_a_failure_is_the_one_that_was_answered(submits: Submits, jars: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    connect(monkeypatch, MASTERS["yarn"])
    submits.answer, submits.returncode = JobAnswer(failure=JobFailure("permanent", "no such table")), 1
    with pytest.raises(AirflowFailException, match="no such table"):
        run(submits.job, jars)


def test_no_answer_is_a_failure_that_may_pass(submits: Submits, jars: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    connect(monkeypatch, MASTERS["local[2]"])
    submits.answer, submits.returncode = None, 137
    with pytest.raises(AirflowException, match="ended without an answer"):
        run(submits.job, jars)
