"""Avro container files, by hand as the specification writes them."""

from __future__ import annotations

import json
import zlib

import pytest
from logical_warehouse.avro import NotAvro, read_avro

SYNC = bytes(range(16))
SCHEMA = {
    "type": "record",
    "name": "entry",
    "fields": [
        {"name": "status", "type": "int"},
        {"name": "size", "type": ["null", "long"]},
        {"name": "path", "type": "string"},
        {"name": "hash", "type": {"type": "fixed", "name": "id", "size": 2}},
        {"name": "again", "type": ["null", "id"]},
        {"name": "kind", "type": {"type": "enum", "name": "kind", "symbols": ["data", "deletes"]}},
        {"name": "counts", "type": {"type": "map", "values": "long"}},
        {"name": "offsets", "type": {"type": "array", "items": "long"}},
        {"name": "live", "type": "boolean"},
        {"name": "part", "type": {"type": "double", "logicalType": "ratio"}},
    ],
}
# Numbers are zigzag: 1 is 02, -1 is 01, 150 is ac 02. The array comes in a block of two items whose size in bytes is
# given (-2, 2), and one of a single item.
ENTRY = bytes.fromhex(
    "02 02ac02 046162 cafe 02beef 02 02027804 00 03 04 0204 02 01 00 01 000000000000e03f"
)  # fmt: skip
READ = {
    "status": 1, "size": 150, "path": "ab", "hash": b"\xca\xfe", "again": b"\xbe\xef", "kind": "deletes",
    "counts": {"x": 2}, "offsets": [1, 2, -1], "live": True, "part": 0.5,
}  # fmt: skip


def text(value: bytes) -> bytes:
    assert len(value) < 8192
    number = len(value) * 2
    return (bytes([number]) if number < 128 else bytes([number & 0x7F | 0x80, number >> 7])) + value


def container(block: bytes, count: int, codec: str | None) -> bytes:
    header = {b"avro.schema": json.dumps(SCHEMA).encode()} | ({b"avro.codec": codec.encode()} if codec else {})
    pairs = b"".join(text(key) + text(value) for key, value in header.items())
    return b"Obj\x01" + bytes([len(header) * 2]) + pairs + b"\0" + SYNC + bytes([count * 2]) + text(block) + SYNC


@pytest.mark.parametrize("codec", [None, "null", "deflate"])
def test_records_are_read(codec: str | None) -> None:
    block = ENTRY * 3
    if codec == "deflate":
        packer = zlib.compressobj(wbits=-zlib.MAX_WBITS)
        block = packer.compress(block) + packer.flush()
    assert read_avro(container(block, 3, codec)) == [READ] * 3


@pytest.mark.parametrize(
    ("data", "message"),
    [
        (b"PAR1", "does not begin as Avro does"),
        (container(ENTRY, 1, "snappy"), "codec 'snappy' is none of null and deflate"),
        (container(ENTRY[:-3], 1, None), "ends early or is damaged"),
        (container(ENTRY, 1, "deflate"), "ends early or is damaged"),
    ],
)
def test_what_is_none_is_refused(data: bytes, message: str) -> None:
    with pytest.raises(NotAvro, match=message):
        read_avro(data)
