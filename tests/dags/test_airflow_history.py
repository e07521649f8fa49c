"""What Airflow's metadata database says of a snapshot, and what it is told, in its own tables."""

from __future__ import annotations

import dataclasses
from collections.abc import Iterator
from typing import Any

import pendulum
import pytest
from airflow.models.asset import AssetEvent, AssetModel
from logical_warehouse.airflow_history import (
    Ended,
    PublishedEvent,
    _ended,
    _events,
    _publications,
    _published,
    add_endings,
)
from sqlalchemy import create_engine, select
from sqlalchemy.orm import Session
from warehouse.expire_spec import Ending

from tests.unit.records import snapshot_record

URI, TABLE = "alluxio://master:19998/w/snapshots/orders", "orders"
DAY, NEXT = "2013-06-01", "2013-06-02"
OLDER = Ending("2013-06-10T00:00:00Z", "clerk", DAY, DAY)
NEWER = Ending("2013-06-20T00:00:00Z", "officer", DAY, NEXT)


@pytest.fixture
def session() -> Iterator[Session]:
    engine = create_engine("sqlite://")
    for model in (AssetModel, AssetEvent):
        model.__table__.create(engine)
    with Session(engine) as session:
        session.add_all([AssetModel(name=TABLE, uri=URI), AssetModel(name="other", uri=f"{URI}2")])
        session.flush()
        yield session
    engine.dispose()


def publish(session: Session, day: int, as_of: str, **more: Any) -> None:
    at = pendulum.datetime(2013, 6, day)
    record = snapshot_record(TABLE, as_of, f"{as_of}T00:00:00Z", f"{as_of}T23:00:00Z", published_at=f"{at:YYYY-MM-DD}")
    asset_id = session.scalar(select(AssetModel.id).where(AssetModel.name == TABLE))
    session.add(
        AssetEvent(
            asset_id=asset_id, partition_key=as_of, timestamp=at, extra=dataclasses.asdict(record) | more,
            source_dag_id="snapshot_orders", source_run_id=f"run {day}",
        )
    )  # fmt: skip
    session.flush()


def test_what_the_events_of_a_table_say_of_a_date(session: Session) -> None:
    publish(session, 3, NEXT, expired=[DAY])
    publish(session, 2, DAY)
    events = _events(session, URI, TABLE)
    (published,) = _published(events, DAY)
    assert published == PublishedEvent("2013-06-02T00:00:00Z", "snapshot_orders", "run 2", published.record)
    assert published.record is not None and published.record.as_of == DAY
    assert _ended(events, [], TABLE, DAY) == (Ended("2013-06-03T00:00:00Z", "snapshot_orders", "run 3"),)
    assert set(_publications(events).newest) == {DAY, NEXT} and _publications(events).expired == {DAY: "2013-06-03"}


def test_each_ending_by_hand_is_kept_once_beside_them(session: Session) -> None:
    publish(session, 2, DAY)
    add_endings(session, URI, TABLE, [OLDER])
    add_endings(session, URI, TABLE, [OLDER, NEWER])
    events = _events(session, URI, TABLE)
    assert len(events) == 3 and set(_publications(events).by_hand) == {OLDER, NEWER}
    assert len(list(_published(events, DAY))) == 1, "they are no publishing of any date"
    assert _events(session, f"{URI}2", "other") == []


def test_a_table_that_airflow_does_not_know_has_nobody_to_be_told(session: Session) -> None:
    add_endings(session, f"{URI}3", "third", [OLDER])
    assert session.scalars(select(AssetEvent)).all() == []
