"""A network of a fixed or limited size over a picture of any size: windows that overlap and are feathered together."""

from __future__ import annotations

import numpy as np

from ..degrade.pairs import shrunk
from ..engine.light import light
from ..engine.source import ArraySource, Image
from ..engine.tiling import Process, bands, plan_windows
from ..images.picture import to_depth

DARK = 0.02  # added to both lights, so that black is not divided by black
LIGHT_RATIO = (0.4, 2.5)  # by which a window's light may be changed
OVERLAP_SHARE = 0.25  # of a window's shorter side; an eighth of that at each border is thrown away, the rest blended


def in_windows(image: Image, process: Process, height_px: int, width_px: int) -> Image:
    """`process` over windows of exactly this size; a smaller picture is continued by reflection and cut again after.

    The outermost pixels of a window, where a network sees nothing beyond, do not count where a neighbour has them.
    """
    overlap = round(OVERLAP_SHARE * min(height_px, width_px))
    height, width = image.shape[:2]
    plan = plan_windows(
        height,
        width,
        window_height=height_px,
        window_width=width_px,
        overlap_px=overlap,
        blend_px=overlap // 4 * 3,
    )
    result = np.empty_like(image)
    for y0, rows in bands(ArraySource(image), plan, process):
        result[y0 : y0 + len(rows)] = rows
    return result


def under_light_of(label: Image, image: Image, process: Process, height_px: int, width_px: int) -> Image:
    """The label (H,W,3) that windows made of `image`, under the light and colour that one window makes of all of it.

    A network that brightens sees in each window another picture, and brightens it otherwise. Shrunk into one window,
    the whole picture shows it how bright all of it is to be.
    """
    height, width = image.shape[:2]
    pixels = int(height * width * min(height_px / height, width_px / width) ** 2)
    small = _small(image, pixels)
    whole = in_windows(small, process, height_px, width_px)
    ratio = (light(whole) + DARK) / (light(_small(label, pixels)) + DARK)
    return label * _grown(np.clip(ratio, *LIGHT_RATIO), height, width)


def _small(image: Image, pixels: int) -> Image:
    shrunken: Image = to_depth(shrunk(to_depth(image, 8), pixels), 32)
    return shrunken


def _grown(image: Image, height: int, width: int) -> Image:
    """Enlarged, linear between neighbours."""
    for axis, side in ((0, height), (1, width)):
        own = image.shape[axis]
        at = np.clip((np.arange(side) + 0.5) * own / side - 0.5, 0, own - 1)
        first = np.minimum(at.astype(np.intp), max(0, own - 2))
        share = (at - first).astype(np.float32).reshape((-1, 1, 1) if axis == 0 else (1, -1, 1))
        near = image.take(first, axis=axis)
        image = near + share * (image.take(np.minimum(first + 1, own - 1), axis=axis) - near)
    return image


def window_side(side_px: int, multiple: int, tile_px: int) -> int:
    """A side of the windows of a network of free size: the picture's, up to the multiple, but at most a tile's."""
    whole = -(-side_px // multiple) * multiple
    return min(whole, max(multiple, tile_px // multiple * multiple))
