"""JPEG files whose colours are sampled otherwise than 4:4:4 or 4:2:0, which the encoders at hand cannot write.

The three planes are encoded as grey JPEGs and put together: a baseline file may hold each component in a scan of its
own (ITU-T T.81 §A.2.2), and such a scan is what a grey file of that size holds.
"""

from __future__ import annotations

import io
import struct
from collections.abc import Iterator

import numpy as np

from .containers import ICC_HEADER, jpeg_segment, jpeg_segments
from .picture import Pixels

ENCODERS_OWN = ((1, 1), (2, 2))
ICC_PORTION = 65519  # ICC.1 annex B.4
# Chrominance table of ITU-T T.81 annex K.2, row by row, which libjpeg scales by the quality.
# fmt: off
CHROMA: tuple[int, ...] = (
    17, 18, 24, 47, 99, 99, 99, 99, 18, 21, 26, 66, 99, 99, 99, 99, 24, 26, 56, 99, 99, 99, 99, 99,
    47, 66, 99, 99, 99, 99, 99, 99, *(99,) * 32,
)
# fmt: on


def sampling(segments: Iterator[tuple[int, bytes]]) -> tuple[int, int] | None:
    """Pixels of the picture, across and down, for one of the colour planes; None for grey and for odd fractions."""
    for marker, payload in segments:
        if 0xC0 <= marker <= 0xCF and marker not in (0xC4, 0xC8, 0xCC) and len(payload) >= 6:
            factors = [(payload[at + 1] >> 4, payload[at + 1] & 15) for at in range(6, len(payload) - 2, 3)]
            if len(factors) != 3 or factors[1] != factors[2] or 0 in (*factors[0], *factors[1]):
                return None
            (luma_x, luma_y), (x, y) = factors[:2]
            is_whole = luma_x % x == 0 and luma_y % y == 0 and max(luma_x // x, luma_y // y) <= 4
            return (luma_x // x, luma_y // y) if is_whole else None
    return None


def encode(pixels: Pixels, sampled: tuple[int, int], quality: int, icc: bytes | None) -> bytes:
    """H×W×3 uint8 as a JPEG whose colour planes have one sample for `sampled` (across, down) pixels, 1 to 4 each."""
    from PIL import Image

    across, down = sampled
    height, width = pixels.shape[:2]
    planes = [np.asarray(plane) for plane in Image.fromarray(pixels).convert("YCbCr").split()]
    planes[1:] = [_shrunk(plane, across, down) for plane in planes[1:]]
    coded = [_grey(plane, quality, is_chroma=index > 0) for index, plane in enumerate(planes)]
    head = b"\xff\xd8" + jpeg_segment(0xE0, b"JFIF\0\1\1\0\0\1\0\1\0\0")
    portions = [icc[at : at + ICC_PORTION] for at in range(0, len(icc), ICC_PORTION)] if icc else []
    for number, portion in enumerate(portions, start=1):
        head += jpeg_segment(0xE2, ICC_HEADER + bytes([number, len(portions)]) + portion)
    for index, file in enumerate(coded[:2]):
        table = next(payload for marker, payload in jpeg_segments(file) if marker == 0xDB)
        head += jpeg_segment(0xDB, bytes([index]) + table[1:65])
    components = bytes([1, across << 4 | down, 0, 2, 0x11, 1, 3, 0x11, 1])
    body = jpeg_segment(0xC0, struct.pack(">BHHB", 8, height, width, 3) + components)
    for number, file in enumerate(coded, start=1):
        codes = [payload for marker, payload in jpeg_segments(file) if marker == 0xC4]
        body += b"".join(jpeg_segment(0xC4, payload) for payload in codes)
        body += jpeg_segment(0xDA, bytes([1, number, 0, 0, 63, 0])) + _scan(file)
    return head + body + b"\xff\xd9"


def _shrunk(plane: Pixels, across: int, down: int) -> Pixels:
    """The mean of every cell; edges are repeated to fill the last ones."""
    height, width = plane.shape
    padded = np.pad(plane, ((0, -height % down), (0, -width % across)), mode="edge")
    cells = padded.reshape(padded.shape[0] // down, down, padded.shape[1] // across, across)
    mean: Pixels = np.rint(cells.mean(axis=(1, 3), dtype=np.float32)).astype(np.uint8)
    return mean


def _grey(plane: Pixels, quality: int, is_chroma: bool) -> bytes:
    from PIL import Image

    file = io.BytesIO()
    scale = 5000 // quality if quality < 50 else 200 - 2 * quality
    table = [min(max((value * scale + 50) // 100, 1), 255) for value in CHROMA]
    tables = {"qtables": [table]} if is_chroma else {"quality": quality}
    Image.fromarray(plane).save(file, "jpeg", optimize=True, **tables)
    return file.getvalue()


def _scan(file: bytes) -> bytes:
    """The entropy-coded data of a file of one scan."""
    at = 2
    while file[at + 1] != 0xDA:
        at += 2 + int(struct.unpack_from(">H", file, at + 2)[0])
    at += 2 + int(struct.unpack_from(">H", file, at + 2)[0])
    return file[at : file.rindex(b"\xff\xd9")]
