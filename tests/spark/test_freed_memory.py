"""What is replaced or ended is really free again, as Alluxio counts it, once the grace of its readers is over."""

from __future__ import annotations

import time
from collections.abc import Callable, Iterator
from contextlib import contextmanager, suppress
from dataclasses import replace
from pathlib import Path
from urllib.parse import urlsplit

import pytest
from logical_warehouse import expiring, store_contents
from logical_warehouse.cli import main
from logical_warehouse.manifest import Store
from logical_warehouse.promises import Promises
from logical_warehouse.store_files import AlluxioFiles, LocalFiles, path_in
from logical_warehouse.store_health import ask_alluxio
from logical_warehouse.stored_tables import StoredTable, read_stored_table
from py4j.protocol import Py4JJavaError
from pyspark.sql import SparkSession
from warehouse.expire_spec import Ending, ExpireResult
from warehouse.expiry import expire_before
from warehouse.failures import PermanentError
from warehouse.held_files import read_marks
from warehouse.iceberg_api import load_existing_table, properties_of
from warehouse.jvm import jvm_of
from warehouse.lost_marks import LostMark, LostMarks, marks_path
from warehouse.publish import RETIRED_PREFIX
from warehouse.reading import read_as_of, read_input
from warehouse.records import RETAINED_FROM
from warehouse.spec_json import to_json
from warehouse.store_directory import prepare_store
from warehouse.store_failures import FileIncomplete
from warehouse.store_spec import StoreSpec
from warehouse.table_spec import RetentionSpec
from warehouse.train_spec import InputSpec

from local_stack.alluxio import Alluxio
from local_stack.jars import ensure_jars
from tests.faults.store_contents import used_bytes
from tests.spark.databases import PostgresDatabase
from tests.spark.runs import Runs

DAYS = ["2013-06-01", "2013-06-02", "2013-06-03"]
GRACE = 3
ROWS = 8_000
# Half a kilobyte in each row that no compression makes much smaller.
NOTE = "(SELECT string_agg(md5(random()::text || n || part), '') FROM generate_series(1, 16) part)"


def until(condition: Callable[[], bool]) -> None:
    deadline = time.monotonic() + 30
    while not condition():
        assert time.monotonic() < deadline, "it did not come to be"
        time.sleep(0.2)


@contextmanager
def unfinished(session: SparkSession, store: StoreSpec, uri: str) -> Iterator[str]:
    """A file whose writer has not finished it, as one that died: its path."""
    prepare_store(session, store)
    path = jvm_of(session).org.apache.hadoop.fs.Path(uri)
    file_system = path.getFileSystem(session._jsc.hadoopConfiguration())
    stream = file_system.create(path)
    try:
        yield str(path.toUri().getPath())
    finally:
        with suppress(Py4JJavaError):  # another file may have taken its place
            stream.close()
        file_system.delete(path, False)


def test_a_promise_that_is_being_written_is_passed_over(
    session: SparkSession, stores: dict[str, StoreSpec], alluxio: Alluxio
) -> None:
    store, files = stores["alluxio"], AlluxioFiles(alluxio.web, alluxio.s3)
    others = Promises(files, store).all()
    with unfinished(session, store, f"{store.uri}/_promised/snapshot_x/unfinished.json") as path:
        with pytest.raises(FileIncomplete, match=r"unfinished\.json in the store is being written"):
            files.read(path)
        assert Promises(files, store).all() == others


def test_marks_that_are_not_whole_are_none_and_are_written_again(
    session: SparkSession, stores: dict[str, StoreSpec], alluxio: Alluxio
) -> None:
    store, files = stores["alluxio"], AlluxioFiles(alluxio.web, alluxio.s3)
    of_manifest = Store(uri=store.uri, namespace=store.namespace)

    def as_read() -> tuple[LostMarks, LostMarks]:
        return read_marks(session, store, "cards"), store_contents.read_marks(files, of_manifest, "cards")

    with unfinished(session, store, marks_path(store.uri, store.namespace, "cards")) as path:
        assert as_read() == (LostMarks("cards", ()),) * 2
        marks = LostMarks("cards", (LostMark(DAYS[0], "2013-06-02T00:00:00Z", "2013-06-05T00:15:00Z", "gone"),))
        files.write(path, to_json(marks).encode())
        assert as_read() == (marks, marks)


def test_a_directory_that_is_being_made_is_not_one_that_was_never_pinned(
    session: SparkSession, alluxio: Alluxio
) -> None:
    uri = f"{alluxio.uri.rpartition('/')[0]}/being_made"
    path = jvm_of(session).org.apache.hadoop.fs.Path(uri)
    file_system = path.getFileSystem(session._jsc.hadoopConfiguration())
    for below in ("", "/_promised"):
        file_system.mkdirs(jvm_of(session).org.apache.hadoop.fs.Path(f"{uri}{below}"))
        assert ask_alluxio(uri, alluxio.web, memory_only=False).workers == 1
    try:
        file_system.mkdirs(jvm_of(session).org.apache.hadoop.fs.Path(f"{uri}/snapshots/events"))
        with pytest.raises(PermanentError, match="being_made is not pinned in Alluxio"):
            ask_alluxio(uri, alluxio.web, memory_only=False)
    finally:
        file_system.delete(path, True)


def test_memory_is_free_when_the_grace_of_readers_is_over(
    session: SparkSession, stores: dict[str, StoreSpec], alluxio: Alluxio, database: PostgresDatabase
) -> None:
    runs = Runs(session, replace(stores["alluxio"], namespace="freed"), database)
    database.run(
        f"CREATE TABLE events AS SELECT n AS id, '{DAYS[0]} 00:00Z'::timestamptz AS at, {NOTE} AS note "
        f"FROM generate_series(1, {ROWS}) n"
    )
    table = runs.table(mode="current", retention=RetentionSpec(keep=1))
    empty = used_bytes(alluxio)
    size = runs.publish(table, DAYS[0], grace=GRACE).record.bytes
    assert size > 1_000_000
    until(lambda: used_bytes(alluxio) >= empty + size)
    listed = AlluxioFiles(alluxio.web, alluxio.s3).size(f"{urlsplit(runs.store.uri).path}/freed/events/data")
    assert abs(listed - size) < 0.02 * size

    in_flight = read_as_of(session, runs.store, "events", DAYS[0])
    replaced = runs.publish(table, DAYS[0], run="again", grace=GRACE)
    until(lambda: used_bytes(alluxio) >= empty + 2 * size)
    assert in_flight.count() == ROWS, "within the grace"

    ended = runs.publish(table, DAYS[1], grace=GRACE)
    assert not replaced.expired and ended.expired == (DAYS[0],)

    def unneeded() -> int:
        folder = f"{urlsplit(runs.store.uri).path}/freed"
        stored = read_stored_table(AlluxioFiles(alluxio.web, alluxio.s3), folder, "events")
        assert stored is not None
        return stored.unneeded_bytes

    # `check` counts on what the next run removes before it writes.
    until(lambda: unneeded() > 0 and abs(used_bytes(alluxio) - empty - size - unneeded()) < 0.1 * size)
    database.run("DELETE FROM events")
    runs.snapshot([table], DAYS[2])
    until(lambda: used_bytes(alluxio) < empty + 1.5 * size)
    assert unneeded() == 0
    assert runs.rows(tag=DAYS[1]).count() == ROWS and runs.data_files() >= runs.live_files()


def test_intervals_that_were_replaced_are_counted_as_what_the_next_run_removes(tmpfs_runs: Runs) -> None:
    runs = tmpfs_runs
    runs.events(DAYS, rows_per_day=500)
    for day in DAYS[:2]:
        runs.publish(runs.table(), day, grace=0)
    before = runs.data_files()
    runs.publish(runs.table(), DAYS[1], run="again", grace=GRACE)

    def stored() -> StoredTable:
        found = read_stored_table(LocalFiles(), path_in(f"{runs.store.uri}/{runs.store.namespace}"), "events")
        assert found is not None
        return found

    def sizes() -> int:
        return sum(len(data) for path, data in runs.files().items() if path.endswith(".parquet"))

    assert stored().unneeded_bytes == 0, "within the grace"
    until(lambda: stored().unneeded_bytes > 0)
    there, counted = sizes(), stored().unneeded_bytes
    assert counted == sum(
        len(data)
        for path, data in runs.files().items()
        if path.rpartition("/")[2] in before - runs.live_files("events", "main")
    )
    runs.database.run("DELETE FROM events")
    runs.snapshot([runs.table()], DAYS[2])
    assert there - sizes() == counted and stored().unneeded_bytes == 0
    assert runs.ids() == list(range(1_000))


def test_the_oldest_states_are_ended_by_hand_and_the_newest_stays(tmpfs_runs: Runs) -> None:
    runs = tmpfs_runs
    runs.events(DAYS)
    for day in DAYS[:2]:
        runs.publish(runs.table(mode="current"), day, grace=0)
    read_input(runs.session, runs.store, InputSpec("events", "latest"), DAYS[1], keep_as="keep_newest")
    result = expire_before(runs.session, runs.store, "events", "2014-01-01T00:00:00Z", grace_seconds=0, by="me")
    assert result == ExpireResult((DAYS[0],)) and list(runs.records()) == [DAYS[1]]
    assert runs.ids() == list(range(30)) and runs.data_files() == runs.live_files()


def test_intervals_that_are_ended_by_hand_at_once_leave_nothing_to_earlier_readers(tmpfs_runs: Runs) -> None:
    runs = tmpfs_runs
    runs.events(DAYS)
    for day in DAYS:
        runs.publish(runs.table(), day)
    assert any(name.startswith(RETIRED_PREFIX) for name in runs.references())
    before = runs.data_files()
    assert expire_before(runs.session, runs.store, "events", f"{DAYS[2]}T00:00:00Z", grace_seconds=0, by="me").ended
    assert runs.data_files() == runs.live_files("events", "main") < before
    assert runs.ids() == list(range(20, 30))


def test_the_oldest_intervals_are_ended_by_a_command(
    tmpfs_runs: Runs, tmp_path: Path, capsys: pytest.CaptureFixture[str], monkeypatch: pytest.MonkeyPatch
) -> None:
    runs = tmpfs_runs
    runs.events(DAYS)
    for day in DAYS:
        runs.publish(runs.table(), day, grace=0)
    size = runs.records()[DAYS[0]].bytes
    read_input(runs.session, runs.store, InputSpec("events", "window", 1), DAYS[0], keep_as="keep_churn_1")
    told: list[Ending] = []
    monkeypatch.setattr(expiring, "note_endings", lambda uri, table, endings: told.extend(endings))
    manifest = tmp_path / "m.yaml"
    manifest.write_text(
        "version: 1\nsources: {shop: {connection: shop, budget: 3}}\n"
        f"store: {{uri: '{runs.store.uri}', namespace: {runs.store.namespace}}}\n"
        f"spark: {{jars: '{ensure_jars('spark')}'}}\n"
        "tables:\n  events: {table: public.events, history: {interval: {column: at}}, source: shop, "
        "schedule: '@daily', start: 2013-06-01}\n"
    )
    command = ["expire", "events", "--before", DAYS[1], "--now", "--by", "officer", "--manifest", str(manifest)]
    assert main(command) == 0
    assert "events: 1 as-of date(s), 2013-06-01, " in capsys.readouterr().out
    assert list(runs.records()) == DAYS, "nothing without --yes"
    assert main([*command, "--yes"]) == 0
    kept = f"freed now, but for {size:,} bytes that trainings keep as their inputs (keep_churn_1)"
    assert f"events: ended 1 as-of date(s); their memory is {kept}" in capsys.readouterr().out
    assert list(runs.records()) == DAYS[1:] and runs.ids() == list(range(10, 30))
    stored = read_stored_table(LocalFiles(), path_in(f"{runs.store.uri}/{runs.store.namespace}"), "events")
    assert stored is not None
    (ending,) = stored.ended_by_hand.endings
    assert (ending.by, ending.first, ending.last) == ("officer", DAYS[0], DAYS[0]) and told == [ending]
    assert runs.data_files() == runs.live_files()
    table = load_existing_table(runs.session, runs.store, "events")
    assert properties_of(table)[RETAINED_FROM] == f"{DAYS[1]}T00:00:00Z", "so that the monitor takes none for lost"
