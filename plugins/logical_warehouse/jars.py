"""The folder of jars that the manifest names: JDBC drivers, Iceberg and the store's client."""

from __future__ import annotations

from pathlib import Path

from warehouse.failures import PermanentError


def jar_files(folder: str | None) -> list[str]:
    """Paths of the jars, sorted; none where the manifest leaves it to Spark's own installation.

    :raises PermanentError: the folder is not there or holds no jar.
    """
    if folder is None:
        return []
    jars = sorted(str(jar) for jar in Path(folder).glob("*.jar"))
    if not jars:
        raise PermanentError(f"The jars folder {folder} (spark.jars in the manifest) holds no jar; run `make setup`.")
    return jars
