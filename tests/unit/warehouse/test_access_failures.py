"""What a store's refusal means, by its words in Alluxio and in HDFS."""

from __future__ import annotations

import pytest
from warehouse.access_failures import NotAllowed
from warehouse.failures import PermanentError
from warehouse.sql_states import Cause
from warehouse.vendor_errors import store_failure

ALLUXIO = (
    "alluxio.exception.AccessControlException: Permission denied: user=mallory, access={}, "
    "path=/warehouse/snapshots/customers/metadata: failed at customers, inode owner=jobs, inode group=analysts, "
    "inode mode=rwxr-x---"
)
HDFS = 'Permission denied: user=mallory, access={}, inode="/warehouse/snapshots/customers":jobs:analysts:drwxr-x---'


@pytest.mark.parametrize(
    ("text", "table", "said"),
    [
        (
            ALLUXIO.format("--x"),
            "customers",
            "user 'mallory' may not read table customers: it is for group 'analysts'; ask whoever keeps the members of "
            "'analysts'",
        ),
        (
            ALLUXIO.format("-w-"),
            None,
            "user 'mallory' may not write to /warehouse/snapshots/customers/metadata, which its owner may",
        ),
        (
            HDFS.format("EXECUTE"),
            "customers",
            "user 'mallory' may not read table customers: it is for group 'analysts'; ask whoever keeps the members of "
            "'analysts'",
        ),
        (HDFS.format("WRITE"), "customers", "user 'mallory' may not write to table customers, which its owner may"),
    ],
)
def test_who_may_not(text: str, table: str | None, said: str) -> None:
    chain = [
        Cause("java.io.IOException", text, None, 0),
        Cause("io.grpc.StatusRuntimeException", "PERMISSION_DENIED", None, 0),
    ]
    failure = store_failure(chain, "alluxio://host:19998/warehouse", table)
    assert isinstance(failure, NotAllowed) and isinstance(failure, PermanentError)
    assert (failure.user, failure.group) == ("mallory", "analysts")
    assert str(failure) == said
