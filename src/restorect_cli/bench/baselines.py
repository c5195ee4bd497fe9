"""The filters that a user would otherwise take from a library, with the library's usual settings.

If the protocol added the noise, the denoisers get its sigma, unlike our blind model; otherwise they get
scikit-image's estimate. Nothing is tuned to a test set.
"""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass
from importlib.util import find_spec
from typing import Any

import numpy as np
from numpy.typing import NDArray

from ..engine.source import Image
from ..errors import ModelError, UsageError
from ..extras import how_to_install
from .method import Method
from .metrics import to_levels

Filter = Callable[[Image, float | None], NDArray[Any]]


@dataclass(frozen=True)
class Baseline:
    """A filter of a library: its tasks, its settings and what it needs."""

    name: str
    tasks: tuple[str, ...]
    apply: Filter
    how: str
    libraries: tuple[str, ...] = ()
    extra: str = "bench"


def _levels(image: Image) -> NDArray[np.uint8]:
    return to_levels(image).astype(np.uint8)


def _estimated_sigma(image: Image) -> float:
    from skimage.restoration import estimate_sigma

    return float(estimate_sigma(image, channel_axis=2, average_sigmas=True))


def _sigma(image: Image, given_levels: float | None) -> float:
    return _estimated_sigma(image) if given_levels is None else given_levels / 255


def _nlm_opencv(image: Image, sigma: float | None) -> NDArray[Any]:
    import cv2

    strength = 255 * _sigma(image, sigma)
    restored: NDArray[Any] = cv2.fastNlMeansDenoisingColored(_levels(image), None, strength, strength, 7, 21)
    return np.asarray(restored / np.float32(255))


def _nlm_skimage(image: Image, sigma: float | None) -> NDArray[Any]:
    from skimage.restoration import denoise_nl_means

    noise = _sigma(image, sigma)
    options = {"patch_size": 5, "patch_distance": 6, "fast_mode": True, "channel_axis": 2}
    restored: NDArray[Any] = denoise_nl_means(image, h=0.8 * noise, sigma=noise, **options)
    return restored


def _wavelet(image: Image, sigma: float | None) -> NDArray[Any]:
    from skimage.restoration import denoise_wavelet

    noise = _sigma(image, sigma)
    # with convert2ycbcr the colours must lie in [0, 1], and the sigma given is that of RGB
    clipped = np.clip(image, 0, 1)
    options = {"method": "BayesShrink", "mode": "soft", "convert2ycbcr": True, "channel_axis": 2, "rescale_sigma": True}
    restored: NDArray[Any] = denoise_wavelet(clipped, sigma=[noise] * 3, **options)
    return restored


def _bm3d(image: Image, sigma: float | None) -> NDArray[Any]:
    import bm3d

    restored: NDArray[Any] = bm3d.bm3d_rgb(image, _sigma(image, sigma))
    return restored


def _clahe(image: Image, _: float | None) -> NDArray[Any]:
    import cv2

    lab = cv2.cvtColor(_levels(image), cv2.COLOR_RGB2LAB)
    equaliser = cv2.createCLAHE(clipLimit=3.0, tileGridSize=(8, 8))
    lab[..., 0] = equaliser.apply(np.ascontiguousarray(lab[..., 0]))
    restored: NDArray[Any] = cv2.cvtColor(lab, cv2.COLOR_LAB2RGB)
    return np.asarray(restored / np.float32(255))


def _gamma(image: Image, _: float | None) -> NDArray[Any]:
    encoded = np.clip(image, 0, 1)
    mean = float(np.clip(encoded.mean(), 1e-3, 1 - 1e-3))
    raised: NDArray[Any] = encoded ** np.float32(np.log(0.45) / np.log(mean))
    return raised


def _lime(image: Image, _: float | None) -> NDArray[Any]:
    """LIME (Guo, Li, Ling, IEEE TIP 2017): the picture divided by its smoothed largest channel, gamma 0.8."""
    encoded = np.clip(image, 0, 1).astype(np.float64)
    brightest = encoded.max(axis=2)
    light = guided_filter(encoded.mean(axis=2), brightest, radius=15, eps=1e-3)
    return np.asarray(encoded / np.clip(light, 0.02, 1)[..., None] ** 0.8)


def _guided_derain(image: Image, _: float | None) -> NDArray[Any]:
    """Streaks are thin and brighter than the scene, so only dark detail is added to an edge-preserving base."""
    encoded = np.clip(image, 0, 1).astype(np.float64)
    guide = encoded.min(axis=2)
    base = np.stack([guided_filter(guide, encoded[..., c], radius=4, eps=0.02) for c in range(3)], axis=2)
    return np.asarray(base + np.minimum(encoded - base, 0))


def guided_filter(guide: NDArray[Any], plane: NDArray[Any], *, radius: int, eps: float) -> NDArray[np.float64]:
    """He, Sun, Tang, IEEE TPAMI 2013: `plane` (H, W) smoothed along the edges of `guide` (H, W)."""
    mean_guide, mean_plane = _box(guide, radius), _box(plane, radius)
    variance = _box(guide * guide, radius) - mean_guide**2
    slope: NDArray[np.float64] = (_box(guide * plane, radius) - mean_guide * mean_plane) / (variance + eps)
    offset = mean_plane - slope * mean_guide
    smoothed: NDArray[np.float64] = _box(slope, radius) * guide + _box(offset, radius)
    return smoothed


def _box(plane: NDArray[Any], radius: int) -> NDArray[np.float64]:
    """Mean of the (2·radius+1)² window; the edge repeats."""
    size = 2 * radius + 1
    for axis in (0, 1):
        pad = [(0, 0), (0, 0)]
        pad[axis] = (radius + 1, radius)
        sums = np.cumsum(np.pad(plane.astype(np.float64), pad, mode="edge"), axis=axis)
        ends, starts = (np.take(sums, np.arange(first, first + plane.shape[axis]), axis) for first in (size, 0))
        plane = (ends - starts) / size
    return plane


BASELINES: tuple[Baseline, ...] = (
    Baseline(
        "nlm-opencv", ("denoise",), _nlm_opencv, "fastNlMeansDenoisingColored, h = sigma, 8 bit", ("cv2", "skimage")
    ),
    Baseline("nlm-skimage", ("denoise",), _nlm_skimage, "denoise_nl_means, fast, h = 0.8 sigma", ("skimage",)),
    Baseline("wavelet", ("denoise",), _wavelet, "denoise_wavelet, BayesShrink, YCbCr", ("skimage", "pywt")),
    Baseline("bm3d", ("denoise",), _bm3d, "bm3d_rgb; its package is for non-commercial use", ("bm3d",), ""),
    Baseline("clahe", ("low-light",), _clahe, "OpenCV CLAHE on L of Lab, limit 3, 8×8 tiles", ("cv2",)),
    Baseline("gamma", ("low-light",), _gamma, "gamma that brings the mean to 0.45"),
    Baseline("lime", ("low-light",), _lime, "LIME with a guided filter, gamma 0.8, no denoising"),
    Baseline("guided", ("derain", "raindrop"), _guided_derain, "guided filter, bright detail removed"),
)


def baselines_for(task: str) -> tuple[list[Baseline], list[str]]:
    """The baselines of a task that can run here, and one line for each that lacks its library."""
    fitting = [row for row in BASELINES if task in row.tasks]
    ready = [row for row in fitting if all(find_spec(library) for library in row.libraries)]
    return ready, [f"baseline {row.name} is left out: {_how_to_get(row)}" for row in fitting if row not in ready]


def baseline(name: str, threads: int) -> Method:
    """The baseline of that name. Raises UsageError if it is unknown, ModelError if its library is missing."""
    row = next((row for row in BASELINES if row.name == name), None)
    if row is None:
        raise UsageError(f"unknown baseline '{name}'", f"choose {', '.join(row.name for row in BASELINES)}")
    if not all(find_spec(library) for library in row.libraries):
        raise ModelError(f"baseline {name} lacks its library", _how_to_get(row))
    if "cv2" in row.libraries:
        import cv2

        cv2.setNumThreads(threads)
    apply = row.apply

    def run(image: Image, *, sigma: float | None = None) -> Image:
        return np.clip(apply(image, sigma), 0, 1).astype(np.float32)

    return run


def _how_to_get(row: Baseline) -> str:
    return how_to_install(row.extra) if row.extra else f"pip install {row.libraries[0]} (read its licence)"
