"""NIQE: the distance of a picture's statistics from those of clean photographs; needs no reference.

    niqe(image)        about 3 for a clean photograph, more for a degraded one

It is for pictures without a clean counterpart: LIME, DICM, NPE, MEF, VV and your own photographs. For these it and the
blur effect are the only numbers.

Mittal, Soundararajan, Bovik: Making a "completely blind" image quality analyzer, IEEE SPL 2013. The features are
the paper's; patches overlap, and `scripts/fit_niqe.py` fitted our own pristine model. So compare values with each
other, not with those of other implementations.
"""

from __future__ import annotations

import math
from dataclasses import dataclass
from functools import cache
from importlib import resources

import numpy as np
from numpy.typing import NDArray
from PIL import Image as PillowImage

from ..engine.source import Image
from ..errors import InputError
from .metrics import gaussian_means, to_levels

Array = NDArray[np.float64]

PATCH_PX = 96
CELLS = 3  # a patch is 3×3 cells, and the next starts one cell further
STRIDE_PX = PATCH_PX // CELLS
"""Unlike in the authors' code, patches overlap and grey levels are not rounded.

With adjacent patches and rounded grey, NIQE grew strictly over five levels of blur in only half of the clean
photographs, because the steps of 8 bits dominate once blur leaves no contrast. Now it grows in 99 % of 112 photographs
that the model was not fitted to, over five levels of blur, noise and JPEG (`scripts/fit_niqe.py --check-only`).
"""
FEATURES = 36  # 18 at each of two scales
FLAT_LEVELS = 1e-3  # a patch that deviates less holds only rounding errors

_WINDOW_RADIUS, _WINDOW_SIGMA = 3, 7 / 6
_SHIFTS = ((0, 1), (1, 0), (1, 1), (1, -1))  # horizontal, vertical and the two diagonal neighbours
_SHAPES = np.arange(0.2, 10.001, 0.001)  # of the generalised Gaussian, the authors' search grid


@dataclass(frozen=True)
class PristineModel:
    """Mean (36,) and covariance (36, 36) of the features of sharp patches of clean photographs."""

    mean: Array
    covariance: Array


@cache
def pristine_model() -> PristineModel:
    """The model that comes with the package."""
    with resources.files(__package__).joinpath("niqe_model.npz").open("rb") as file, np.load(file) as stored:
        return PristineModel(stored["mean"].astype(np.float64), stored["covariance"].astype(np.float64))


def niqe(image: Image) -> float:
    """Distance of an H×W×3 image in [0, 1] from clean photographs, 0 upwards; 8-bit RGB, no crop.

    Raises InputError for a picture smaller than two patches or without any texture.
    """
    model = pristine_model()
    features, _ = patch_features(image)
    features = features[np.isfinite(features).all(axis=1)]
    if len(features) < 2:
        raise InputError("the picture is too small or too flat for NIQE", f"it needs two patches of {PATCH_PX} pixels")
    apart = features.mean(axis=0) - model.mean
    pooled = (model.covariance + np.cov(features, rowvar=False)) / 2
    return float(np.sqrt(max(0.0, apart @ np.linalg.pinv(pooled) @ apart)))


def patch_features(image: Image) -> tuple[Array, Array]:
    """Features (patches, 36), nan where flat, and sharpness (patches,) of the overlapping patches, row by row."""
    grey = to_levels(image) @ np.array([0.2989, 0.5870, 0.1140])  # MATLAB's rgb2gray
    height, width = (side // STRIDE_PX * STRIDE_PX for side in grey.shape)
    if min(height, width) < PATCH_PX:
        return np.empty((0, FEATURES)), np.empty(0)
    grey = grey[:height, :width]
    fine, deviation = _normalised(grey)
    coarse, _ = _normalised(_halved(grey))
    rows = np.hstack([_features(fine, STRIDE_PX), _features(coarse, STRIDE_PX // 2)])
    sharpness = _patch_sums(_cell_sums(deviation, STRIDE_PX)).ravel() / PATCH_PX**2
    rows[sharpness < FLAT_LEVELS] = np.nan
    return rows, sharpness


def _normalised(grey: Array) -> tuple[Array, Array]:
    """Mean-subtracted, contrast-normalised grey levels, and the local deviation."""
    mean = _blurred(grey)
    deviation = np.sqrt(np.abs(_blurred(grey * grey) - mean * mean))
    return (grey - mean) / (deviation + 1), deviation


def _blurred(plane: Array) -> Array:
    return gaussian_means(np.pad(plane, _WINDOW_RADIUS, mode="edge"), _WINDOW_RADIUS, _WINDOW_SIGMA)


def _halved(grey: Array) -> Array:
    """Half the size by antialiased bicubic interpolation, as in MATLAB's imresize."""
    plane = PillowImage.fromarray(grey.astype(np.float32))
    size = (grey.shape[1] // 2, grey.shape[0] // 2)
    return np.asarray(plane.resize(size, PillowImage.Resampling.BICUBIC), np.float64)


def _cell_sums(planes: Array, cell: int) -> Array:
    """Sums over squares of `cell` pixels a side: (..., H, W) to (..., H/cell, W/cell)."""
    *rest, height, width = planes.shape
    sums: Array = planes.reshape(*rest, height // cell, cell, width // cell, cell).sum(axis=(-3, -1))
    return sums


def _patch_sums(cells: Array) -> Array:
    """Sums over patches of 3×3 cells, one cell apart: (..., rows, columns)."""
    windows = np.lib.stride_tricks.sliding_window_view(cells, (CELLS, CELLS), axis=(-2, -1))
    sums: Array = windows.sum(axis=(-2, -1))
    return sums


def _features(plane: Array, cell: int) -> Array:
    """Shape and width of the values, then shape, mean and both widths of the products of neighbours: (patches, 18).

    Only sums over cells are kept, strip by strip, so overlapping patches cost no more than others, and large pictures
    need little memory.
    """
    strips = []
    for top in range(0, len(plane), cell):
        strip = plane[np.arange(top - 1, top + cell)]  # the last row precedes the first: the authors shift in a ring
        here, above = strip[1:], strip[:-1]
        neighbours = (np.roll(here, 1, axis=1), above, np.roll(above, 1, axis=1), np.roll(above, -1, axis=1))
        values = np.stack([here, *(here * other for other in neighbours)])
        magnitudes, left, right = np.abs(values), values < 0, values > 0
        squares = values * values
        sides = (squares * left, squares * right, left, right)
        strips.append(_cell_sums(np.stack([magnitudes, squares, *sides]), cell))
    means = _patch_sums(np.concatenate(strips, axis=-2)) / (CELLS * cell) ** 2
    by_plane = means.reshape(*means.shape[:2], -1).swapaxes(0, 1)  # (5 planes, 6 means, patches)
    (shape, _, below, beyond), *products = (_asymmetric_gaussian(*of_plane) for of_plane in by_plane)
    return np.stack([shape, (below + beyond) / 2, *(column for product in products for column in product)], axis=1)


def _asymmetric_gaussian(
    magnitude: Array, square: Array, left_square: Array, right_square: Array, left_share: Array, right_share: Array
) -> list[Array]:
    """Shape, mean, left and right width of values with these means (Lasmar, Stitou, Berthoumieu 2009); nan if constant.

    A side's squares are zero for values on the other side; its share is the share of values on that side.
    """
    with np.errstate(divide="ignore", invalid="ignore"):
        left, right = np.sqrt(left_square / left_share), np.sqrt(right_square / right_share)
        ratio = left / right
        target = magnitude**2 / square * (ratio**3 + 1) * (ratio + 1) / (ratio**2 + 1) ** 2
    first, second, third, spreads = _gamma_tables()
    known = np.isfinite(target)
    index = np.clip(np.searchsorted(spreads, np.where(known, target, 0)), 0, len(_SHAPES) - 1)
    shape: Array = np.where(known, _SHAPES[index], np.nan)
    width: Array = np.sqrt(first[index] / third[index])
    left, right = left * width, right * width
    return [shape, (right - left) * second[index] / first[index], left, right]


@cache
def _gamma_tables() -> tuple[Array, Array, Array, Array]:
    """Γ(1/a), Γ(2/a), Γ(3/a) and Γ(2/a)²/(Γ(1/a)Γ(3/a)), which grows with the shape a."""
    first, second, third = (np.array([math.gamma(k / shape) for shape in _SHAPES]) for k in (1, 2, 3))
    return first, second, third, second**2 / (first * third)
