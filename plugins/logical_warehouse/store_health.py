"""Is the store able to take a snapshot? Asked over Alluxio's REST, in milliseconds, before Spark starts.

On this side the only module that knows Alluxio, beside ``store_files``; another store is not asked.
Sources: ``GET <master web>/api/v1/master/info`` and ``…/webui_browse`` of Alluxio 2.9.
"""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import dataclass
from typing import Any
from urllib.parse import urlsplit

import requests
from warehouse.disk_failures import RowsCouldReachDisk
from warehouse.failures import PermanentError, RetryableError
from warehouse.host_memory import Kernel

from logical_warehouse.memory_settings import alluxio_findings, is_this_host
from logical_warehouse.store_address import hosts_of

TIMEOUT_SECONDS = (3, 10)
_LEADERS: dict[str, str] = {}
"""URLs of all masters → the one that answered last: of several masters only the leader does."""


@dataclass(frozen=True)
class StoreHealth:
    """Memory of the store in bytes, its live workers, and those that it has not heard of for a while.

    ``lost_workers``: for half an hour (Alluxio's `alluxio.master.lost.worker.deletion.timeout`), then it forgets them;
    one that has not registered since the master started is not among them either. ``up_seconds``: since that start.
    """

    capacity: int
    free: int
    workers: int
    lost_workers: int
    up_seconds: float


def ask_alluxio(uri: str, web: str, *, memory_only: bool = True, replication: int = 1) -> StoreHealth:
    """Ask the master at ``web`` whether ``uri`` can be written to memory.

    :param web: URL of the master's web server, or those of several masters with commas in between.
    :param replication: copies of each file, which have to be on different hosts.
    :raises RetryableError: the master does not answer, or has no live worker, or too few of them.
    :raises RowsCouldReachDisk: the store is memory-only, and the cluster is set up so that data would reach a disk.
    :raises PermanentError: the directory is not pinned.
    """
    info = _get(web, "info", {})
    if memory_only:
        here = all(is_this_host(host) for host in (*hosts_of(uri), *_worker_hosts(info)))
        if findings := tuple(alluxio_findings(uri, info, Kernel() if here else None)):
            raise RowsCouldReachDisk(findings)
    workers = len(info.get("workers") or ())
    if not workers:
        raise RetryableError(f"Alluxio at {web} has no live worker, so there is no memory to write to; start one.")
    hosts = set(_worker_hosts(info))
    if len(hosts) < replication:
        raise RetryableError(
            f"Alluxio at {web} has live workers on {len(hosts)} host(s) ({', '.join(sorted(hosts))}), and "
            f"store.replication asks for {replication} copies, each on another; start more workers."
        )
    health = StoreHealth(
        capacity=bytes_of(info["capacity"]["total"]),
        free=bytes_of(info["capacity"]["total"]) - bytes_of(info["capacity"]["used"]),
        workers=workers,
        lost_workers=len(info.get("lostWorkers") or ()),
        up_seconds=info["uptimeMs"] / 1000,
    )
    _ensure_pinned(uri, web)
    return health


def browse(web: str, path: str) -> Iterator[dict[str, Any]]:
    """Entries of a folder, with ``name``, ``isDirectory``, ``pinned``, ``size`` (see :func:`bytes_of`) and more.

    :raises RetryableError: the master does not answer.
    """
    offset, page = 0, 200
    while True:
        listing = _get(web, "webui_browse", {"path": path, "offset": str(offset), "limit": str(page)})
        yield from listing.get("fileInfos") or []
        offset += page
        if offset >= int(listing.get("ntotalFile") or 0):
            return


def _ensure_pinned(uri: str, web: str) -> None:
    """A warehouse directory with tables in it must be pinned. The snapshot job creates and pins a missing one before it
    writes below: it is just about to do so with one that is empty, or has only this package's own files."""
    path = "/" + urlsplit(uri).path.strip("/")
    parent, _, name = path.rpartition("/")
    for entry in browse(web, parent or "/"):
        if entry["name"] != name or entry["pinned"]:
            continue
        if any(not below["name"].startswith("_") for below in browse(web, path)):
            raise PermanentError(
                f"{uri} is not pinned in Alluxio, so its data could be evicted and lost; "
                f"run `alluxio fs pin {path}` and capture the snapshots again."
            )


def _worker_hosts(info: dict[str, Any]) -> Iterator[str]:
    for worker in info.get("workers") or ():
        yield worker["address"]["host"]


def _get(web: str, what: str, query: dict[str, str]) -> dict[str, Any]:
    errors = []
    for url in sorted(web.split(","), key=lambda url: url != _LEADERS.get(web)):
        try:
            response = requests.get(
                f"{url.strip().rstrip('/')}/api/v1/master/{what}", params=query, timeout=TIMEOUT_SECONDS
            )
            response.raise_for_status()
            answer: dict[str, Any] = response.json()
        except (requests.RequestException, ValueError) as error:
            errors.append(error)
        else:
            _LEADERS[web] = url
            return answer
    kinds = ", ".join(sorted({type(error).__name__ for error in errors}))
    raise RetryableError(f"Alluxio does not answer at {web} ({kinds}); start its master.") from errors[-1]


def bytes_of(text: str | int) -> int:
    """Alluxio reports sizes as numbers or as ``1024MB``."""
    units = {"B": 1, "KB": 2**10, "MB": 2**20, "GB": 2**30, "TB": 2**40}
    if isinstance(text, int):
        return text
    for unit in ("KB", "MB", "GB", "TB", "B"):
        if text.endswith(unit):
            return int(float(text.removesuffix(unit)) * units[unit])
    return int(text)
