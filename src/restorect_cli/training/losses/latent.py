"""Losses of the latent flow: of its velocity on the path, and of its final vectors (RestoRect, arXiv 2509.23480)."""

from __future__ import annotations

import torch
from torch import Tensor

from ..nets.latent import LatentFlow


def velocity_errors(flow: LatentFlow, condition: Tensor, wanted: Tensor, noise: Tensor, t: Tensor) -> Tensor:
    """Per sample (B,): mean squared error of the velocity at z_t = (1-t) z_0 + t z_1, whose target is z_1 - z_0.

    `wanted` is z_0 (B,n), the teacher's vector, which gets no gradient; `noise` z_1 ~ N(0,I); t (B,) in [0,1].
    """
    start = wanted.detach()
    state = torch.lerp(start, noise, t[:, None])
    with torch.autocast(start.device.type, enabled=False):
        velocity: Tensor = flow.velocity(state, t, condition.float())
    return (velocity - (noise - start)).square().mean(dim=1)


def vector_errors(generated: Tensor, wanted: Tensor) -> Tensor:
    """Per sample (B,): mean absolute difference from the teacher's vector (B,n), which gets no gradient."""
    return (generated - wanted.detach()).abs().mean(dim=1)
