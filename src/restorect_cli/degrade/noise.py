"""Noise: seeded Gaussian, clipped or not, and camera noise; and what writing a file does.

Images are (H,W,3) float32 in [0,1]; the same generator state gives the same result.
"""

from __future__ import annotations

import io

import numpy as np
from numpy.typing import NDArray
from PIL import Image

FloatImage = NDArray[np.float32]


def to_8_bit(image: FloatImage) -> FloatImage:
    """Clip to [0,1] and round to 8 bits, as writing a file does."""
    rounded: FloatImage = np.round(np.clip(image, 0, 1) * 255).astype(np.float32) / np.float32(255)
    return rounded


def gaussian(image: FloatImage, sigma_levels: float, rng: np.random.Generator) -> FloatImage:
    """Add Gaussian noise of `sigma_levels` (8-bit levels); not clipped, as in the standard test."""
    noise = rng.standard_normal(image.shape, dtype=np.float32)
    noisy: FloatImage = image + noise * np.float32(sigma_levels / 255)
    return noisy


def jpeg(image: FloatImage, quality: int) -> FloatImage:
    """Compress and decompress as JPEG, 4:2:0 below quality 90 and 4:4:4 from 90 on, like cameras and editors."""
    pixels = np.round(np.clip(image, 0, 1) * 255).astype(np.uint8)
    buffer = io.BytesIO()
    Image.fromarray(pixels).save(buffer, "JPEG", quality=quality, subsampling=0 if quality >= 90 else 2)
    decoded: FloatImage = np.asarray(Image.open(buffer), np.float32) / np.float32(255)
    return decoded


def as_file(image: FloatImage, rng: np.random.Generator, qualities: tuple[int, int], jpeg_share: float) -> FloatImage:
    """The image as a file holds it: JPEG with a quality from this range in `jpeg_share` of the cases, else 8 bits."""
    return jpeg(image, int(rng.integers(*qualities))) if rng.random() < jpeg_share else to_8_bit(image)


def camera(image: FloatImage, rng: np.random.Generator, strength: float | None = None) -> FloatImage:
    """Poisson-Gaussian sensor noise in linear light, made coarse by demosaicing, then 8 bits or JPEG.

    Noise variance in linear light is a·x + b (shot and read noise; Foi et al., IEEE TIP 2008). The coarse part is the
    noise blurred by a small kernel, as by demosaicing and a camera's own denoiser, stronger in chroma. `strength` in
    [0,1]; if not given, drawn from the square of a uniform, because most files are clean.
    """
    s = rng.random() ** 2 if strength is None else strength
    linear = np.clip(image, 0, 1) ** 2.2
    shot, read = 0.03 * s * rng.uniform(0.3, 1), (0.03 * s * rng.uniform(0.2, 1)) ** 2
    noise = rng.standard_normal(image.shape, dtype=np.float32)
    if rng.random() < 0.7:
        noise = coarsen(noise, rng)
    noisy = linear + noise * np.sqrt(shot * linear + read).astype(np.float32)
    encoded = np.clip(noisy, 0, 1) ** np.float32(1 / 2.2)
    return as_file(encoded, rng, (75, 98), jpeg_share=0.6)


def coarsen(noise: FloatImage, rng: np.random.Generator) -> FloatImage:
    """Mix white noise with its 3x3 or 5x5 blur, and pull the colours together or apart; keeps unit variance.

    In real pairs (PolyU) neighbours correlate by 0.5 to 0.7.
    """
    blurred = noise.copy()
    for _ in range(int(rng.integers(1, 3))):
        for axis in (0, 1):
            blurred = (np.roll(blurred, 1, axis) + 2 * blurred + np.roll(blurred, -1, axis)) / 4
    blurred /= max(float(blurred.std()), 1e-6)
    share = rng.uniform(0, 1)
    mixed = (1 - share) * noise + share * blurred
    grey = mixed.mean(axis=2, keepdims=True)
    mixed = mixed + rng.uniform(-0.3, 0.7) * (grey - mixed)
    coarse: FloatImage = (mixed / max(float(mixed.std()), 1e-6)).astype(np.float32)
    return coarse
