"""Reads the custom metadata of an ONNX file without loading the network.

An ONNX file is one protobuf message (onnx.proto, `ModelProto`); `metadata_props` is its field 14, each a
message of key (field 1) and value (field 2). The weights are in field 7 and are skipped. So listing models needs
neither the onnx package, which only training installs, nor an inference session, which builds the whole network.
"""

from __future__ import annotations

from collections.abc import Iterator
from pathlib import Path

from ..errors import ModelError

_METADATA_PROPS, _KEY, _VALUE = 14, 1, 2
_VARINT, _FIXED64, _BYTES, _FIXED32 = 0, 1, 2, 5  # wire types


def read_metadata(path: Path) -> dict[str, str]:
    """The key-value pairs stored in the file. Raises ModelError if the file is missing or not ONNX."""
    try:
        data = memoryview(path.read_bytes())
    except OSError as error:
        raise ModelError(f"{path} cannot be read ({error.strerror})") from error
    try:
        entries = [dict(_fields(value)) for number, value in _fields(data) if number == _METADATA_PROPS]
        return {str(entry[_KEY], "utf-8"): str(entry.get(_VALUE, b""), "utf-8") for entry in entries}
    except (ValueError, IndexError, KeyError) as error:
        raise ModelError(f"{path} is damaged or not an ONNX file") from error


def _fields(data: memoryview) -> Iterator[tuple[int, memoryview]]:
    """(field number, content) of every length-delimited field; the others are skipped."""
    position = 0
    while position < len(data):
        tag, position = _varint(data, position)
        number, wire = tag >> 3, tag & 7
        if wire == _BYTES:
            length, position = _varint(data, position)
            if position + length > len(data):
                raise ValueError("a field reaches past the end")
            yield number, data[position : position + length]
            position += length
        elif wire == _VARINT:
            _, position = _varint(data, position)
        elif wire in (_FIXED64, _FIXED32):
            position += 8 if wire == _FIXED64 else 4
        else:
            raise ValueError(f"wire type {wire}")
    if position != len(data):
        raise ValueError("a field reaches past the end")


def _varint(data: memoryview, position: int) -> tuple[int, int]:
    value = shift = 0
    while True:
        byte = data[position]
        position += 1
        value |= (byte & 0x7F) << shift
        if byte < 0x80:
            return value, position
        shift += 7
        if shift > 63:
            raise ValueError("a number is too long")
