"""Rain: layers of bright streaks, laid over a photograph singly (light) or crossing (heavy).

    y = x + sum_i a_i S_i            additive, the model of Rain100L/H (Yang et al., CVPR 2017)
    y = 1 - (1 - x)(1 - a S)         screen: translucent drops brighten a bright scene
    y = (1 - v) y + v A              veil: far rain without visible streaks

A streak is a drop's path during the exposure (Garg & Nayar): long, thin, brightest in the middle, near-vertical with
the wind's slant. Layers come from picture files, or are generated here as sparse seeds convolved with oriented kernels.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from typing import Protocol

import numpy as np
from numpy.typing import NDArray
from PIL import Image

from .noise import FloatImage

LAYER_SHAPE = (288, 384)  # rows, columns of a generated layer; FFT-friendly
LARGEST_LAYER = (1024, 1536)  # made for one picture; beyond it, streaks repeat
OWN_SCALES = (0.7, 1.4)  # by which generated layers are resized
Layer = NDArray[np.uint8]


def streak_kernel(length_px: float, width_px: float, angle_degrees: float) -> FloatImage:
    """One streak with peak 1, square and odd-sized; 0 degrees is vertical, positive leans right at the top."""
    radius = int(np.ceil(length_px / 2 + 2 * width_px))
    rows, columns = np.mgrid[-radius : radius + 1, -radius : radius + 1].astype(np.float32)
    lean = np.deg2rad(angle_degrees)
    along = -rows * np.cos(lean) + columns * np.sin(lean)
    across = rows * np.sin(lean) + columns * np.cos(lean)
    # Flat in the middle, soft at the ends, Gaussian across.
    body = np.clip((length_px / 2 - np.abs(along)) / (0.3 * length_px) + 0.5, 0, 1)
    kernel = body * np.exp(-0.5 * (across / (0.42 * width_px)) ** 2)
    peak_one: FloatImage = (kernel / kernel.max()).astype(np.float32)
    return peak_one


def generate_layer(rng: np.random.Generator, heavy: bool, shape: tuple[int, int] = LAYER_SHAPE) -> Layer:
    """One layer of streaks on black, `shape` uint8.

    Light rain is sparse with one direction; heavy rain is dense, with longer and wider streaks whose directions
    spread. Lengths, widths and brightness vary within a layer.
    """
    wind = rng.normal(0, 16)
    spread = rng.uniform(1, 12) if heavy else rng.uniform(0, 3)
    length = np.exp(rng.uniform(np.log(12), np.log(140 if heavy else 70)))
    width = rng.uniform(1.0, 4.5 if heavy else 3.0)
    cover = rng.uniform(0.03, 0.35) if heavy else rng.uniform(0.005, 0.09)  # share of pixels under a streak
    canvas = np.zeros(shape, np.float32)
    kinds = int(rng.integers(4, 8)) if heavy else int(rng.integers(3, 6))
    for _ in range(kinds):
        own_length, own_width = length * rng.uniform(0.5, 1.3), max(0.8, width * rng.uniform(0.6, 1.3))
        kernel = streak_kernel(own_length, own_width, wind + rng.normal(0, spread))
        density = cover / kinds / (own_length * own_width)
        seeds = (rng.random(shape) < density) * rng.uniform(0.25, 1, shape)
        canvas = np.maximum(canvas, _convolve(seeds.astype(np.float32), kernel))
    if rng.random() < 0.5:  # streaks break up where the drop wobbles
        canvas *= 0.6 + 0.4 * _smooth_noise(rng, shape)
    return np.round(np.clip(canvas, 0, 1) * 255).astype(np.uint8)


def _convolve(seeds: FloatImage, kernel: FloatImage) -> FloatImage:
    """Circular convolution: streaks wrap around the layer's border."""
    padded = np.zeros_like(seeds)
    kernel = kernel[: padded.shape[0], : padded.shape[1]]
    padded[: kernel.shape[0], : kernel.shape[1]] = kernel
    product = np.fft.rfft2(seeds) * np.fft.rfft2(padded)
    return np.fft.irfft2(product, s=seeds.shape).astype(np.float32)


def _smooth_noise(rng: np.random.Generator, shape: tuple[int, int]) -> FloatImage:
    coarse = Image.fromarray(rng.random((shape[0] // 12, shape[1] // 12)).astype(np.float32))
    return np.asarray(coarse.resize((shape[1], shape[0]), Image.Resampling.BICUBIC), np.float32)


class Streaks(Protocol):
    """A source of rain layers."""

    def layer(self, shape: tuple[int, int], heavy: bool, rng: np.random.Generator) -> FloatImage:
        """A random layer for a picture of this `shape` (rows, columns), in [0,1]."""
        ...


@dataclass(frozen=True)
class StreakBank:
    """Layers to draw from: generated once from a seed, and any from files."""

    light: Sequence[Layer]
    heavy: Sequence[Layer]
    files: Sequence[Layer] = ()

    @staticmethod
    def generate(seed: int, count: int, files: Sequence[Layer] = ()) -> StreakBank:
        """`count` layers of each kind, the same for the same seed."""
        rng = np.random.default_rng([seed, 5])
        light = [generate_layer(rng, heavy=False) for _ in range(count)]
        heavy = [generate_layer(rng, heavy=True) for _ in range(count)]
        return StreakBank(light, heavy, files)

    def layer(self, shape: tuple[int, int], heavy: bool, rng: np.random.Generator) -> FloatImage:
        """A random piece of a random layer, mirrored and scaled at random."""
        own = self.heavy if heavy else self.light
        from_files = len(self.files) > 0 and rng.random() < 0.5
        layers = self.files if from_files else own
        layer = layers[int(rng.integers(len(layers)))]
        scale = _draw_scale(rng, (OWN_SCALES[0], 2.0) if from_files else OWN_SCALES)
        return _lay_out(layer, shape, scale, rng, wraps=not from_files)


@dataclass(frozen=True)
class FreshStreaks:
    """Makes a new layer for every picture, so no two pictures of any size share a streak."""

    def layer(self, shape: tuple[int, int], heavy: bool, rng: np.random.Generator) -> FloatImage:
        """A new layer, scaled at random like those of a bank."""
        scale = _draw_scale(rng, OWN_SCALES)
        wanted = (-(-round(extent / scale) // 32) * 32 for extent in shape)  # multiples of 32 make the FFT fast
        rows, columns = (
            max(least, min(most, extent))
            for least, most, extent in zip(LAYER_SHAPE, LARGEST_LAYER, wanted, strict=True)
        )
        return _lay_out(generate_layer(rng, heavy, (rows, columns)), shape, scale, rng, wraps=True)


def _draw_scale(rng: np.random.Generator, between: tuple[float, float]) -> float:
    return float(np.exp(rng.uniform(np.log(between[0]), np.log(between[1]))))


def _lay_out(layer: Layer, shape: tuple[int, int], scale: float, rng: np.random.Generator, wraps: bool) -> FloatImage:
    """A random window of `layer`, enlarged by `scale` to `shape`; [0,1].

    If the window is larger, a layer that `wraps` is repeated, and any other is enlarged further.
    """
    rows, columns = (max(8, round(extent / scale)) for extent in shape)
    if wraps:
        missing = [(0, extent if extent > own else 0) for extent, own in zip((rows, columns), layer.shape, strict=True)]
        layer = np.pad(layer, missing, mode="wrap")
    else:
        fit = min(1.0, layer.shape[0] / rows, layer.shape[1] / columns)
        rows, columns = (max(1, round(extent * fit)) for extent in (rows, columns))
    top, left = (int(rng.integers(own - extent + 1)) for own, extent in zip(layer.shape, (rows, columns), strict=True))
    piece = layer[top : top + rows, left : left + columns]
    if rng.random() < 0.5:
        piece = piece[:, ::-1]
    image = Image.fromarray(np.ascontiguousarray(piece)).resize(shape[::-1], Image.Resampling.BILINEAR)
    scaled: FloatImage = np.asarray(image, np.float32) / np.float32(255)
    return scaled


def light_rain(image: FloatImage, bank: Streaks, rng: np.random.Generator) -> FloatImage:
    """One or two thin layers over `image` (H,W,3); not yet clipped."""
    rain = np.zeros(image.shape[:2], np.float32)
    for _ in range(1 + (rng.random() < 0.35)):
        rain = np.maximum(rain, rng.uniform(0.25, 1.0) * bank.layer(_shape(image), False, rng))
    return _lay(image, rain, rng, screen_share=0.25, veil=0.0)


def heavy_rain(image: FloatImage, bank: Streaks, rng: np.random.Generator) -> FloatImage:
    """Three to eight dense layers that cross, sometimes with a veil; not yet clipped.

    As strong as average pairs of heavy rain (Rain100H style: the input has a Y-PSNR of 11 to 15 dB).
    """
    rain = np.zeros(image.shape[:2], np.float32)
    strength = rng.uniform(0.5, 1.4)
    for _ in range(int(rng.integers(3, 9))):
        layer = strength * rng.uniform(0.6, 1.1) * bank.layer(_shape(image), rng.random() < 0.75, rng)
        rain = rain + layer if rng.random() < 0.5 else np.maximum(rain, layer)
    veil = rng.uniform(0, 0.25) if rng.random() < 0.25 else 0.0
    return _lay(image, np.minimum(rain, np.float32(1.2)), rng, screen_share=0.15, veil=veil)


def _shape(image: FloatImage) -> tuple[int, int]:
    return image.shape[0], image.shape[1]


def _lay(image: FloatImage, rain: FloatImage, rng: np.random.Generator, screen_share: float, veil: float) -> FloatImage:
    tint = 1 + rng.normal(0, 0.02, 3)
    layer = rain[..., None] * tint.astype(np.float32)
    wet = 1 - (1 - image) * (1 - np.minimum(layer, 1)) if rng.random() < screen_share else image + layer
    if veil:
        wet = (1 - veil) * wet + veil * rng.uniform(0.6, 0.95)
    return wet.astype(np.float32)
