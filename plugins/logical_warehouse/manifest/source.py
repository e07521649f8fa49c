"""Section ``sources``: the relational databases that tables come from."""

from __future__ import annotations

from typing import Annotated, Literal

from pydantic import BeforeValidator

from logical_warehouse.intervals import ScheduleError, zone_named
from logical_warehouse.manifest.section import Positive, Section, Text, one_of, refusal

Consistency = Literal["snapshot", "best_effort"]
Reader = Literal["auto", "jdbc"]

HOLDER_CONNECTIONS = 1
"""Connections of a snapshot job beside its splits: the one that holds the shared state of the source open."""


def _time_zone(value: object) -> object:
    if isinstance(value, str):
        try:
            zone_named(value)
        except ScheduleError as error:
            raise refusal(str(error)) from error
    return value


class SourceConfig(Section):
    """A relational database reached over JDBC."""

    connection: Text
    """Id of the Airflow connection; its host is the JDBC URL."""
    budget: Positive = 3
    """Most connections of all snapshots at once, the size of the source's Airflow pool; each `check` has one more."""
    time_zone: Annotated[str, BeforeValidator(_time_zone)] = "UTC"
    """IANA time zone in which the schedules of its tables are meant."""
    consistency: Annotated[Consistency, BeforeValidator(lambda v: one_of(v, ("snapshot", "best_effort")))] = "snapshot"
    """`snapshot`: all is read in one state of the source; `best_effort`: it may not be, and the record says so."""
    reader: Annotated[Reader, BeforeValidator(lambda v: one_of(v, ("auto", "jdbc")))] = "auto"
    """`auto`: PostgreSQL's rows come by COPY where Spark's master is local; `jdbc`: all rows come over JDBC."""
    fetch_size: Positive = 10_000
    """Rows that the JDBC driver fetches at a time."""
    driver: Text | None = None
    """Class of the JDBC driver; needed for engines without a dialect of their own, whose jar lies in `spark.jars`."""


class Source(SourceConfig):
    """A source with its name."""

    name: str
    """Its key in the manifest."""
