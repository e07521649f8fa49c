"""No password anywhere that people or programs look, after everything before this file has run.

Chosen alone, after a backfill with its trainings.
"""

from __future__ import annotations

from pathlib import Path

import pytest
from warehouse.masks import MaskKey

from local_stack import nycflights
from local_stack.airflow_api import AirflowApi
from local_stack.stack import Stack
from tests.e2e.conftest import MASK_KEY, WRONG_PASSWORD
from tests.e2e.runs import all_ended
from tests.support.leaks import ArgumentWatch

pytestmark = pytest.mark.usefixtures("backfilled")


@pytest.fixture
def secrets(stack: Stack) -> list[bytes]:
    key = MaskKey("mask_key", MASK_KEY)
    return [
        nycflights.reader_password(stack.source).encode(),
        WRONG_PASSWORD.encode(),
        b"unreachable-secret",
        # A key of masks, and what the source makes of it.
        *(text.encode() for text in (key.secret, key.inner.hex(), key.outer.hex())),
    ]


def holders(files: list[Path], secrets: list[bytes]) -> list[str]:
    return [str(file) for file in files if any(secret in file.read_bytes() for secret in secrets)]


def test_no_process_had_one_in_its_arguments(argument_watch: ArgumentWatch) -> None:
    assert argument_watch.saw("org.apache.spark.deploy.SparkSubmit")
    assert argument_watch.search.leaks == ()


def test_no_task_log_has_one(stack: Stack, secrets: list[bytes]) -> None:
    logs = [file for file in (stack.airflow.home / "logs").rglob("*") if file.is_file()]
    assert any("snapshot_flights" in str(file) for file in logs)
    assert holders(logs, secrets) == []


def test_no_service_log_has_one(stack: Stack, secrets: list[bytes]) -> None:
    logs = sorted((stack.state / "run").glob("*.log"))
    assert logs
    assert holders(logs, secrets) == []


def test_airflows_database_has_none_in_clear(stack: Stack, secrets: list[bytes]) -> None:
    """Rendered fields, XComs, audit log, variables and all else; a connection's password is encrypted."""
    with stack.metadata.connect("airflow") as connection, connection.cursor() as cursor:
        cursor.execute("SELECT table_name FROM information_schema.tables WHERE table_schema = 'public'")
        tables = [row[0] for row in cursor.fetchall()]
        assert {"rendered_task_instance_fields", "xcom", "log", "connection"} <= set(tables)
        holding = []
        for table in tables:
            for secret in secrets:
                cursor.execute(f'SELECT count(*) FROM "{table}" t WHERE t::text LIKE %s', (f"%{secret.decode()}%",))
                if cursor.fetchone()[0]:
                    holding.append(table)
        cursor.execute("SELECT count(*) FROM xcom t WHERE t::text LIKE '%jdbc:postgresql%'")
        assert cursor.fetchone()[0] > 0  # the search does find what is there
    assert holding == []


def test_nothing_in_the_store_has_one(stack: Stack, secrets: list[bytes]) -> None:
    """Blocks on the worker's memory tier: data files, Iceberg metadata and the jobs' answers."""
    blocks = [file for file in stack.alluxio.folder.rglob("*") if file.is_file()]
    assert any(b"warehouse.snapshot.2013-06-01" in file.read_bytes() for file in blocks)
    assert holders(blocks, secrets) == []


def test_no_scratch_is_left(api: AirflowApi) -> None:
    all_ended(api)  # the scratch of one that still runs is in use
    assert list(Path("/dev/shm").glob("warehouse-scratch-*")) == []
