"""What Airflow's metadata database still knows of a snapshot after the store has let it go, and is told for then.

Its queries run where ``airflow`` itself does, as those of ``trainings``.
"""

from __future__ import annotations

import dataclasses
import json
from collections.abc import Iterable, Iterator
from contextlib import suppress
from dataclasses import dataclass, field
from typing import TYPE_CHECKING, Any

from warehouse.expire_spec import ENDED_BY_HAND, Ending
from warehouse.snapshot_record import SnapshotRecord
from warehouse.spec_json import SpecError, from_json
from warehouse.validate_spec import ValidateResult

from logical_warehouse.losses import Published, publications

if TYPE_CHECKING:
    from airflow.models.asset import AssetEvent
    from sqlalchemy.orm import Session


@dataclass(frozen=True)
class PublishedEvent:
    """An asset event of one date. ``at``: ISO 8601 in UTC; ``record``: None where it is of a version unknown here."""

    at: str
    dag_id: str
    run_id: str
    record: SnapshotRecord | None


@dataclass(frozen=True)
class Ended:
    """The run whose retention ended a date, and when."""

    at: str
    dag_id: str
    run_id: str


@dataclass(frozen=True)
class AirflowHistory:
    """``events``: of the date, oldest first. ``ended``: by retention. ``published``: of all dates, as the monitor sees
    it. ``training_results``: run id and what its task returned."""

    events: tuple[PublishedEvent, ...] = ()
    ended: tuple[Ended, ...] = ()
    published: Published = field(default_factory=Published)
    training_results: tuple[tuple[str, Any], ...] = ()


def ask_airflow(uri: str, table: str, as_of: str | None, snapshot_dag: str, training_dags: list[str]) -> AirflowHistory:
    """Ask the metadata database about a table's date, or without one about its trainings only.

    :param uri: of the table's asset.
    """
    from airflow.utils.session import create_session

    with create_session() as session:
        results = tuple(_returned(session, training_dags, "train"))
        if as_of is None:
            return AirflowHistory(training_results=tuple((run_id, value) for _, _, run_id, value in results))
        events = _events(session, uri, table)
        returned = tuple(_returned(session, [snapshot_dag], "validate"))
        return AirflowHistory(
            tuple(_published(events, as_of)),
            _ended(events, returned, table, as_of),
            _publications(events),
            tuple((run_id, value) for _, _, run_id, value in results),
        )


def note_endings(uri: str, table: str, endings: Iterable[Ending]) -> None:
    """Keep what was ended by hand among the events of the table's asset, each ending once.

    The store's own note of it goes with the memory, and the monitor would take the dates for lost.

    :param uri: of the table's asset; of one that Airflow does not know, nobody publishes or monitors anything.
    """
    from airflow.utils.session import create_session

    with create_session() as session:
        add_endings(session, uri, table, endings)


def add_endings(session: Session, uri: str, table: str, endings: Iterable[Ending]) -> None:
    """As :func:`note_endings`, in a transaction of the caller."""
    from airflow.models.asset import AssetEvent, AssetModel
    from sqlalchemy import select

    asset_id = session.scalar(select(AssetModel.id).where(AssetModel.uri == uri, AssetModel.name == table))
    if asset_id is None:
        return
    known = _publications(_events(session, uri, table)).by_hand
    for ending in endings:
        if ending not in known:
            # The bare event: what Airflow calls a change of the asset would start the DAGs that wait for one.
            session.add(AssetEvent(asset_id=asset_id, extra={ENDED_BY_HAND: dataclasses.asdict(ending)}))


def record_of(extra: dict[str, Any], as_of: str) -> SnapshotRecord | None:
    """The record of ``as_of`` in an event's extra: all dates that one task publishes share one."""
    known = {one.name for one in dataclasses.fields(SnapshotRecord)}
    for raw in (extra, *extra.get("again", ())):
        if raw.get("as_of") == as_of:
            with suppress(SpecError):
                return from_json(SnapshotRecord, json.dumps({key: raw[key] for key in raw if key in known}))
    return None


def ended_in(result: Any, table: str, as_of: str) -> bool:
    """Whether a validate task that returned ``result`` ended that date."""
    with suppress(SpecError):
        published = from_json(ValidateResult, result if isinstance(result, str) else json.dumps(result)).published
        return any(one.record.table == table and as_of in one.expired for one in published)
    return False


def once_each(found: Iterable[Ended]) -> tuple[Ended, ...]:
    """The first word of each run, the earliest run first: all dates that one emits carry the same extra."""
    by_run: dict[tuple[str, str], Ended] = {}
    for one in sorted(found, key=lambda one: one.at):
        by_run.setdefault((one.dag_id, one.run_id), one)
    return tuple(by_run.values())


def _events(session: Session, uri: str, table: str) -> list[AssetEvent]:
    """All events of a table's asset, the oldest first."""
    from airflow.models.asset import AssetEvent, AssetModel
    from sqlalchemy import select

    of_asset = select(AssetEvent).join(AssetModel, AssetModel.id == AssetEvent.asset_id)
    of_asset = of_asset.where(AssetModel.uri == uri, AssetModel.name == table)
    return list(session.scalars(of_asset.order_by(AssetEvent.timestamp, AssetEvent.id)))


def _publications(events: list[AssetEvent]) -> Published:
    return publications((event.partition_key, event.extra) for event in reversed(events))


def _published(events: Iterable[AssetEvent], as_of: str) -> Iterator[PublishedEvent]:
    for event in events:
        if event.partition_key == as_of:
            record = record_of(event.extra, as_of)
            yield PublishedEvent(_utc(event.timestamp), event.source_dag_id or "", event.source_run_id or "", record)


def _ended(
    events: Iterable[AssetEvent], returned: Iterable[tuple[str, str, str, Any]], table: str, as_of: str
) -> tuple[Ended, ...]:
    """By what the tasks returned, and by the asset's events, which stay when a run is deleted or a group is renamed."""
    by_result = (Ended(at, by_dag, run_id) for at, by_dag, run_id, value in returned if ended_in(value, table, as_of))
    emitted = (
        Ended(_utc(event.timestamp), event.source_dag_id or "", event.source_run_id or "")
        for event in events
        if as_of in (event.extra.get("expired") or ())
    )
    return once_each([*by_result, *emitted])


def _returned(session: Session, dag_ids: list[str], task_id: str) -> Iterator[tuple[str, str, str, Any]]:
    from airflow.models.xcom import XComModel
    from sqlalchemy import select

    rows = session.execute(
        select(XComModel.timestamp, XComModel.dag_id, XComModel.run_id, XComModel.value)
        .where(XComModel.dag_id.in_(dag_ids), XComModel.task_id == task_id, XComModel.key == "return_value")
        .order_by(XComModel.timestamp)
    )
    for at, dag_id, run_id, value in rows:
        yield _utc(at), dag_id, run_id, value


def _utc(moment: Any) -> str:
    text: str = moment.isoformat(timespec="seconds").replace("+00:00", "Z")
    return text
