"""Photoshop's image resources ("8BIM"), in a JPEG's segments, a TIFF's field or a PNG's raw profile.

Layout: Adobe Photoshop File Formats, "Image Resource Blocks". IPTC captions are one of them and travel on their own.
"""

from __future__ import annotations

import struct
from collections.abc import Iterable, Iterator

HEADER = b"Photoshop 3.0\0"
SEGMENT_MAX = 65000  # of resources in one JPEG segment; longer ones go on in the next

IPTC = 0x0404
RESOLUTION = 0x03ED
# What the picture shows has changed, or what other parts of the file say already and say better.
STALE = {0x0409, 0x040C}  # thumbnails
COPIES = {0x040F, 0x0422, 0x0423, 0x0424}  # of the profile, of EXIF and of XMP
PATHS = {*range(2000, 2999)}  # in fractions of the picture as it was stored, not turned


def of_jpeg(segments: Iterable[tuple[int, bytes]]) -> bytes:
    """The resources of all Photoshop segments, (marker, payload), as one."""
    parts = [p[len(HEADER) :] for marker, p in segments if marker == 0xED and p.startswith(HEADER)]
    return b"".join(parts)


def resources(block: bytes) -> Iterator[tuple[int, bytes, bytes]]:
    """(number, the resource whole, its data), as far as they are intact."""
    at = len(HEADER) if block.startswith(HEADER) else 0
    while at + 12 <= len(block) and block[at : at + 4] in (b"8BIM", b"MeSa", b"PHUT", b"AgHg", b"DCSR"):
        (kind,) = struct.unpack_from(">H", block, at + 4)
        start = at + 6 + (block[at + 6] + 2) // 2 * 2  # the name, its length byte included, is padded to even
        if start + 4 > len(block):
            return
        (size,) = struct.unpack_from(">I", block, start)
        if start + 4 + size > len(block):
            return
        data = block[start + 4 : start + 4 + size]
        yield kind, block[at : start + 4] + data + bytes(size % 2), data
        at = start + 4 + size + size % 2


def sorted_out(block: bytes, turned: bool) -> tuple[bytes | None, bytes | None, tuple[str, ...]]:
    """(the resources that still hold, IPTC-IIM records, notes) for a restored picture, `turned` upright or not."""
    kept, iptc, notes = b"", None, []
    for kind, whole, data in resources(block):
        if kind == IPTC:
            iptc = data
        elif kind in PATHS and turned:
            notes.append("the clipping paths of the picture as it lay before it was turned were left out")
        elif kind == RESOLUTION and turned and len(data) == 16:
            kept += whole[: -len(data)] + data[8:] + data[:8]
        elif kind not in STALE | COPIES:
            kept += whole
    return kept or None, iptc, tuple(dict.fromkeys(notes))


def with_iptc(kept: bytes | None, iptc: bytes | None) -> bytes:
    """Resources and captions as one block without a header."""
    caption = b"8BIM" + struct.pack(">HHI", IPTC, 0, len(iptc)) + iptc + bytes(len(iptc) % 2) if iptc else b""
    return caption + (kept or b"")


def jpeg_payloads(block: bytes) -> list[bytes]:
    """The block cut into payloads of Photoshop segments."""
    return [HEADER + block[at : at + SEGMENT_MAX] for at in range(0, len(block), SEGMENT_MAX)]
