"""Section ``spark``: how the Spark applications are submitted."""

from __future__ import annotations

from typing import Annotated

from pydantic import BeforeValidator, Field

from logical_warehouse.manifest.section import Scalar, Section, Text

ScalarMap = dict[str, Scalar]


class Spark(Section):
    """What all spark-submits share."""

    connection: Text = "spark_default"
    """Id of the Airflow connection of the Spark master."""
    jars: str | None = None
    """Folder with the JDBC drivers, Iceberg and Alluxio client; unset where Spark has them already."""
    class_data_archive: Annotated[str | None, BeforeValidator(lambda value: value or None)] = None
    """AppCDS archive that halves the start of small jobs; empty for none."""
    conf: ScalarMap = Field(default_factory=dict)
    """Spark configuration of every application."""
