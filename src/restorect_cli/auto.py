"""Which repair does a picture need? Decided from two measured numbers, and the reason is told."""

from __future__ import annotations

from dataclasses import dataclass
from typing import Literal

import numpy as np

from .prior import PriorInputs
from .source import Image

DARK_LIGHT = 0.05
"""Mean linear light below which a picture counts as dark; white is 1, a mid-grey card 0.18.

Means measured: dark halves of LOL pairs 0.001–0.02 and LIME 0.01–0.05 (three in four), against 0.06 and more for
ordinary photographs (Berkeley 0.09–0.54, bright halves of LOL pairs 0.07–0.58).
"""

VISIBLE_NOISE = 1.5 / 255
"""Noise in the flattest tenth of the picture below which a denoiser changes little; clean files have 0.3–1.2 levels."""


@dataclass(frozen=True)
class Choice:
    """A task, and one sentence that says why, with the numbers."""

    task: Literal["low-light", "denoise"]
    reason: str


def choose_task(inputs: PriorInputs) -> Choice:
    """`low-light` for a dark picture, noisy or not (that student denoises as well), else `denoise`."""
    light = mean_light(inputs.thumb)
    noise = float(np.mean(inputs.statistics[:3]))  # the 10 % quantiles of R, G and B
    measured = f"mean light {100 * light:.1f} % of white, noise {255 * noise:.1f} of 255 levels"
    if light < DARK_LIGHT:
        return Choice("low-light", f"the picture is dark ({measured})")
    if noise < VISIBLE_NOISE:
        return Choice("denoise", f"the picture is neither dark nor clearly noisy, so expect little change ({measured})")
    return Choice("denoise", f"the picture is noisy and not dark ({measured})")


def mean_light(thumb: Image) -> float:
    """Mean luminance (Rec. 709) in linear light, 0 to 1, of an sRGB-encoded image; values are clipped to [0, 1]."""
    encoded = np.clip(thumb, 0.0, 1.0)
    linear = np.where(encoded <= 0.04045, encoded / 12.92, ((encoded + 0.055) / 1.055) ** 2.4)
    return float(np.mean(linear @ np.array([0.2126, 0.7152, 0.0722])))
