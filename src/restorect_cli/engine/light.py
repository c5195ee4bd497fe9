"""The light and colour of a picture, apart from its detail."""

from __future__ import annotations

import numpy as np

from .source import Image

CELLS = 16  # along the longer side: what is larger than such a cell counts as light and colour, not as detail


def light(image: Image) -> Image:
    """The image (H,W,3) without what is smaller than a cell: two moving means along each side."""
    radius = max(1, max(image.shape[:2]) // CELLS // 2)
    for axis in (0, 1, 0, 1):
        pad = [(radius + 1, radius) if a == axis else (0, 0) for a in range(3)]
        sums = np.pad(image, pad, mode="edge").cumsum(axis=axis, dtype=np.float64)
        later = sums.take(np.arange(2 * radius + 1, sums.shape[axis]), axis=axis)
        image = ((later - sums.take(np.arange(later.shape[axis]), axis=axis)) / (2 * radius + 1)).astype(np.float32)
    return image
