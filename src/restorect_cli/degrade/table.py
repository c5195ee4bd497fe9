"""Degradations by name, as recipes name them.

Each takes a clean crop x (H,W,3), of any shape, and the clean whole picture at thumbnail size, and returns both
degraded alike. `averaged` is the shrinking factor the thumbnail stands for: its noise is that much
weaker. It is drawn, so that the prior cannot read noise from the thumbnail and learns to read it
from the statistics.
"""

from __future__ import annotations

from collections.abc import Callable, Sequence
from dataclasses import dataclass, field

import numpy as np

from . import darkness, noise, rain, raindrop
from .noise import FloatImage
from .rain import Layer, StreakBank, Streaks

MAX_SIGMA = 55.0  # 8-bit levels
BANK_LAYERS = 160


@dataclass(frozen=True)
class Scene:
    """A clean crop with what a degradation may need to know of the picture it came from.

    thumb: what the prior sees. whole: the picture as the crop stands, shrunk to any size; None if the crop is all.
    """

    crop: FloatImage
    thumb: FloatImage
    picture_height_px: int
    averaged: float
    whole: FloatImage | None = None


Degradation = Callable[[Scene, np.random.Generator], tuple[FloatImage, FloatImage]]


def _gaussian(scene: Scene, rng: np.random.Generator) -> tuple[FloatImage, FloatImage]:
    sigma = MAX_SIGMA * rng.random() ** 0.8  # a little more of the strong noise, which takes longest to learn
    return noise.gaussian(scene.crop, sigma, rng), noise.gaussian(scene.thumb, sigma / scene.averaged, rng)


def _gaussian_clipped(scene: Scene, rng: np.random.Generator) -> tuple[FloatImage, FloatImage]:
    y, thumb = _gaussian(scene, rng)
    return noise.to_8_bit(y), thumb


def _camera(scene: Scene, rng: np.random.Generator) -> tuple[FloatImage, FloatImage]:
    return noise.camera(scene.crop, rng), scene.thumb


def _darkness(scene: Scene, rng: np.random.Generator) -> tuple[FloatImage, FloatImage]:
    dark = darkness.Darkness.draw(rng)
    return darkness.finish(dark.apply(scene.crop, rng), rng), dark.apply(scene.thumb, rng, scene.averaged)


def _raindrop(scene: Scene, rng: np.random.Generator) -> tuple[FloatImage, FloatImage]:
    wet = raindrop.drops(scene.crop, rng, picture_height_px=scene.picture_height_px, whole=scene.whole)
    return rain.finish(wet, rng), _thumb_follows(scene, wet)


def _none(scene: Scene, rng: np.random.Generator) -> tuple[FloatImage, FloatImage]:
    return noise.to_8_bit(scene.crop), scene.thumb


def _thumb_follows(scene: Scene, degraded: FloatImage) -> FloatImage:
    """The thumbnail, moved by the crop's mean change: drops and streaks cover the whole picture alike."""
    change = (np.clip(degraded, 0, 1) - scene.crop).mean(axis=(0, 1))
    moved: FloatImage = np.clip(scene.thumb + change, 0, 1).astype(np.float32)
    return moved


@dataclass(frozen=True)
class Rain:
    """Light or heavy rain from a bank of layers."""

    bank: Streaks = field(repr=False)
    heavy: bool

    def __call__(self, scene: Scene, rng: np.random.Generator) -> tuple[FloatImage, FloatImage]:
        lay = rain.heavy_rain if self.heavy else rain.light_rain
        wet = lay(scene.crop, self.bank, rng)
        return rain.finish(wet, rng), _thumb_follows(scene, wet)


@dataclass(frozen=True)
class RainLayers:
    """Coloured rain layers taken from real or rendered pairs (input minus target), added as they are."""

    layers: Sequence[Layer] = field(repr=False)

    def __call__(self, scene: Scene, rng: np.random.Generator) -> tuple[FloatImage, FloatImage]:
        layer = self.layers[int(rng.integers(len(self.layers)))]
        rows, columns = scene.crop.shape[:2]
        missing = [(0, max(0, rows - layer.shape[0])), (0, max(0, columns - layer.shape[1])), (0, 0)]
        layer = np.pad(layer, missing, mode="symmetric")
        top, left = int(rng.integers(layer.shape[0] - rows + 1)), int(rng.integers(layer.shape[1] - columns + 1))
        piece = layer[top : top + rows, left : left + columns].astype(np.float32) / np.float32(255)
        if rng.random() < 0.5:
            piece = piece[:, ::-1]
        wet = scene.crop + piece * np.float32(rng.uniform(0.5, 1.3))
        return rain.finish(wet, rng), _thumb_follows(scene, wet)


SIMPLE: dict[str, Degradation] = {
    "gaussian": _gaussian,
    "gaussian-clipped": _gaussian_clipped,
    "camera": _camera,
    "darkness": _darkness,
    "raindrop": _raindrop,
    "none": _none,
}


def make(name: str, layers: Sequence[Layer] = (), seed: int = 0) -> Degradation:
    """The degradation called `name`; rain takes streak `layers` (H,W) or coloured ones (H,W,3) from files."""
    if name in ("rain-light", "rain-heavy"):
        return Rain(StreakBank.generate(seed, BANK_LAYERS, layers), heavy=name == "rain-heavy")
    if name == "rain-layers":
        return RainLayers(layers)
    return SIMPLE[name]
