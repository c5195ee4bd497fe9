"""TIFF files laid out by hand: pages, images inside pages, classic and BigTIFF; and DNGs with a known scene."""

from __future__ import annotations

import struct
from collections.abc import Sequence
from dataclasses import dataclass, field
from typing import Any

import numpy as np
from numpy.typing import NDArray

FORMS = {1: "B", 2: "s", 3: "H", 4: "I", 5: "II", 7: "B", 10: "ii", 13: "I", 16: "Q"}
Value = tuple[int, Sequence[Any] | bytes]  # type, values (pairs flat)

# XYZ (D65) to linear sRGB, IEC 61966-2-1: a camera whose own colours are those of sRGB
SRGB_FROM_XYZ = ((3.2406, -1.5372, -0.4986), (-0.9689, 1.8758, 0.0415), (0.0557, -0.2040, 1.0570))


@dataclass
class Page:
    """One image: its tags, its single strip (offset and length are filled in) and the images inside it."""

    tags: dict[int, Value]
    data: bytes = b""
    inside: list[Page] = field(default_factory=list)


def rgb_page(pixels: NDArray[Any], subfile: int = 0, **more: Value) -> Page:
    """An uncompressed image of H×W×C samples; `more` are tags as t270=(type, values)."""
    height, width, bands = pixels.shape
    bits = pixels.dtype.itemsize * 8
    tags: dict[int, Value] = {
        254: (4, [subfile]),
        256: (4, [width]),
        257: (4, [height]),
        258: (3, [bits] * bands),
        259: (3, [1]),
        262: (3, [2 if bands >= 3 else 1]),
        277: (3, [bands]),
        278: (4, [height]),
        339: (3, [3 if pixels.dtype.kind == "f" else 1] * bands),
    }
    tags |= {int(name[1:]): value for name, value in more.items()}
    return Page(tags, pixels.tobytes())


def tiff(*pages: Page, big: bool = False, head: bytes = b"") -> bytes:
    """The little-endian file of these pages; `head` replaces its first bytes."""
    out = bytearray(b"II+\0\x08\0\0\0" + bytes(8) if big else b"II*\0" + bytes(4))
    link = 8 if big else 4
    for page in pages:
        at, link_of_page = _put(out, page, big)
        struct.pack_into("<Q" if big else "<I", out, link, at)
        link = link_of_page
    out[: len(head)] = head
    return bytes(out)


def _put(out: bytearray, page: Page, big: bool) -> tuple[int, int]:
    """Append the page; where its directory lies, and where the link to the next one."""
    tags = dict(page.tags)
    if page.data:
        tags[273], tags[279] = (4, [len(out)]), (4, [len(page.data)])
        out += page.data + bytes(len(page.data) % 2)
    if page.inside:
        tags[330] = (4, [_put(out, inner, big)[0] for inner in page.inside])
    cells = []
    for tag, (kind, values) in sorted(tags.items()):
        form = FORMS[kind]
        if isinstance(values, bytes):
            raw, count = values, len(values)
        else:
            raw = struct.pack("<" + form[0] * len(values), *values)
            count = len(values) // len(form)
        room = 8 if big else 4
        if len(raw) > room:
            at = len(out)
            out += raw + bytes(len(raw) % 2)
            raw = struct.pack("<Q" if big else "<I", at)
        cells.append(struct.pack("<HHQ" if big else "<HHI", tag, kind, count) + raw.ljust(room, b"\0"))
    at = len(out)
    out += struct.pack("<Q" if big else "<H", len(cells)) + b"".join(cells)
    link = len(out)
    out += bytes(8 if big else 4)
    return at, link


def mosaic(linear: NDArray[Any], neutral: Sequence[float] = (0.5, 1.0, 0.6), white: int = 16383) -> NDArray[np.uint16]:
    """What an RGGB sensor counts of a scene in linear sRGB, H×W×3; `neutral` is what it counts of white."""
    counts = linear * np.asarray(neutral) * white
    rggb = np.empty(linear.shape[:2])
    rggb[0::2, 0::2], rggb[0::2, 1::2] = counts[0::2, 0::2, 0], counts[0::2, 1::2, 1]
    rggb[1::2, 0::2], rggb[1::2, 1::2] = counts[1::2, 0::2, 1], counts[1::2, 1::2, 2]
    return np.rint(np.clip(rggb, 0, white)).astype(np.uint16)


def dng(
    rggb: NDArray[np.uint16],
    neutral: Sequence[float] = (0.5, 1.0, 0.6),
    white: int = 16383,
    orientation: int = 1,
    xmp: bytes = b"",
    **more: Value,
) -> bytes:
    """A DNG as cameras write it: a small RGB preview first, the mosaic inside it."""
    height, width = rggb.shape
    matrix = [n for row in SRGB_FROM_XYZ for value in row for n in (round(value * 10_000), 10_000)]
    seen = [n for value in neutral for n in (round(value * 10_000), 10_000)]
    raw = Page(
        {
            254: (4, [0]),
            256: (4, [width]),
            257: (4, [height]),
            258: (3, [16]),
            259: (3, [1]),
            262: (3, [32803]),
            277: (3, [1]),
            278: (4, [height]),
            33421: (3, [2, 2]),
            33422: (1, [0, 1, 1, 2]),
            50714: (3, [0]),
            50717: (4, [white]),
        },
        rggb.tobytes(),
    )
    preview = rgb_page(np.full((8, 12, 3), 90, np.uint8), subfile=1)
    preview.tags |= {
        271: (2, b"Acme\0"),
        272: (2, b"Cam 1\0"),
        274: (3, [orientation]),
        315: (2, b"A. Person\0"),
        50706: (1, [1, 4, 0, 0]),
        50708: (2, b"Acme Cam 1\0"),
        50721: (10, matrix),
        50728: (5, seen),
        50778: (3, [21]),  # D65
    }
    if xmp:
        preview.tags[700] = (1, xmp)
    preview.tags |= {int(name[1:]): value for name, value in more.items()}
    preview.inside = [raw]
    return tiff(preview)
