"""Reading Avro container files, in which Iceberg lists a snapshot's files; enough of Avro 1.12 for those.

The specification is short and a library would be one more to install on every Airflow worker. Codecs: null, deflate
(Iceberg's default).
"""

from __future__ import annotations

import io
import json
import struct
import zlib
from collections.abc import Iterator
from typing import Any

MAGIC = b"Obj\x01"
_SYNC_BYTES = 16


class NotAvro(ValueError):
    """The bytes are no Avro container file, or of a kind that Iceberg does not write by default."""


def read_avro(data: bytes) -> list[dict[str, Any]]:
    """The records of a container file.

    :raises NotAvro: it is none, or cannot be read to its end.
    """
    try:
        return _read_container(io.BytesIO(data))
    except (IndexError, KeyError, struct.error, UnicodeDecodeError, zlib.error) as error:
        raise NotAvro(f"the file ends early or is damaged ({type(error).__name__})") from error


def _read_container(stream: io.BytesIO) -> list[dict[str, Any]]:
    if stream.read(len(MAGIC)) != MAGIC:
        raise NotAvro("the file does not begin as Avro does")
    names: dict[str, Any] = {}
    header = _read({"type": "map", "values": "bytes"}, stream, names)
    schema = json.loads(header["avro.schema"])
    codec = header.get("avro.codec", b"null").decode()
    if codec not in ("null", "deflate"):
        raise NotAvro(f"the codec {codec!r} is none of null and deflate")
    stream.read(_SYNC_BYTES)
    records = []
    while stream.tell() < len(stream.getbuffer()):
        count, size = _long(stream), _long(stream)
        block = _exactly(stream, size)
        block = zlib.decompress(block, wbits=-zlib.MAX_WBITS) if codec == "deflate" else block
        inner = io.BytesIO(block)
        records += [_read(schema, inner, names) for _ in range(count)]
        stream.read(_SYNC_BYTES)
    return records


def _read(schema: Any, stream: io.BytesIO, names: dict[str, Any]) -> Any:  # noqa: PLR0911  # one for each kind of type
    if isinstance(schema, list):
        return _read(schema[_long(stream)], stream, names)
    if not isinstance(schema, dict):
        read = _PRIMITIVES.get(schema)
        return read(stream) if read else _read(names[schema], stream, names)
    if "name" in schema:
        names[schema["name"]] = schema  # by which it may be meant later
    match schema["type"]:
        case "record":
            return {field["name"]: _read(field["type"], stream, names) for field in schema["fields"]}
        case "array":
            return [_read(schema["items"], stream, names) for _ in _blocks(stream)]
        case "map":
            return {_text(stream): _read(schema["values"], stream, names) for _ in _blocks(stream)}
        case "fixed":
            return _exactly(stream, schema["size"])
        case "enum":
            return schema["symbols"][_long(stream)]
        case inner:
            return _read(inner, stream, names)


def _blocks(stream: io.BytesIO) -> Iterator[int]:
    """Once for each item of an array or map, which come in counted blocks."""
    while count := _long(stream):
        if count < 0:  # then the block's size in bytes stands before it
            count = -count
            _long(stream)
        yield from range(count)


def _exactly(stream: io.BytesIO, size: int) -> bytes:
    data = stream.read(size)
    if len(data) != size:
        raise IndexError(size)
    return data


def _long(stream: io.BytesIO) -> int:
    """A zigzag number of variable length."""
    number = shift = 0
    while True:
        byte = stream.read(1)[0]
        number |= (byte & 0x7F) << shift
        if not byte & 0x80:
            return (number >> 1) ^ -(number & 1)
        shift += 7


def _bytes(stream: io.BytesIO) -> bytes:
    return _exactly(stream, _long(stream))


def _text(stream: io.BytesIO) -> str:
    return _bytes(stream).decode()


_PRIMITIVES = {
    "null": lambda stream: None,
    "boolean": lambda stream: _exactly(stream, 1) == b"\x01",
    "int": _long,
    "long": _long,
    "float": lambda stream: struct.unpack("<f", _exactly(stream, 4))[0],
    "double": lambda stream: struct.unpack("<d", _exactly(stream, 8))[0],
    "bytes": _bytes,
    "string": _text,
}
