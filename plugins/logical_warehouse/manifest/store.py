"""Section ``store``: where snapshots live."""

from __future__ import annotations

import datetime
import re
from typing import Annotated, Any
from urllib.parse import urlsplit

from pydantic import AfterValidator, BeforeValidator, Field, ValidationInfo, model_validator

from logical_warehouse.manifest.section import Duration, Positive, Section, refusal
from logical_warehouse.store_address import hosts_of

SCHEMES = ("alluxio", "file", "hdfs", "s3a")
ON_DISK = ("hdfs", "s3a")
MASTER_WEB_PORT = 19999
PROXY_PORT = 39999
_IDENTIFIER = r"^[A-Za-z_][A-Za-z0-9_]{0,62}$"


def _uri(value: object) -> object:
    if isinstance(value, str) and not re.match(rf"(?:{'|'.join(SCHEMES)})://.", value):
        raise refusal(f"{value!r} is not the URI of a store", allowed=[f"{scheme}://…" for scheme in SCHEMES])
    return value.rstrip("/") if isinstance(value, str) else value


def _in_memory(value: bool, info: ValidationInfo) -> bool:
    scheme = urlsplit(info.data.get("uri", "")).scheme
    if value and scheme in ON_DISK:
        raise refusal(
            f"a store on {scheme}:// keeps its files on disks, which memory_only refuses",
            allowed=["false"],
            hint="write memory_only: false if rows may be stored there",
        )
    return value


def _replicated(value: int, info: ValidationInfo) -> int:
    uri = info.data.get("uri", "")
    if value > 1 and uri and urlsplit(uri).scheme != "alluxio":
        raise refusal(
            f"{value} copies are kept by Alluxio only, and the store is {uri}",
            allowed=["1"],
            hint="leave it out: another kind of store has its own setting of copies",
        )
    return value


class Store(Section):
    """The Iceberg catalog in which snapshots live."""

    uri: Annotated[
        str,
        BeforeValidator(_uri),
        Field(
            json_schema_extra={
                "pattern": rf"^({'|'.join(SCHEMES)})://.",
                "examples": ["alluxio://host:19998/path", "alluxio://a:19998,b:19998,c:19998/path"],
            }
        ),
    ]
    """Folder of the catalog: `alluxio://…`, or `file://…`, `hdfs://…`, `s3a://…` where a site has those."""
    catalog: Annotated[str, Field(pattern=_IDENTIFIER)] = "warehouse"
    """Name of the catalog in Spark SQL."""
    namespace: Annotated[str, Field(pattern=_IDENTIFIER)] = "snapshots"
    """Namespace of the tables in the catalog: `<catalog>.<namespace>.<table>`."""
    web: str | None = None
    """URL of Alluxio's master REST API; by default `http://<host of uri>:19999`. Of several masters
    (`uri: alluxio://a:19998,b:19998,c:19998/path`) all, with commas: the leader answers. Unused for other stores."""
    s3: str | None = None
    """URL of the Alluxio proxy's S3 API; by default `http://<host of uri>:39999/api/v1/s3`. Unused for others."""
    memory_only: Annotated[bool, AfterValidator(_in_memory), Field(validate_default=True)] = True
    """Refuse to start where a row could reach a disk, and to publish what is not in memory only; `false` is needed for
    `hdfs://` and `s3a://`. [memory-only.md](memory-only.md) has what is asked."""
    replication: Annotated[Positive, AfterValidator(_replicated)] = 1
    """Copies of every file, each in the memory of another of Alluxio's workers: a snapshot is published only when they
    exist. [loss-and-repair.md](loss-and-repair.md#copies) says what the cluster needs for it."""
    reader_grace: Duration = datetime.timedelta(hours=1)
    """How long the files of a replaced or expired snapshot stay for readers in flight."""

    @model_validator(mode="before")
    @classmethod
    def _addresses(cls, data: Any) -> Any:
        if not isinstance(data, dict) or not isinstance(data.get("uri"), str):
            return data
        uri = urlsplit(data["uri"])
        if uri.scheme != "alluxio":
            return {**data, "web": None, "s3": None}
        hosts = [f"[{host}]" if ":" in host else host for host in hosts_of(data["uri"])]
        defaults = {
            "web": ",".join(f"http://{host}:{MASTER_WEB_PORT}" for host in hosts),
            "s3": f"http://{hosts[0]}:{PROXY_PORT}/api/v1/s3",
        }
        # A key without a value asks for nothing else: without its addresses the store could not be looked into.
        return {**data, **{key: data.get(key) or value for key, value in defaults.items()}}

    @property
    def is_alluxio(self) -> bool:
        """Whether the store is Alluxio, which is asked for its memory and pins its files."""
        return self.uri.startswith("alluxio://")
