"""Iceberg's metadata files, as a catalog of folders (``HadoopCatalog``) names them."""

from __future__ import annotations

import re
from collections.abc import Iterable

_METADATA = re.compile(r"/metadata/v(\d+)\.metadata\.json$")


def newest_metadata(paths: Iterable[str]) -> str | None:
    """The path, of all that are listed of a table, of its current metadata; None where there are none."""
    versions = {int(found[1]): path for path in paths if (found := _METADATA.search(path))}
    return versions[max(versions)] if versions else None
