"""Degradations by their names in recipes.

Each takes a clean crop x (H,W,3) of any shape and the clean whole picture at thumbnail size, and degrades both in the
same way. `averaged` is the factor that the thumbnail was shrunk by: its noise is that much weaker. The factor is drawn,
so the prior cannot read noise from the thumbnail and learns to read it from the statistics.
"""

from __future__ import annotations

from collections.abc import Callable, Sequence
from dataclasses import dataclass, field
from typing import Any, TypeVar

import numpy as np
from numpy.typing import NDArray

from . import darkness, noise, rain, raindrop
from .noise import FloatImage
from .rain import Layer, StreakBank, Streaks

MAX_SIGMA = 55.0  # 8-bit levels
BANK_LAYERS = 160

_Level = TypeVar("_Level", np.uint8, np.int16)


@dataclass(frozen=True)
class Scene:
    """A clean crop, and what a degradation may need to know of its picture.

    thumb: what the prior sees. whole: the picture in the crop's orientation, shrunk; None if the crop is the picture.
    """

    crop: FloatImage
    thumb: FloatImage
    picture_height_px: int
    averaged: float
    whole: FloatImage | None = None


Degradation = Callable[[Scene, np.random.Generator], tuple[FloatImage, FloatImage]]


def _gaussian(scene: Scene, rng: np.random.Generator) -> tuple[FloatImage, FloatImage]:
    sigma = MAX_SIGMA * rng.random() ** 0.8  # a little more strong noise, which takes longest to learn
    return noise.gaussian(scene.crop, sigma, rng), noise.gaussian(scene.thumb, sigma / scene.averaged, rng)


def _gaussian_clipped(scene: Scene, rng: np.random.Generator) -> tuple[FloatImage, FloatImage]:
    y, thumb = _gaussian(scene, rng)
    return noise.to_8_bit(y), thumb


def _camera(scene: Scene, rng: np.random.Generator) -> tuple[FloatImage, FloatImage]:
    return noise.camera(scene.crop, rng), scene.thumb


def _darkness(scene: Scene, rng: np.random.Generator) -> tuple[FloatImage, FloatImage]:
    dark = darkness.Darkness.draw(rng)
    y = noise.as_file(dark.apply(scene.crop, rng), rng, (80, 98), jpeg_share=0.4)
    return y, dark.apply(scene.thumb, rng, scene.averaged)


def _raindrop(scene: Scene, rng: np.random.Generator) -> tuple[FloatImage, FloatImage]:
    wet = raindrop.drops(scene.crop, rng, picture_height_px=scene.picture_height_px, whole=scene.whole)
    return _wet(scene, wet, rng)


def _none(scene: Scene, rng: np.random.Generator) -> tuple[FloatImage, FloatImage]:
    return noise.to_8_bit(scene.crop), scene.thumb


def _wet(scene: Scene, wet: FloatImage, rng: np.random.Generator) -> tuple[FloatImage, FloatImage]:
    """The wet crop as a file, and the thumbnail moved by its mean change: rain covers the whole picture evenly."""
    change = (np.clip(wet, 0, 1) - scene.crop).mean(axis=(0, 1))
    return noise.as_file(wet, rng, (80, 99), jpeg_share=0.4), np.clip(scene.thumb + change, 0, 1).astype(np.float32)


@dataclass(frozen=True)
class Rain:
    """Light or heavy rain from a bank of layers."""

    bank: Streaks = field(repr=False)
    heavy: bool

    def __call__(self, scene: Scene, rng: np.random.Generator) -> tuple[FloatImage, FloatImage]:
        lay = rain.heavy_rain if self.heavy else rain.light_rain
        wet = lay(scene.crop, self.bank, rng)
        return _wet(scene, wet, rng)


@dataclass(frozen=True)
class RainLayers:
    """Coloured rain layers from real or rendered pairs (input minus target), added unchanged."""

    layers: Sequence[Layer] = field(repr=False)

    def __call__(self, scene: Scene, rng: np.random.Generator) -> tuple[FloatImage, FloatImage]:
        layer = self.layers[int(rng.integers(len(self.layers)))]
        piece = _random_piece(layer, scene.crop.shape[:2], rng).astype(np.float32) / np.float32(255)
        if rng.random() < 0.5:
            piece = piece[:, ::-1]
        wet = scene.crop + piece * np.float32(rng.uniform(0.5, 1.3))
        return _wet(scene, wet, rng)


@dataclass(frozen=True)
class NoiseLayers:
    """Noise of a camera taken from pairs (input minus target), (H,W,3) int16 levels, added as it is."""

    layers: Sequence[NDArray[np.int16]] = field(repr=False)

    def __call__(self, scene: Scene, rng: np.random.Generator) -> tuple[FloatImage, FloatImage]:
        layer = self.layers[int(rng.integers(len(self.layers)))]
        piece = _random_piece(layer, scene.crop.shape[:2], rng).astype(np.float32) / np.float32(255)
        for axis in (0, 1):
            if rng.random() < 0.5:
                piece = np.flip(piece, axis)
        noisy = scene.crop + piece * np.float32(rng.uniform(0.5, 1.3))
        return noise.to_8_bit(noisy), scene.thumb  # a thumbnail averages it away


def _random_piece(layer: NDArray[_Level], shape: tuple[int, int], rng: np.random.Generator) -> NDArray[_Level]:
    """A piece of this shape (rows, columns) of a layer, which is continued by reflection where it is smaller."""
    rows, columns = shape
    missing = [(0, max(0, rows - layer.shape[0])), (0, max(0, columns - layer.shape[1])), (0, 0)]
    layer = np.pad(layer, missing, mode="symmetric")
    top, left = int(rng.integers(layer.shape[0] - rows + 1)), int(rng.integers(layer.shape[1] - columns + 1))
    return layer[top : top + rows, left : left + columns]


SIMPLE: dict[str, Degradation] = {
    "gaussian": _gaussian,
    "gaussian-clipped": _gaussian_clipped,
    "camera": _camera,
    "darkness": _darkness,
    "raindrop": _raindrop,
    "none": _none,
}


def make(name: str, layers: Sequence[NDArray[Any]] = (), seed: int = 0) -> Degradation:
    """The degradation called `name`; rain takes streak `layers` (H,W) or coloured ones (H,W,3), noise int16 ones."""
    if name in ("rain-light", "rain-heavy"):
        return Rain(StreakBank.generate(seed, BANK_LAYERS, layers), heavy=name == "rain-heavy")
    if name == "rain-layers":
        return RainLayers(layers)
    if name == "noise-layers":
        return NoiseLayers(layers)
    return SIMPLE[name]
