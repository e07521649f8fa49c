"""What Alluxio's own words mean; as 2.9 writes them."""

from __future__ import annotations

import pytest
from warehouse.failures import JobError
from warehouse.spark_conf import spark_conf
from warehouse.sql_states import Cause
from warehouse.store_failures import FileIncomplete, StoreDataLost, StoreFull, StoreUnreachable, TooFewWorkers
from warehouse.store_spec import StoreSpec
from warehouse.vendor_errors import store_failure

URI = "alluxio://host:19998/warehouse"
STATUS = "alluxio.exception.status"


@pytest.mark.parametrize(
    ("class_name", "message", "failure"),
    [
        ("UnavailableException", "Block 184,549,376 is unavailable in both Alluxio and UFS.", StoreDataLost),
        ("UnavailableException", "Failed to connect to remote server", StoreUnreachable),
        (
            "alluxio.exception.status.UnimplementedException",
            "Method not found: alluxio.grpc.file.FileSystemMasterClientService/GetStatus",
            StoreUnreachable,
        ),
        (
            "ResourceExhaustedException",
            "Not enough workers for replications, 1 workers selected but 2 required",
            TooFewWorkers,
        ),
        (
            "FileIncompleteException",
            "Cannot read from /warehouse/_lost/a.json because it is incomplete. Wait for the file to be marked as "
            "complete by the writing thread or application.",
            FileIncomplete,
        ),
        ("ResourceExhaustedException", "Not enough space left on worker 127.0.0.1 to store blockId 1", StoreFull),
    ],
)
def test_what_the_store_says(class_name: str, message: str, failure: type[JobError]) -> None:
    chain = [
        Cause("java.io.IOException", "Failed to cache", None, 0),
        Cause(f"{STATUS}.{class_name}", message, None, 0),
    ]
    assert isinstance(store_failure(chain, URI, "orders"), failure)


def test_copies_are_a_setting_of_every_client() -> None:
    name = "alluxio.user.file.replication.min"
    conf = spark_conf(StoreSpec(URI, replication=2), scratch_dir="/dev/shm")
    assert conf[f"spark.hadoop.{name}"] == "2"
    assert all(f"-D{name}=2" in conf[f"spark.{process}.extraJavaOptions"] for process in ("driver", "executor"))
    assert not any(name in value for value in spark_conf(StoreSpec(URI), scratch_dir="/dev/shm").values())
