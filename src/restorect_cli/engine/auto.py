"""Decides from three measured numbers which repair a picture needs, and says why."""

from __future__ import annotations

from dataclasses import dataclass
from typing import Literal

import numpy as np
from numpy.typing import NDArray

from .prior import PriorInputs
from .source import Image

DARK_LIGHT = 0.05
"""Mean linear light below which a picture counts as dark; white is 1, a mid-grey card 0.18.

Means measured: dark halves of LOL pairs 0.001–0.02 and LIME 0.01–0.05 (three in four), against 0.06 and more for
ordinary photographs (Berkeley 0.09–0.54, bright halves of LOL pairs 0.07–0.58).
"""

DARK_HALF = 0.02
"""If the median of linear light is below this, most of the picture is dark, even when a bright sky or lamp lifts the
mean. Medians measured: all of LIME below 0.017, well-lit halves of LOL pairs from 0.02, 0.08 at the
10 % quantile.
"""

STRONG_NOISE = 6 / 255
"""Above this, noise disturbs more than dark parts do, unless the whole picture is dark."""

VISIBLE_NOISE = 1.5 / 255
"""Below this noise in the flattest tenth of the picture there is little to remove; clean files have 0.3–1.2 levels."""


@dataclass(frozen=True)
class TaskChoice:
    """A task, and one sentence that says why, with the measured numbers."""

    task: Literal["low-light", "denoise"]
    reason: str


def choose_task(inputs: PriorInputs) -> TaskChoice:
    """`low-light` if the picture is dark as a whole or in most of its area, else `denoise`.

    The low-light model also denoises, so noise decides only if the picture as a whole is not dark.
    """
    light = linear_light(inputs.thumb)
    mean, half = float(light.mean()), float(np.median(light))
    noise = float(np.mean(inputs.statistics[:3]))  # the 10 % quantiles of R, G and B
    noise_told = f"noise {255 * noise:.1f} of 255 levels"
    measured = f"mean light {100 * mean:.1f} % of white, {noise_told}"
    if mean < DARK_LIGHT:
        return TaskChoice("low-light", f"the picture is dark ({measured}); if that is intended, try --strength 0.4")
    if half < DARK_HALF and noise < STRONG_NOISE:
        reason = f"half of the picture is darker than {100 * half:.1f} % of white ({noise_told})"
        return TaskChoice("low-light", f"{reason}; if skies burn out, try --strength 0.5")
    if noise < VISIBLE_NOISE:
        reason = f"the picture is neither dark nor clearly noisy ({measured})"
        return TaskChoice("denoise", f"{reason}; if fine texture suffers, try --strength 0.5")
    return TaskChoice("denoise", f"the picture is noisy and not dark ({measured})")


def linear_light(thumb: Image) -> NDArray[np.float64]:
    """Luminance (Rec. 709) in linear light, (h, w) in 0 to 1, of an sRGB-encoded image clipped to [0, 1]."""
    encoded = np.clip(thumb, 0.0, 1.0)
    linear = np.where(encoded <= 0.04045, encoded / 12.92, ((encoded + 0.055) / 1.055) ** 2.4)
    light: NDArray[np.float64] = linear @ np.array([0.2126, 0.7152, 0.0722])
    return light
