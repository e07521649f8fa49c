"""Names of Iceberg's own, and of its metadata files in a catalog of folders (``HadoopCatalog``)."""

from __future__ import annotations

import re
from collections.abc import Iterable

MAIN = "main"
"""Name of the branch that a table shows by default."""

_METADATA = re.compile(r"/metadata/v(\d+)\.metadata\.json$")


def newest_metadata(paths: Iterable[str]) -> str | None:
    """The path, of all that are listed of a table, of its current metadata; None where there are none."""
    versions = {int(found[1]): path for path in paths if (found := _METADATA.search(path))}
    return versions[max(versions)] if versions else None
