"""``python3 -m local_stack.containers.copies <folder>``: which files of the store lack copies. In an Airflow worker.

As many as ``WAREHOUSE_REPLICATION`` says have to be in memory, each on another worker. It ends with 0 when all are.
"""

from __future__ import annotations

import os
import sys
from collections.abc import Iterable, Iterator
from typing import Any

from logical_warehouse.store_health import browse, bytes_of

SHOWN = 20


def lacking_copies(files: Iterable[dict[str, Any]], copies: int) -> list[str]:
    """Paths of those that are not wholly in memory, or on fewer workers than ``copies``.

    :param files: as Alluxio's REST interface describes them. An empty file has no blocks, and no place.
    """
    return [
        file["absolutePath"]
        for file in files
        if bytes_of(file["size"]) and (int(file["inAlluxioPercentage"]) < 100 or len(file["fileLocations"]) < copies)  # noqa: PLR2004 - per cent
    ]


def main(folder: str) -> int:
    """Say what is lacking.

    :raises RetryableError: Alluxio's master does not answer.
    """
    copies = int(os.environ["WAREHOUSE_REPLICATION"])
    files = list(_files(os.environ["WAREHOUSE_STORE_WEB"], folder))
    lacking = lacking_copies(files, copies)
    print(*lacking[:SHOWN], sep="\n", end="\n" if lacking else "")
    what = "1 copy" if copies == 1 else f"{copies} copies"
    print(f"{len(files) - len(lacking)} of {len(files)} files in {folder} have {what}")
    return int(bool(lacking))


def _files(web: str, folder: str) -> Iterator[dict[str, Any]]:
    for entry in browse(web, folder):
        if entry["isDirectory"]:
            yield from _files(web, entry["absolutePath"])
        else:
            yield entry


if __name__ == "__main__":
    sys.exit(main(*sys.argv[1:]))
