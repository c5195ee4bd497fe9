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
