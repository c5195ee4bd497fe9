"""Which labels are kept: one that is no improvement teaches its fault.

Nobody knows the truth here, so the gate looks for what a good label hardly ever has. The bounds let pass nearly all
true pictures of LOL (dark ones are brightened tenfold, and colours with them), PolyU (whose files hold blocks of
JPEG) and real rain.
"""

from __future__ import annotations

import numpy as np
from numpy.typing import NDArray

from ..engine.source import Image

UNCHANGED = 0.6 / 255
"""Root mean square of the change, in full scale, below which a label shows nothing: eight bits round by 0.3 levels."""

CLIPPED_SHARE = 0.05  # of the picture's values, that only the label has at the end of the scale
CAST = 0.36  # change of a colour's share of the brightness
COLOURED_BLACK = 0.16  # spread of the three colours in what was the darkest tenth, beyond the input's own
BLOCKS = 2.0 / 255  # how much larger steps between neighbours are at the borders of a regular grid than elsewhere
BLOCK_SIDES = (8, 16, 32)


def fault(degraded: Image, label: Image) -> str | None:
    """Why the label (H,W,3) of a picture, both in [0, 1], is not to be learned from; None where it is."""
    if not np.isfinite(label).all():
        return "values that are not numbers"
    if float(np.sqrt(np.mean((label - degraded) ** 2))) < UNCHANGED:
        return "unchanged"
    added = _clipped_share(label) - _clipped_share(degraded)
    if added > CLIPPED_SHARE:
        return f"clipped: {added:.0%} more of it is black or white"
    cast = float(np.abs(_colour_shares(label) - _colour_shares(degraded)).max())
    if cast > CAST:
        return f"colour cast: a colour's share of the brightness changes by {cast:.2f}"
    black = _black_spread(degraded, label)
    if black > COLOURED_BLACK:
        return f"colour cast: black turns coloured, by {black:.2f}"
    gain = max(1.0, (float(label.mean()) + 0.01) / (float(degraded.mean()) + 0.01))
    blocks = blockiness(label) / gain - blockiness(degraded)
    if blocks > BLOCKS:
        return f"blocks: steps on a regular grid are {255 * gain * blocks:.1f} levels larger than elsewhere"
    return None


def _clipped_share(image: Image) -> float:
    return float(np.mean((image < 0.5 / 255) | (image > 254.5 / 255)))


def _colour_shares(image: Image) -> NDArray[np.float64]:
    """Of three colours the mean, over the mean of all; of black it is 1."""
    means = image.mean(axis=(0, 1), dtype=np.float64) + 0.01
    shares: NDArray[np.float64] = means / means.mean()
    return shares


def _black_spread(degraded: Image, label: Image) -> float:
    """How much farther the colours of the input's darkest tenth lie from each other in the label.

    Times as much as both are brighter they may: a dark red wall is a brighter red wall.
    """
    brightness = degraded.mean(axis=2)
    dark = brightness <= np.quantile(brightness, 0.1)
    before, after = degraded[dark].mean(axis=0), label[dark].mean(axis=0)
    gain = max(1.0, float(after.mean() + 0.01) / float(before.mean() + 0.01))
    return float(np.ptp(after)) - gain * float(np.ptp(before))


def blockiness(image: Image) -> float:
    """How much larger steps between neighbours are at the borders of the worst regular grid than elsewhere, in [0, 1].

    The median over all borders of a grid, so that an edge in the picture, which is at one place, does not count.
    """
    grey = image.mean(axis=2)
    worst = 0.0
    for axis in (0, 1):
        steps = np.abs(np.diff(grey, axis=axis)).mean(axis=1 - axis)
        for side in BLOCK_SIDES:
            borders = len(steps) // side
            if borders < 4:
                continue
            phases = np.median(steps[: borders * side].reshape(borders, side), axis=0)
            worst = max(worst, float(phases.max() - np.median(phases)))
    return worst
