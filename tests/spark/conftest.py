"""A Spark session, a PostgreSQL server and the stores for the tests of the Spark side, each started once."""

from __future__ import annotations

import itertools
import os
import shutil
import sys
from collections.abc import Iterator
from dataclasses import replace
from pathlib import Path

import pytest
from pyspark.sql import SparkSession
from warehouse.source_spec import PASSWORD_VARIABLE
from warehouse.spark_conf import spark_conf
from warehouse.store_spec import StoreSpec

from local_stack.alluxio import Alluxio
from local_stack.errors import StackError
from local_stack.jars import ensure_jars
from local_stack.mariadb import MariadbServer, ensure_programs
from local_stack.ports import Ports, free_port
from local_stack.postgres import PostgresServer
from local_stack.preflight import swap_devices
from tests.spark.databases import Database, MariadbDatabase, PostgresDatabase
from tests.spark.runs import Runs, add_catalog
from tests.spark.submits import packaged_library
from tests.support.alluxio_users import program_folder

ALLUXIO_MEMORY = 512 << 20
REQUIRE_MARIADB = "WAREHOUSE_REQUIRE_MARIADB" in os.environ
"""Whether a machine without MariaDB's server fails its tests instead of skipping them."""
MEMORY_ONLY = not swap_devices()
"""Whether this machine can keep rows off its disks; the tests of exactly that are skipped where it cannot."""
NAMESPACES = itertools.count(1)
SCRATCHES = itertools.count(1)


@pytest.fixture(scope="session")
def scratch() -> Iterator[Path]:
    """A folder in memory that other accounts may enter: PostgreSQL does not run as root."""
    folder = Path("/dev/shm") / f"warehouse-tests-{os.getpid()}"
    folder.mkdir(mode=0o755)
    yield folder
    shutil.rmtree(folder)


@pytest.fixture
def job_scratch(scratch: Path) -> Path:
    """A folder in memory for the scratch of a job of its own."""
    folder = scratch / f"job{next(SCRATCHES)}"
    folder.mkdir()
    return folder


@pytest.fixture
def library(tmp_path: Path) -> Path:
    """The library as ``--py-files`` ships it."""
    return packaged_library(tmp_path)


@pytest.fixture(scope="session")
def ports() -> Ports:
    return Ports.free()


@pytest.fixture(scope="session")
def alluxio(scratch: Path, ports: Ports, tmp_path_factory: pytest.TempPathFactory) -> Iterator[Alluxio]:
    # Not in the scratch: a hardened /dev/shm is noexec.
    programs = program_folder(tmp_path_factory.mktemp("programs") / "bin")
    servers = Alluxio(scratch / "alluxio", ports, ALLUXIO_MEMORY, programs=programs)
    try:
        servers.start()
        yield servers
    finally:
        servers.stop()


@pytest.fixture(scope="session")
def stores(scratch: Path, ports: Ports) -> dict[str, StoreSpec]:
    return {
        "tmpfs": StoreSpec(f"file://{scratch}/store", catalog="tmpfs", memory_only=MEMORY_ONLY),
        "alluxio": StoreSpec(Alluxio(scratch / "alluxio", ports).uri, catalog="alluxio", memory_only=MEMORY_ONLY),
    }


@pytest.fixture(scope="session")
def session(scratch: Path, stores: dict[str, StoreSpec]) -> Iterator[SparkSession]:
    """One local session with a catalog for every store, configured as spark-submit would."""
    spark_scratch = scratch / "spark"
    spark_scratch.mkdir()
    conf: dict[str, str] = {}
    for store in stores.values():
        conf |= spark_conf(store, scratch_dir=str(spark_scratch))
    arguments = ["--master", "local[2]", "--driver-memory", "1g", "--driver-class-path", f"{ensure_jars('spark')}/*"]
    for name, value in conf.items():
        arguments += ["--conf", f"'{name}={value}'"]
    with pytest.MonkeyPatch.context() as patch:
        patch.setenv("PYSPARK_SUBMIT_ARGS", " ".join([*arguments, "pyspark-shell"]))
        patch.setenv("PYSPARK_PYTHON", sys.executable)
        patch.delenv("SPARK_HOME", raising=False)
        started = SparkSession.builder.appName("tests").getOrCreate()
        # Threads of a test find only catalogs that are loaded: Spark looks settings up in the thread that started it.
        for catalog in (*(store.catalog for store in stores.values()), "spark_catalog"):
            started.catalog.setCurrentCatalog(catalog)
        yield started
        started.stop()


@pytest.fixture(params=["alluxio", pytest.param("tmpfs", marks=pytest.mark.long)])
def store(request: pytest.FixtureRequest, stores: dict[str, StoreSpec]) -> StoreSpec:
    """One behaviour suite over both kinds of store, the plain folder in `make test-long`; each test has a namespace."""
    if request.param == "alluxio":
        request.getfixturevalue("alluxio")
    return replace(stores[request.param], namespace=f"test{next(NAMESPACES)}")


@pytest.fixture
def tmpfs_store(stores: dict[str, StoreSpec]) -> StoreSpec:
    """For what has nothing to do with the kind of store."""
    return replace(stores["tmpfs"], namespace=f"test{next(NAMESPACES)}")


@pytest.fixture(scope="session")
def server(scratch: Path, ports: Ports) -> Iterator[PostgresServer]:
    running = PostgresServer("source", scratch / "postgres", ports.source)
    try:
        running.start()
        yield running
    finally:
        running.stop()


@pytest.fixture(scope="session")
def mariadb_server(scratch: Path) -> Iterator[MariadbServer]:
    try:
        ensure_programs()
    except StackError as error:
        if REQUIRE_MARIADB:
            raise
        pytest.skip(f"no MariaDB: {error}")
    running = MariadbServer("source", scratch / "mariadb", free_port())
    try:
        running.start()
        yield running
    finally:
        running.stop()


@pytest.fixture
def database(server: PostgresServer, monkeypatch: pytest.MonkeyPatch, clean_environment: None) -> PostgresDatabase:
    """The server with an empty schema ``public``, and its password where a job looks for it."""
    monkeypatch.setenv(PASSWORD_VARIABLE, server.password)
    database = PostgresDatabase(server)
    database.run("DROP SCHEMA IF EXISTS public CASCADE; CREATE SCHEMA public")
    return database


@pytest.fixture
def mariadb(
    mariadb_server: MariadbServer, session: SparkSession, monkeypatch: pytest.MonkeyPatch, clean_environment: None
) -> MariadbDatabase:
    """MariaDB with an empty database, and its password where a job looks for it."""
    monkeypatch.setenv(PASSWORD_VARIABLE, mariadb_server.password)
    database = MariadbDatabase(mariadb_server, session)
    database.recreate()
    return database


@pytest.fixture(params=["postgresql", "mariadb"])
def engine(request: pytest.FixtureRequest) -> Database:
    """One behaviour suite over both engines."""
    found: Database = request.getfixturevalue({"postgresql": "database", "mariadb": "mariadb"}[request.param])
    return found


@pytest.fixture
def engine_runs(session: SparkSession, tmpfs_store: StoreSpec, engine: Database) -> Runs:
    return Runs(session, tmpfs_store, engine)


@pytest.fixture
def runs(session: SparkSession, store: StoreSpec, database: PostgresDatabase) -> Runs:
    return Runs(session, store, database)


@pytest.fixture
def tmpfs_runs(session: SparkSession, tmpfs_store: StoreSpec, database: PostgresDatabase) -> Runs:
    return Runs(session, tmpfs_store, database)


@pytest.fixture(scope="session")
def losing(scratch: Path) -> Iterator[Alluxio]:
    """An Alluxio of its own, which loses what its tests take from it."""
    servers = Alluxio(scratch / "losing", Ports.free(), ALLUXIO_MEMORY)
    try:
        servers.start()
        yield servers
    finally:
        servers.stop()


@pytest.fixture
def losing_runs(losing: Alluxio, session: SparkSession, database: PostgresDatabase) -> Runs:
    store = StoreSpec(losing.uri, catalog="losing", namespace=f"test{next(NAMESPACES)}", memory_only=MEMORY_ONLY)
    add_catalog(session, store)
    return Runs(session, store, database)
