"""HVI, a colour space in which dark colours lie close together and red has no seam (HVI-CIDNet, arXiv 2502.20272).

    C = (sin(pi I / 2) + eps)^k      H = C S cos(2 pi h)      V = C S sin(2 pi h)      I = max(R,G,B)

with hue h in [0,1) and saturation S of HSV. The exponent k is fixed: a learned one would only make the loss small.
"""

from __future__ import annotations

import math

import torch
from torch import Tensor

K = 0.2
EPSILON = 1e-8
LOSS_EPSILON = 1 / 255
"""For the loss: below one level hue and saturation mean nothing, and their slope would have no bound."""


def to_hvi(image: Tensor, epsilon: float = EPSILON) -> Tensor:
    """RGB (B,3,H,W) in [0,1] -> (H, V, I): H and V in [-1,1], I in [0,1]."""
    red, green, blue = image.unbind(dim=1)
    value = image.amax(dim=1)
    chroma = value - image.amin(dim=1)
    grey = chroma == 0
    divisor = torch.where(grey, torch.ones_like(chroma), chroma)
    sextant = torch.where(
        value == red,
        (green - blue) / divisor,
        torch.where(value == green, 2 + (blue - red) / divisor, 4 + (red - green) / divisor),
    )
    angle = sextant * (math.pi / 3)  # 2 pi h with h = sextant / 6
    radius = _collapse(value, epsilon) * chroma / (value + epsilon)
    return torch.stack([radius * angle.cos(), radius * angle.sin(), value], dim=1)


def hvi_errors(prediction: Tensor, wanted: Tensor) -> Tensor:
    """Per sample (B,): sum of the mean absolute errors of H, V and I; the RGB pictures are clipped to [0,1]."""
    difference = to_hvi(prediction.clamp(0, 1), LOSS_EPSILON) - to_hvi(wanted.clamp(0, 1), LOSS_EPSILON)
    return difference.abs().sum(dim=1).mean(dim=(1, 2))


def _collapse(value: Tensor, epsilon: float) -> Tensor:
    return ((math.pi / 2 * value).sin() + epsilon) ** K
