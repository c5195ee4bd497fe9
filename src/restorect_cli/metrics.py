"""Image quality against a reference; every function names its convention.

No border is cropped and nothing is fitted to the reference. `to_levels` rounds to 8 bits first, as
the standard protocols do.
"""

from __future__ import annotations

import numpy as np
from numpy.typing import NDArray

from .source import Image


def to_levels(image: Image) -> NDArray[np.float64]:
    """Clip to [0,1] and round to 8-bit levels, float64 in 0..255."""
    return np.round(np.clip(image, 0, 1).astype(np.float64) * 255)


def luma_bt601(levels: NDArray[np.float64]) -> NDArray[np.float64]:
    """Y of RGB levels (H,W,3) as MATLAB's rgb2ycbcr has it, 16..235; (255,0,0) gives 81.48."""
    weighted: NDArray[np.float64] = levels @ np.array([65.481, 128.553, 24.966]) / 255 + 16
    return weighted


def psnr(restored: Image, reference: Image, *, luma: bool = False) -> float:
    """PSNR in dB of 8-bit levels over all pixels; RGB, or Y (BT.601) with `luma`; infinite when equal."""
    a, b = to_levels(restored), to_levels(reference)
    if luma:
        a, b = luma_bt601(a), luma_bt601(b)
    error = float(np.mean((a - b) ** 2))
    return float("inf") if error == 0 else float(10 * np.log10(255**2 / error))


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


def _halved(plane: NDArray[np.float64]) -> NDArray[np.float64]:
    rows, columns = plane.shape[0] // 2, plane.shape[1] // 2
    means: NDArray[np.float64] = plane[: 2 * rows, : 2 * columns].reshape(rows, 2, columns, 2).mean(axis=(1, 3))
    return means


def _gradient_magnitude(plane: NDArray[np.float64]) -> NDArray[np.float64]:
    """Of the inner pixels (H-2,W-2), by Prewitt's operator divided by three."""
    across = (plane[:, 2:] - plane[:, :-2]) / 3
    down = (plane[2:] - plane[:-2]) / 3
    gx = across[:-2] + across[1:-1] + across[2:]
    gy = down[:, :-2] + down[:, 1:-1] + down[:, 2:]
    magnitude: NDArray[np.float64] = np.hypot(gx, gy)
    return magnitude
