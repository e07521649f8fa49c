"""Whether a source's rows come by COPY, the fast way, or over JDBC, which every engine, URL and cluster can do."""

from __future__ import annotations

import re
from importlib.util import find_spec
from typing import TYPE_CHECKING

from warehouse.consistent_read import SourceState, connection_properties
from warehouse.copy_connection import NotTranslatable, connection_uri

if TYPE_CHECKING:
    from pyspark.sql import SparkSession

LOCAL_MASTER = re.compile(r"local(\[[^\]]*\])?")
PACKAGES = ("pyarrow", "adbc_driver_postgresql")


def why_over_jdbc(session: SparkSession, state: SourceState) -> str | None:
    """Why the rows have to come over JDBC, as the end of a line of the log; None where COPY does."""
    source, dialect = state.source, state.dialect
    if not dialect.sends_columns:
        return f"{dialect.name} has no other way"
    if source.reader == "jdbc":
        return "the manifest's reader"
    if not LOCAL_MASTER.fullmatch(str(session.sparkContext.master)):
        return "Spark's executors read"
    if missing := [package for package in PACKAGES if find_spec(package) is None]:
        return f"the driver's Python lacks {' and '.join(missing)}"
    try:
        connection_uri(source.url, connection_properties(source, dialect, state.keys.values()))
    except NotTranslatable as error:
        return str(error)
    return None
