"""TIFF files of 64-bit floating-point samples, which libvips refuses: read here as 32-bit ones.

Strips without compression or with deflate and no predictor, which is how scientific programs write them.
"""

from __future__ import annotations

import zlib
from collections.abc import Callable
from typing import Any

import numpy as np

from . import exif, tiff
from .picture import Pixels
from .vips import pyvips, to_vips

ORIENTATION, PROFILE = 0x0112, 0x8773
DEFLATE = (8, 32946)


def opened(data: tiff.Block, check_size: Callable[[int, int], None]) -> Any | None:
    """The picture as a libvips image of 32-bit samples, with its facts; None where this is no such file.

    Raises what `check_size(width, height)` raises, ValueError where strips are missing or damaged. Samples beyond 32
    bits become infinite.
    """
    found = tiff.contents(data)
    if found is None or not _is_ours(found.picture):
        return None
    picture = found.picture
    check_size(picture.number(tiff.WIDTH), picture.number(tiff.HEIGHT))
    image = to_vips(_samples(picture)).copy()
    image.set_type(pyvips.GValue.gint_type, "orientation", picture.number(ORIENTATION, 1))
    for tag, name in ((PROFILE, "icc-profile-data"), (tiff.XMP, "xmp-data")):
        block = picture.bytes(tag)
        if block:
            image.set_type(pyvips.GValue.blob_type, name, block)
    dpi = exif.resolution(data)
    return image.copy(xres=dpi[0] / 25.4, yres=dpi[1] / 25.4) if dpi else image


def _is_ours(picture: tiff.Directory) -> bool:
    bands, photometric = picture.number(tiff.SAMPLES, 1), picture.number(tiff.PHOTOMETRIC)
    return (
        set(picture.numbers(tiff.BITS)) == {64}
        and set(picture.numbers(tiff.SAMPLE_FORMAT)) == {3}
        and (photometric, bands) in ((1, 1), (1, 2), (2, 3), (2, 4))
        and picture.number(tiff.COMPRESSION, 1) in (1, *DEFLATE)
        and picture.number(tiff.PREDICTOR, 1) == 1
        and tiff.TILE_WIDTH not in picture.fields
    )


def _samples(picture: tiff.Directory) -> Pixels:
    """H×W×C float32. Raises ValueError."""
    height, width, bands = picture.number(tiff.HEIGHT), picture.number(tiff.WIDTH), picture.number(tiff.SAMPLES, 1)
    is_planar = picture.number(tiff.PLANAR, 1) == 2 and bands > 1
    planes, wide = (bands, width) if is_planar else (1, width * bands)
    rows = min(picture.number(tiff.ROWS_PER_STRIP, height), height)
    offsets, sizes = picture.numbers(tiff.STRIP_OFFSETS), picture.numbers(tiff.STRIP_BYTES)
    strips = -(-height // rows) if rows else 0
    if not strips or len(offsets) != strips * planes or len(sizes) != len(offsets):
        raise ValueError("strips are missing")
    out = np.empty((planes, height, wide), np.float32)
    for number, (at, size) in enumerate(zip(offsets, sizes, strict=True)):
        plane, first = divmod(number, strips)
        y0 = first * rows
        y1 = min(y0 + rows, height)
        coded = bytes(picture.data[at : at + size])
        wanted = (y1 - y0) * wide * 8
        if picture.number(tiff.COMPRESSION, 1) in DEFLATE:
            try:
                coded = zlib.decompressobj().decompress(coded, wanted)
            except zlib.error as error:
                raise ValueError(str(error)) from error
        if len(coded) < wanted:
            raise ValueError("a strip is too short")
        with np.errstate(over="ignore"):
            out[plane, y0:y1] = np.frombuffer(coded, picture.order + "f8", (y1 - y0) * wide).reshape(-1, wide)
    pixels = out.transpose(1, 2, 0) if is_planar else out.reshape(height, width, bands)
    return np.ascontiguousarray(pixels)
