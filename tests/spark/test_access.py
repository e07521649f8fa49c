"""Who may read a table, on a real Alluxio: a member of its group, and nobody else, whichever way he comes."""

from __future__ import annotations

from dataclasses import replace

import pytest
import requests
from logical_warehouse.audit_log import Reader, log_lines, readers
from logical_warehouse.store_files import AlluxioFiles, path_in
from pyspark.sql import SparkSession
from warehouse.access_failures import NotAllowed, NotLimited
from warehouse.access_spec import AccessSpec
from warehouse.failures import PermanentError
from warehouse.jvm import jvm_of
from warehouse.lost_marks import BeingRepaired, LostMark, LostMarks, marks_path
from warehouse.reading import UnknownTable, read_as_of, read_latest
from warehouse.retention import AS_OF_COLUMN
from warehouse.spark_conf import spark_conf
from warehouse.spec_json import to_json
from warehouse.store_files import write_text
from warehouse.store_spec import StoreSpec
from warehouse.table_access import table_folder
from warehouse.table_spec import TableSpec

from local_stack.alluxio import Alluxio
from local_stack.alluxio_servers import PROXY_USER
from tests.spark.conftest import NAMESPACES
from tests.spark.databases import PostgresDatabase
from tests.spark.runs import Runs
from tests.support.alluxio_users import session_of

DAY = "2013-06-01"
ANALYSTS = AccessSpec("analysts")
REFUSED = (requests.codes.bad_request, requests.codes.unauthorized, requests.codes.forbidden)


@pytest.fixture
def runs(session: SparkSession, stores: dict[str, StoreSpec], alluxio: Alluxio, database: PostgresDatabase) -> Runs:
    found = Runs(session, replace(stores["alluxio"], namespace=f"test{next(NAMESPACES)}"), database)
    found.events([DAY, "2013-06-02"])
    return found


def limited(runs: Runs, access: AccessSpec | None = ANALYSTS, **others: str) -> TableSpec:
    return replace(runs.table(), access=access, **others)  # type: ignore[arg-type]


def files_of(alluxio: Alluxio, user: str) -> AlluxioFiles:
    files = AlluxioFiles(alluxio.web, alluxio.s3)
    files.user = user
    return files


def directory(runs: Runs, path: str) -> str:
    java_path = jvm_of(runs.session).org.apache.hadoop.fs.Path(path)
    status = java_path.getFileSystem(runs.session._jsc.hadoopConfiguration()).getFileStatus(java_path)
    return f"{status.getGroup()} {status.getPermission()}"


def test_a_member_reads_and_an_outsider_does_not(runs: Runs, alluxio: Alluxio) -> None:
    record = runs.publish(limited(runs), DAY).record
    assert record.access == ANALYSTS
    assert directory(runs, table_folder(runs.store, "events")) == "analysts rwxr-x---"
    with session_of(runs.session, "ana") as session:
        assert read_as_of(session, runs.store, "events", DAY).count() == 10
    with session_of(runs.session, "mallory") as session:
        with pytest.raises(NotAllowed) as refused:
            read_as_of(session, runs.store, "events", DAY)
        assert str(refused.value) == (
            "user 'mallory' may not read table events: it is for group 'analysts'; ask whoever keeps the members of "
            "'analysts'"
        )
        with pytest.raises(UnknownTable):
            read_as_of(session, runs.store, "event", DAY)
        with pytest.raises(Exception, match="Permission denied: user=mallory"):
            session.read.parquet(next(path for path in runs.files() if path.endswith(".parquet"))).count()
    # The same through the proxy, of a file of rows and of one of metadata.
    for path in map(path_in, runs.files()):
        assert files_of(alluxio, "ana").read(path)
        with pytest.raises(PermanentError, match="does not let the user 'mallory'"):
            files_of(alluxio, "mallory").read(path)

    def asked(day: str) -> dict[str, Reader]:
        lines, folder = log_lines(alluxio.audit_log), path_in(table_folder(runs.store, "events"))
        return {reader.user: reader for reader in readers(lines, folder, f"/{AS_OF_COLUMN}={day}/")}

    assert asked(DAY)["ana"].allowed > 0 and asked(DAY)["ana"].refused == 0
    assert asked(DAY)["mallory"].allowed == 0 and asked(DAY)["mallory"].refused > 0
    assert "ana" not in asked("2013-06-02")
    assert "note 7" not in alluxio.audit_log.read_text()


def test_the_proxy_lets_nobody_by_who_does_not_come_under_a_name(runs: Runs, alluxio: Alluxio) -> None:
    runs.publish(limited(runs), DAY)
    limited_file = next(path_in(path) for path in runs.files() if path.endswith(".parquet"))
    # S3 without a key.
    for method in ("GET", "HEAD", "PUT", "DELETE"):
        assert requests.request(method, f"{alluxio.s3}{limited_file}", timeout=10).status_code in REFUSED, method

    # The older interface knows no users, and beside the S3 of 2.9.4 it does nothing.
    older, folder = alluxio.s3.removesuffix("/s3"), limited_file.rpartition("/")[0]
    before = runs.files().keys()
    for what in (
        f"paths/{limited_file}/open-file",
        f"paths/{folder}/list-status",
        f"paths/{limited_file}/delete",
        f"paths/{folder}/new/create-file",
        "streams/1/read",
    ):
        assert not requests.post(f"{older}/{what}", json={}, timeout=10).content, what
    assert runs.files().keys() == before
    lines = list(log_lines(alluxio.audit_log))
    assert PROXY_USER not in {reader.user for reader in readers(lines, path_in(table_folder(runs.store, "events")))}
    assert PROXY_USER in {reader.user for reader in readers(lines, "")}  # the search does find what is there


def test_the_manifest_moves_a_table_to_another_group_and_opens_it(
    runs: Runs, alluxio: Alluxio, capsys: pytest.CaptureFixture[str]
) -> None:
    captured = runs.snapshot([limited(runs)], DAY)
    fingerprint = path_in(captured.captures[0].fingerprint)
    answer = path_in(runs.snapshot_job([], DAY).result_path)
    write_text(runs.session, f"{runs.store.uri}{answer.removeprefix(path_in(runs.store.uri))}", "{}")
    files_of(alluxio, "ana").read(fingerprint)
    with pytest.raises(PermanentError, match="does not let the user 'mallory'"):
        files_of(alluxio, "mallory").read(fingerprint)  # it has ranges, which are values
    assert files_of(alluxio, "mallory").read(answer) == b"{}"  # it has none, and Airflow's workers read it
    runs.validate([limited(runs)], DAY, captured)

    runs.publish(limited(runs, AccessSpec("auditors")), "2013-06-02")
    data = next(path_in(path) for path in runs.files() if path.endswith(".parquet"))
    assert files_of(alluxio, "aron").read(data)
    with pytest.raises(PermanentError, match="does not let the user 'ana'"):
        files_of(alluxio, "ana").read(data)

    capsys.readouterr()
    record = runs.publish(limited(runs, None), DAY, run="again").record
    assert record.access is None
    assert directory(runs, table_folder(runs.store, "events")) == "auditors rwxr-x---"
    assert "the manifest has no access for it, and its directory stays as it is, for group 'auditors'" in (
        capsys.readouterr().out
    )
    runs.snapshot([limited(runs, AccessSpec(None))], DAY, run="open")
    assert files_of(alluxio, "mallory").read(data)


def test_jobs_that_are_no_superuser_limit_what_is_theirs(
    runs: Runs, stores: dict[str, StoreSpec], alluxio: Alluxio
) -> None:
    store = StoreSpec(f"{stores['alluxio'].uri}_of_pipeline", catalog="pipeline", memory_only=False)
    home = jvm_of(runs.session).org.apache.hadoop.fs.Path(store.uri)
    system = home.getFileSystem(runs.session._jsc.hadoopConfiguration())
    system.mkdirs(home)
    system.setOwner(home, "pipeline", None)
    with session_of(runs.session, "pipeline") as session:
        for name, value in spark_conf(store, scratch_dir="").items():
            if name.startswith("spark.sql.catalog."):
                session.conf.set(name, value)
        theirs = replace(runs, session=session, store=store)
        theirs.publish(limited(theirs), DAY)
        data = next(path_in(path) for path in theirs.files() if path.endswith(".parquet"))
        with pytest.raises(NotAllowed, match="user 'pipeline' may not write to /warehouse/_promised/"):
            replace(runs, session=session).snapshot([limited(runs)], DAY)
    assert files_of(alluxio, "ana").read(data)
    with pytest.raises(PermanentError, match="does not let the user 'mallory'"):
        files_of(alluxio, "mallory").read(data)


def test_a_mark_of_the_monitor_is_for_every_reader(runs: Runs, alluxio: Alluxio) -> None:
    lost = runs.publish(limited(runs), DAY).record
    mark = LostMark(lost.as_of, lost.published_at, "2013-06-05T00:15:00Z", "captured again", True, lost.end)
    path = path_in(marks_path(runs.store.uri, runs.store.namespace, "events"))
    AlluxioFiles(alluxio.web, alluxio.s3).write(path, to_json(LostMarks("events", (mark,))).encode())
    with session_of(runs.session, "ana") as session, pytest.raises(BeingRepaired):
        read_latest(session, runs.store, "events")


def test_a_store_that_does_not_limit_takes_no_row(tmpfs_runs: Runs) -> None:
    tmpfs_runs.events([DAY])
    with pytest.raises(NotLimited, match="and not of group 'nobody-has-it' with mode 750, as access in"):
        tmpfs_runs.snapshot([limited(tmpfs_runs, AccessSpec("nobody-has-it"))], DAY)
    assert not tmpfs_runs.files()
