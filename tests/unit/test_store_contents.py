"""What the store holds of a table, by what it says of each file."""

from __future__ import annotations

import io
import json

import fastavro
import pytest
from logical_warehouse.losses import Held
from logical_warehouse.store_contents import NotAvro, held_in, read_avro
from logical_warehouse.store_files import LocalFiles
from warehouse.spec_json import to_json

from tests.unit.records import snapshot_record

RECORD = snapshot_record("orders", "2013-06-01", "2013-06-01T00:00:00Z", "2013-06-02T00:00:00Z")
FOLDER = "/store/snapshots/orders/metadata"


class Files(LocalFiles):
    """Metadata of two versions, of which ``lost`` are listed and not in memory."""

    def __init__(self, *lost: str) -> None:
        self.lost = lost

    def in_memory(self, path: str) -> dict[str, bool]:
        assert path == "/store/snapshots/orders"
        return {f"{FOLDER}/v{n}.metadata.json": f"v{n}" not in self.lost for n in (9, 10)}

    def read(self, path: str) -> bytes:
        assert path == f"{FOLDER}/v10.metadata.json", "what is lost, or old, is not read"
        return json.dumps({"properties": {RECORD.property_name: to_json(RECORD)}}).encode()


class NoFiles(Files):
    def in_memory(self, path: str) -> dict[str, bool]:
        return {}


@pytest.mark.parametrize(
    ("files", "held"),
    [
        (Files(), Held({RECORD.as_of: RECORD.start})),
        (Files("v10"), Held(unreadable=True)),
        (NoFiles(), Held()),
    ],
)
def test_the_newest_metadata_say_what_is_held(files: Files, held: Held) -> None:
    assert held_in(files, "/store/snapshots", "orders") == held


def test_a_date_whose_files_are_not_known_any_more_is_broken() -> None:
    assert held_in(Files("v9"), "/store/snapshots", "orders").broken == {RECORD.as_of: RECORD.start}


def test_what_is_no_manifest_is_refused() -> None:
    written = io.BytesIO()
    schema = {"type": "record", "name": "entry", "fields": [{"name": "path", "type": "string"}]}
    fastavro.writer(written, schema, [{"path": "a"}], codec="deflate")
    assert read_avro(written.getvalue()) == [{"path": "a"}]
    for damaged in (b"PAR1", b"", written.getvalue()[:-20]):
        with pytest.raises(NotAvro, match="no Avro, or damaged"):
            read_avro(damaged)
