"""What an AVIF or HEIF file holds beside its picture, read from its boxes (ISO/IEC 14496-12, 23008-12)."""

from __future__ import annotations

import mmap
import struct
from collections.abc import Iterator

Block = bytes | mmap.mmap

GAIN_MAP, DEPTH_MAP, OTHER = "an HDR gain map", "a depth map", "a helper picture of a camera"
MAX_BOXES = 10_000


def boxes(data: Block, start: int, end: int) -> Iterator[tuple[bytes, int, int]]:
    """(kind, start and end of the content) of the boxes in this range, as far as they are whole."""
    at = start
    for _ in range(MAX_BOXES):
        if at + 8 > end:
            return
        size, kind = struct.unpack_from(">I4s", data, at)
        head = 8
        if size == 1 and at + 16 <= end:
            (size,) = struct.unpack_from(">Q", data, at + 8)
            head = 16
        elif size == 0:
            size = end - at
        if size < head or at + size > end:
            return
        yield kind, at + head, at + size
        at += size


def beside_the_picture(data: Block) -> tuple[str, ...]:
    """Names of the second pictures that belong to the first: gain map, depth map, others; alpha is not one."""
    kinds, auxiliary = _items(data)
    found = set()
    if b"tmap" in kinds:
        found.add(GAIN_MAP)
    for name in auxiliary:
        if b"hdrgainmap" in name:
            found.add(GAIN_MAP)
        elif b"depth" in name or name.endswith(b":auxid:2"):
            found.add(DEPTH_MAP)
        elif b"alpha" not in name and not name.endswith(b":auxid:1"):
            found.add(OTHER)
    return tuple(sorted(found))


def _items(data: Block) -> tuple[set[bytes], set[bytes]]:
    """Types of the items, and what the auxiliary images are for."""
    kinds: set[bytes] = set()
    auxiliary: set[bytes] = set()
    for kind, start, end in boxes(data, 0, len(data)):
        if kind != b"meta":
            continue
        for inner, at, stop in boxes(data, start + 4, end):
            if inner == b"iinf":
                skip = 6 if data[at] == 0 else 8
                for entry, first, last in boxes(data, at + skip, stop):
                    if entry == b"infe" and first < last and data[first] in (2, 3):
                        place = first + (8 if data[first] == 2 else 10)
                        kinds.add(bytes(data[place : min(place + 4, last)]))
            elif inner == b"iprp":
                for name, first, last in boxes(data, at, stop):
                    if name == b"ipco":
                        auxiliary |= {
                            bytes(data[a + 4 : b]).split(b"\0")[0].lower()
                            for p, a, b in boxes(data, first, last)
                            if p == b"auxC"
                        }
    return kinds, auxiliary
