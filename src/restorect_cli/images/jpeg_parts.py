"""What lies in a JPEG file behind its picture: second pictures, an HDR gain map, the video of a motion photo.

Sources: CIPA DC-007 (multi-picture format), the Ultra HDR and Motion Photo formats of Android, ISO 21496-1.
"""

from __future__ import annotations

import mmap
import re
import struct
from collections.abc import Iterator
from dataclasses import dataclass

Block = bytes | mmap.mmap

MPF_HEADER = b"MPF\0"
ISO_GAIN_MAP = b"urn:iso:std:iso:ts:21496:-1\0"
HDRGM = b"http://ns.adobe.com/hdr-gain-map/1.0/"
APPLE_GAIN_MAP = b"hdrgainmap"
START = b"\xff\xd8\xff"

PREVIEWS = (0x010001, 0x010002)  # MP types "large thumbnail"
MAX_PICTURES = 1000

_NEXT_MARKER = re.compile(rb"\xff[^\x00\xff\xd0-\xd7]")  # in the coded data: neither stuffing nor a restart
_NOT_ZERO = re.compile(rb"[^\0]")
_VIDEO = re.compile(rb"\0\0[\0-\x02].ftyp[ -~]{4}", re.DOTALL)


@dataclass(frozen=True)
class Segment:
    """A marker segment before the coded data; `at` is where its marker lies, `payload` what follows its length."""

    marker: int
    at: int
    payload: bytes


@dataclass(frozen=True)
class Parts:
    """What is behind the first picture."""

    end: int | None  # of the first picture; None where its end marker is missing
    gain_map: bytes | None = None  # a JPEG file of its own
    pictures: int = 0  # others, previews aside
    previews: int = 0
    has_video: bool = False
    unknown_bytes: int = 0
    is_cut: bool = False  # the file ends before what is behind the picture does


def segments(data: Block, start: int = 0) -> Iterator[Segment]:
    """The segments of the JPEG at `start`, up to and without its first scan."""
    at = start + 2
    while at + 4 <= len(data) and data[at] == 0xFF:
        marker = data[at + 1]
        if marker == 0xFF:  # fill byte
            at += 1
            continue
        (size,) = struct.unpack_from(">H", data, at + 2)
        if size < 2 or marker in (0xDA, 0xD9):
            return
        yield Segment(marker, at, bytes(data[at + 4 : at + 2 + size]))
        at += 2 + size


def end_of_picture(data: Block, start: int = 0) -> int | None:
    """Where the JPEG that begins at `start` ends, its end marker included; None where that is missing."""
    at = start + 2
    while at + 2 <= len(data):
        if data[at] != 0xFF:
            return None
        marker = data[at + 1]
        if marker == 0xD9:
            return at + 2
        if marker == 0xFF:
            at += 1
            continue
        if marker == 0x01 or 0xD0 <= marker <= 0xD7:
            at += 2
            continue
        if at + 4 > len(data):
            return None
        at += 2 + int(struct.unpack_from(">H", data, at + 2)[0])
        if marker == 0xDA:
            found = _NEXT_MARKER.search(data, at)
            if found is None:
                return None
            at = found.start()
    return None


def multi_picture_index(data: Block) -> list[tuple[int, int, int]]:
    """(MP type, place in the file, size) of the pictures that the multi-picture index names, the first included."""
    for segment in segments(data):
        if segment.marker != 0xE2 or not segment.payload.startswith(MPF_HEADER):
            continue
        block, base = segment.payload[4:], segment.at + 8
        order = {b"II*\0": "<", b"MM\0*": ">"}.get(block[:4])
        try:
            if order is None:
                return []
            (first,) = struct.unpack_from(order + "I", block, 4)
            (count,) = struct.unpack_from(order + "H", block, first)
            for place in range(first + 2, first + 2 + 12 * count, 12):
                tag, _, size, value = struct.unpack_from(order + "HHII", block, place)
                if tag == 0xB002:
                    numbers = [
                        struct.unpack_from(order + "III", block, value + 16 * i)
                        for i in range(min(size // 16, MAX_PICTURES))
                    ]
                    return [(kind & 0xFFFFFF, base + at if at else 0, length) for kind, length, at in numbers]
        except struct.error:
            return []
    return []


def parts(data: Block) -> Parts:
    """What the file holds behind its first picture: what the index names, and what simply follows."""
    end = end_of_picture(data)
    listed = multi_picture_index(data)
    if end is None or end == len(data):
        return Parts(end, is_cut=any(at for _, at, _ in listed))
    index = {at: kind for kind, at, _ in listed if at >= end}
    is_cut = any(at + size > len(data) for _, at, size in listed)
    starts = sorted(at for at in index if data[at : at + 3] == START)
    gain_map, pictures, previews, has_video, unknown, at = None, 0, 0, False, 0, end
    while at < len(data):
        if data[at : at + 3] == START:
            found = end_of_picture(data, at)
            after = len(data) if found is None else found
            is_cut |= found is None
            if is_gain_map(data, at) and gain_map is None:
                gain_map = bytes(data[at:after])
            elif index.get(at) in PREVIEWS:
                previews += 1
            else:
                pictures += 1
            at = after
            continue
        video = _VIDEO.search(data, at)
        jumps = [*starts, *([video.start()] if video else [])]
        if video and video.start() == at:
            has_video, at = True, max(_after_boxes(data, at), at + 8)
            is_cut |= at > len(data)
            continue
        after = min((place for place in jumps if place > at), default=len(data))
        if _NOT_ZERO.search(data, at, after):  # else it is padding
            unknown += after - at
        at = after
    return Parts(end, gain_map, pictures, previews, has_video, unknown, is_cut)


def is_gain_map(data: Block, start: int) -> bool:
    """Whether the JPEG at `start` says of itself that it is a gain map."""
    for segment in segments(data, start):
        if segment.marker == 0xE2 and segment.payload.startswith(ISO_GAIN_MAP):
            return True
        if segment.marker == 0xE1 and (HDRGM in segment.payload or APPLE_GAIN_MAP in segment.payload):
            return True
    return False


def _after_boxes(data: Block, at: int) -> int:
    """Where the boxes of the video end, as far as they go on from one to the next; behind the file where it is cut."""
    while at + 8 <= len(data):
        size, kind = struct.unpack_from(">I4s", data, at)
        if size == 1 and at + 16 <= len(data):
            (size,) = struct.unpack_from(">Q", data, at + 8)
        if size == 0:
            return len(data)
        if size < 8 or not kind.isalnum():  # a trailer that another program has added
            return at
        at += size
    return at
