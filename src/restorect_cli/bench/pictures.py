"""Reads test pictures as numbers, and adds the noise of the standard tests."""

from __future__ import annotations

import io
from pathlib import Path

import numpy as np

from .. import images
from ..engine.source import Image
from ..errors import InputError
from ..images.picture import FULL_SCALE, Picture
from .metrics import to_levels
from .pairing import Case


def read_rgb(path: Path) -> Image:
    """Stored values as H×W×3 float32 in [0, 1], without profile and alpha. Raises InputError."""
    return as_rgb(images.read(path))


def as_rgb(picture: Picture) -> Image:
    """The stored values of a picture as H×W×3 float32 in [0, 1]."""
    pixels = picture.pixels.astype(np.float32) / np.float32(FULL_SCALE.get(picture.meta.bits, 1))
    return np.repeat(pixels, 3, axis=2) if pixels.shape[2] == 1 else pixels


def add_noise(clean: Image, sigma: float, *, clipped: bool = False) -> Image:
    """Add Gaussian noise of `sigma` 8-bit levels, the same for every picture of a size.

    The generator restarts for each picture, so results do not depend on the order of the files.
    """
    noise = np.random.default_rng(0).standard_normal(clean.shape) * sigma / 255
    noisy: Image = (clean + noise).astype(np.float32)
    return (to_levels(noisy) / 255).astype(np.float32) if clipped else noisy


def load(case: Case, sigma: float | None, *, clipped: bool = False) -> tuple[Image, Image | None]:
    """The degraded picture and the clean one. Raises InputError, also if their sizes differ."""
    target = read_rgb(case.target) if case.target else None
    if sigma is not None:
        assert target is not None  # noise is added only to sets of clean pictures
        return add_noise(target, sigma, clipped=clipped), target
    assert case.degraded is not None
    degraded = read_rgb(case.degraded)
    if target is not None and degraded.shape != target.shape:
        sizes = " and ".join(f"{image.shape[1]}×{image.shape[0]}" for image in (degraded, target))
        raise InputError(
            f"{case.degraded} and its target have unequal sizes, {sizes}", "leave the pair out or correct it"
        )
    return degraded, target


def to_jpeg(image: Image, *, largest_px: int | None = None, quality: int = 90) -> bytes:
    """A JPEG for a report, shrunk if its longer side is more than `largest_px`."""
    from PIL import Image as PillowImage

    picture = PillowImage.fromarray(to_levels(image).astype(np.uint8))
    if largest_px is not None:
        picture.thumbnail((largest_px, largest_px), PillowImage.Resampling.LANCZOS)
    file = io.BytesIO()
    picture.save(file, "JPEG", quality=quality, subsampling=0)
    return file.getvalue()
