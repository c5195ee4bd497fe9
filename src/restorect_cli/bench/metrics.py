"""Image quality against a reference; every function names its convention.

No border is cropped and nothing is fitted to the reference. `to_levels` rounds to 8 bits first, as the standard
protocols do.
"""

from __future__ import annotations

import numpy as np
from numpy.typing import NDArray

from ..engine.source import Image

Array = NDArray[np.float64]

SSIM_RADIUS, SSIM_SIGMA = 5, 1.5


def to_levels(image: Image) -> Array:
    """Clip to [0,1] and round to 8-bit levels, float64 in 0..255."""
    return np.round(np.clip(image, 0, 1).astype(np.float64) * 255)


def luma_bt601(levels: Array) -> Array:
    """Y of RGB levels (H,W,3) as in MATLAB's rgb2ycbcr, 16..235; (255,0,0) gives 81.48."""
    weighted: Array = levels @ np.array([65.481, 128.553, 24.966]) / 255 + 16
    return weighted


def psnr(restored: Image, reference: Image, *, luma: bool = False) -> float:
    """PSNR in dB of 8-bit levels over all pixels; RGB, or Y (BT.601) with `luma`; infinite when equal."""
    a, b = to_levels(restored), to_levels(reference)
    if luma:
        a, b = luma_bt601(a), luma_bt601(b)
    error = float(np.mean((a - b) ** 2))
    return float("inf") if error == 0 else float(10 * np.log10(255**2 / error))


def ssim(restored: Image, reference: Image, *, luma: bool = False) -> float:
    """SSIM of 8-bit levels, at most 1; mean over R, G and B, or of Y (BT.601) with `luma`.

    Wang et al., IEEE TIP 2004: Gaussian window of 11×11, sigma 1.5, K1 0.01, K2 0.03, range 255, only windows
    inside the picture. nan for a picture smaller than the window.
    """
    a, b = to_levels(restored), to_levels(reference)
    if min(a.shape[:2]) < 2 * SSIM_RADIUS + 1:
        return float("nan")
    planes = [(luma_bt601(a), luma_bt601(b))] if luma else [(a[..., c], b[..., c]) for c in range(a.shape[2])]
    return float(np.mean([_ssim_plane(x, y) for x, y in planes]))


def match_mean(restored: Image, reference: Image) -> Image:
    """The restored picture scaled to the reference's mean grey level ("GT-mean"), which uses the truth and so flatters.

    As in the low-light literature: grey is OpenCV's (0.299, 0.587, 0.114), one factor for the whole picture.
    """
    grey = np.array([0.299, 0.587, 0.114], np.float32)
    levels = np.clip(restored, 0, 1)
    mean = float((levels @ grey).mean())
    return levels if mean == 0 else np.clip(levels * np.float32(float((reference @ grey).mean()) / mean), 0, 1)


def _ssim_plane(x: Array, y: Array) -> float:
    c1, c2 = (0.01 * 255) ** 2, (0.03 * 255) ** 2
    mean_x, mean_y = gaussian_means(x), gaussian_means(y)
    variance_x, variance_y = gaussian_means(x * x) - mean_x**2, gaussian_means(y * y) - mean_y**2
    covariance = gaussian_means(x * y) - mean_x * mean_y
    likeness = (2 * mean_x * mean_y + c1) * (2 * covariance + c2)
    return float(np.mean(likeness / ((mean_x**2 + mean_y**2 + c1) * (variance_x + variance_y + c2))))


def gaussian_means(plane: Array, radius: int = SSIM_RADIUS, sigma: float = SSIM_SIGMA) -> Array:
    """Gaussian means over windows of 2·radius + 1 pixels inside (H, W): (H − 2·radius, W − 2·radius)."""
    offsets = np.arange(-radius, radius + 1)
    weights = np.exp(-(offsets**2) / (2 * sigma**2))
    weights /= weights.sum()
    height, width = plane.shape[0] - 2 * radius, plane.shape[1] - 2 * radius
    tall: Array = sum(w * plane[i : i + height] for i, w in enumerate(weights))
    wide: Array = sum(w * tall[:, i : i + width] for i, w in enumerate(weights))
    return wide
