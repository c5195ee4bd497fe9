"""Darkness: a well-lit photograph as an under-exposed camera would take it.

    dark = camera( (gain · cast · linear(x)) ^ (gamma / 2.2) )

The exposure gain is log-uniform in linear light; gamma bends the tone curve; the cast is a small error of white
balance; the noise grows as the exposure shrinks, because the same electrons are amplified more. Half of the draws are
evenly under-exposed (gamma near 1), half are backlit: exposed for the lights (gain near 1), with shadows crushed by a
gamma up to 2.6.
"""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np

from .noise import FloatImage, coarsen


@dataclass(frozen=True)
class Darkness:
    """One draw: exposure gain (linear light), tone-curve gamma, colour cast (3,), shot and read noise."""

    gain: float
    gamma: float
    cast: tuple[float, float, float]
    shot: float
    read: float
    coarse: bool = False  # noise correlated by demosaicing and enlargement, not white

    @staticmethod
    def draw(rng: np.random.Generator) -> Darkness:
        backlit = rng.random() < 0.5
        gain = float(np.exp(rng.uniform(np.log(0.25 if backlit else 0.008), np.log(1.0 if backlit else 0.6))))
        cast = np.exp(rng.normal(0, 0.05, 3))
        noise = rng.random() ** 2 * 0.006 * gain**0.5  # the square: most cameras are quiet, some are not
        return Darkness(
            gain=gain,
            gamma=float(rng.uniform(1.3, 2.6) if backlit else rng.uniform(0.9, 1.15)),
            cast=(float(cast[0]), float(cast[1]), float(cast[2])),
            shot=float(noise),
            read=float((rng.random() ** 2 * 0.01 * gain**0.5) ** 2),
            coarse=bool(rng.random() < 0.5),
        )

    def apply(self, image: FloatImage, rng: np.random.Generator | None, averaged: float = 1.0) -> FloatImage:
        """Return the dark image before 8-bit rounding, (H,W,3) in [0,1].

        `averaged` divides the noise, for a thumbnail whose pixels are means of averaged² pixels. Without a
        generator there is no noise.
        """
        linear = np.clip(image, 0, 1) ** np.float32(2.2) * np.asarray(self.cast, np.float32) * np.float32(self.gain)
        if rng is not None:
            noise = rng.standard_normal(image.shape, dtype=np.float32)
            noise = (coarsen(noise, rng) if self.coarse else noise) / np.float32(averaged)
            linear = linear + noise * np.sqrt(self.shot * linear + self.read).astype(np.float32)
        dark: FloatImage = np.clip(linear, 0, 1) ** np.float32(self.gamma / 2.2)
        return dark
