"""TIFF files made from fields and strips, byte for byte: the kinds that no writer at hand writes."""

from __future__ import annotations

import struct
from typing import Any

from numpy.typing import NDArray

Array = NDArray[Any]
SHORT, LONG, RATIONAL, SRATIONAL, ASCII, LONG8 = 3, 4, 5, 10, 2, 16
CODES = {ASCII: "s", SHORT: "H", LONG: "I", RATIONAL: "II", SRATIONAL: "ii", LONG8: "Q"}
Field = tuple[int, Any]  # type, values: a number, a list of numbers or of fractions, or bytes


def tiff(strip: bytes, fields: dict[int, Field], *, order: str = "<", big: bool = False, sub: Any = None) -> bytes:
    """One picture of one strip. `sub` is {tag: fields} for directories that pointers of the first one name."""
    sub = sub or {}
    start = 16 if big else 8
    fields = {**fields, 0x0111: (LONG8 if big else LONG, start), 0x0117: (LONG, len(strip))}
    body = strip + bytes(len(strip) % 2)
    for tag, inner in sub.items():
        at = start + len(body)
        fields[tag] = (LONG, at)
        body += directory(inner, at, order, big)
    at = start + len(body)
    magic = b"II" if order == "<" else b"MM"
    if big:
        head = magic + struct.pack(order + "HHHQ", 43, 8, 0, at)
    else:
        head = magic + struct.pack(order + "HI", 42, at)
    return head + body + directory(fields, at, order, big)


def directory(fields: dict[int, Field], at: int, order: str, big: bool) -> bytes:
    """The directory as it lies from `at` on, its values behind it."""
    inline, size_each = (8, 20) if big else (4, 12)
    values = at + (8 if big else 2) + size_each * len(fields) + (8 if big else 4)
    table, tail = struct.pack(order + ("Q" if big else "H"), len(fields)), b""
    for tag, (kind, value) in sorted(fields.items()):
        count, data = packed(kind, value, order)
        if len(data) <= inline:
            cell = data.ljust(inline, b"\0")
        else:
            cell = struct.pack(order + ("Q" if big else "I"), values + len(tail))
            tail += data + bytes(len(data) % 2)
        table += struct.pack(order + ("HHQ" if big else "HHI"), tag, kind, count) + cell
    return table + bytes(8 if big else 4) + tail


def packed(kind: int, value: Any, order: str) -> tuple[int, bytes]:
    if isinstance(value, bytes):
        return len(value), value
    values = value if isinstance(value, list) else [value]
    flat = [number for v in values for number in (v if isinstance(v, tuple) else (v,))]
    return len(values), struct.pack(order + CODES[kind] * len(values), *flat)


def picture_fields(height: int, width: int, bits: int, bands: int, photometric: int) -> dict[int, Field]:
    return {
        **{0x0100: (LONG, width), 0x0101: (LONG, height), 0x0102: (SHORT, [bits] * bands), 0x0103: (SHORT, 1)},
        **{0x0106: (SHORT, photometric), 0x0115: (SHORT, bands), 0x0116: (LONG, height), 0x011C: (SHORT, 1)},
    }


def plain(pixels: Array, photometric: int, fields: dict[int, Field] | None = None, **how: Any) -> bytes:
    """H×W×C samples as they are, under this PhotometricInterpretation."""
    height, width, bands = pixels.shape
    bits = pixels.dtype.itemsize * 8
    order = how.get("order", "<")
    strip = pixels.astype(pixels.dtype.newbyteorder(order)).tobytes()
    return tiff(strip, {**picture_fields(height, width, bits, bands, photometric), **(fields or {})}, **how)
