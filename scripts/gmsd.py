"""GMSD, a metric of the ablation of IR-Flow beside PSNR: it detects smearing and sharpening."""

from __future__ import annotations

import numpy as np

from restorect_cli.bench.metrics import Array, luma_bt601, to_levels
from restorect_cli.engine.source import Image


def gmsd(restored: Image, reference: Image) -> float:
    """Gradient magnitude similarity deviation (Xue et al., IEEE TIP 2014): 0 when equal, smaller is better.

    Of Y (BT.601, 8-bit levels) averaged over 2x2 cells, with Prewitt gradients and the paper's constant 170. It sees
    edges and texture, so what is smeared or sharpened, and next to nothing of a change in brightness. Raises
    ValueError where a side has fewer than 6 pixels.
    """
    if min(reference.shape[:2]) < 6:
        raise ValueError("GMSD needs pictures of 6x6 pixels or more")
    first, second = (_gradient_magnitude(_halved(luma_bt601(to_levels(image)))) for image in (restored, reference))
    similarity = (2 * first * second + 170) / (first**2 + second**2 + 170)
    return float(similarity.std())


def _halved(plane: Array) -> Array:
    rows, columns = plane.shape[0] // 2, plane.shape[1] // 2
    means: Array = plane[: 2 * rows, : 2 * columns].reshape(rows, 2, columns, 2).mean(axis=(1, 3))
    return means


def _gradient_magnitude(plane: Array) -> Array:
    """Of the inner pixels (H-2,W-2), by Prewitt's operator divided by three."""
    across = (plane[:, 2:] - plane[:, :-2]) / 3
    down = (plane[2:] - plane[:-2]) / 3
    gx = across[:-2] + across[1:-1] + across[2:]
    gy = down[:, :-2] + down[:, 1:-1] + down[:, 2:]
    magnitude: Array = np.hypot(gx, gy)
    return magnitude
