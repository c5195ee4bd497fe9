"""Retinex decomposition: a picture as reflectance times illumination, I = R * L (RestoRect, arXiv 2509.23480).

Four 3x3 convolutions. The same form splits pictures (3 channels in) and, inside the teacher's transformer, features.
"""

from __future__ import annotations

import torch
from torch import Tensor, nn

LEAK = 0.2


class Decomposition(nn.Module):
    """Features or pictures (B,C,H,W) -> maps (B,4,H,W) >= 0: reflectance in channels 0 to 2, illumination in 3."""

    def __init__(self, channels: int = 3, width: int = 32) -> None:
        super().__init__()
        last = nn.Conv2d(width, 4, 3, padding=1)
        # A last ReLU that starts below zero everywhere would never recover, so start in the middle of the range.
        nn.init.constant_(last.bias, 0.5)  # type: ignore[arg-type]
        self.layers = nn.Sequential(
            nn.Conv2d(channels, width, 3, padding=1),
            nn.LeakyReLU(LEAK),
            nn.Conv2d(width, width, 3, padding=1),
            nn.LeakyReLU(LEAK),
            nn.Conv2d(width, width, 3, padding=1),
            nn.LeakyReLU(LEAK),
            last,
            nn.ReLU(),
        )

    def forward(self, x: Tensor) -> Tensor:
        return self.layers(x)  # type: ignore[no-any-return]


def reflectance(maps: Tensor) -> Tensor:
    """R (B,3,H,W) of maps (B,4,H,W)."""
    return maps[:, :3]


def illumination(maps: Tensor) -> Tensor:
    """L (B,1,H,W) of maps (B,4,H,W)."""
    return maps[:, 3:]


def recombined(maps: Tensor) -> Tensor:
    """R * L, the picture (B,3,H,W) that the maps (B,4,H,W) stand for."""
    return maps[:, :3] * maps[:, 3:]


def largest_colour(image: Tensor) -> Tensor:
    """max(R,G,B) (B,1,H,W) of pictures (B,3,H,W): the first guess of the illumination."""
    return torch.amax(image, dim=1, keepdim=True)
