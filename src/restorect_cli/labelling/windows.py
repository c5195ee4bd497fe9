"""A network of a fixed or limited size over a picture of any size: windows that overlap and are feathered together."""

from __future__ import annotations

import numpy as np

from ..engine.source import ArraySource, Image
from ..engine.tiling import Process, bands, plan_windows

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


def window_side(side_px: int, multiple: int, tile_px: int) -> int:
    """A side of the windows of a network of free size: the picture's, up to the multiple, but at most a tile's."""
    whole = -(-side_px // multiple) * multiple
    return min(whole, max(multiple, tile_px // multiple * multiple))
