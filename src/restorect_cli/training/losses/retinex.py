"""Losses of the Retinex decomposition nets, I = R * L (RestoRect, arXiv 2509.23480).

The released code computed its constraints without a gradient and added the directional derivatives of an edge-stopped
gradient. These constraints train the nets, and diffusion is a true divergence.
"""

from __future__ import annotations

import torch
from torch import Tensor
from torch.nn import functional as F

from ..nets.retinex import illumination, largest_colour, recombined, reflectance

EDGE = 0.0125
"""Gradient per pixel, three levels, above which diffusion stops: 0.1 in Sobel's operator, which counts eightfold.

Fixed, because a learned one would shrink until nothing diffuses and the texture term is zero.
"""


def diffusion(image: Tensor, edge: float = EDGE) -> Tensor:
    """Perona and Malik's div(c grad u), c = exp(-(|grad u| / edge)^2), per channel of (B,C,H,W).

    Fluxes between neighbours, none across the border: what leaves one pixel enters the next, so the sum over the
    picture is zero.
    """
    across, down = image.diff(dim=3), image.diff(dim=2)
    squares = _pixelwise(across, 3).square() + _pixelwise(down, 2).square()
    conduction = torch.exp(-(squares / edge**2).clamp(max=10))
    flux_x = across * (conduction[..., 1:] + conduction[..., :-1]) / 2
    flux_y = down * (conduction[..., 1:, :] + conduction[..., :-1, :]) / 2
    return F.pad(flux_x, (0, 1)) - F.pad(flux_x, (1, 0)) + F.pad(flux_y, (0, 0, 0, 1)) - F.pad(flux_y, (0, 0, 1, 0))


def _pixelwise(differences: Tensor, dim: int) -> Tensor:
    """Differences between neighbours -> central differences at the pixels, with zero beyond the border."""
    end = (0, 1) if dim == 3 else (0, 0, 0, 1)
    start = (1, 0) if dim == 3 else (0, 0, 1, 0)
    return (F.pad(differences, end) + F.pad(differences, start)) / 2


def texture_errors(maps: Tensor, image: Tensor) -> Tensor:
    """Per sample (B,): mean absolute difference between the diffusion of R and of the picture, in units of `EDGE`."""
    return (diffusion(reflectance(maps)) - diffusion(image)).abs().mean(dim=(1, 2, 3)) / EDGE


def illumination_roughness(maps: Tensor) -> Tensor:
    """Per sample (B,): mean squared slope of L, with weight exp(-|slope|), which spares edges."""
    light = illumination(maps)
    right, below = F.pad(light.diff(dim=3), (0, 1)), F.pad(light.diff(dim=2), (0, 0, 0, 1))
    weight = torch.exp(-torch.sqrt(right.square() + below.square() + 1e-12))
    return ((weight * right).square() + (weight * below).square()).mean(dim=(1, 2, 3))


def decomposition_errors(low: Tensor, high: Tensor, degraded: Tensor, clean: Tensor) -> Tensor:
    """Per sample (B,): the loss of both nets, with maps (B,4,H,W) `low` of `degraded` and `high` of `clean` (B,3,H,W).

    R * L equals the picture; L is smooth and near the largest colour; both pictures have the same R; R of the clean
    picture, whose light is nearly even, diffuses like the picture.
    """
    low, high = low.float(), high.float()
    terms = [0.1 * (reflectance(low) - reflectance(high)).abs().mean(dim=(1, 2, 3)), 0.05 * texture_errors(high, clean)]
    for maps, image in ((low, degraded), (high, clean)):
        terms.append((recombined(maps) - image).abs().mean(dim=(1, 2, 3)))
        terms.append(0.1 * (illumination(maps) - largest_colour(image)).square().mean(dim=(1, 2, 3)))
        terms.append(0.05 * illumination_roughness(maps))
    return torch.stack(terms).sum(dim=0)
