"""Latent rectified flow (RestoRect, arXiv 2509.23480): generates a teacher's vector from the degraded picture alone.

    z_t = (1 - t) z_0 + t z_1          t = 0 the teacher's vector, t = 1 the start
    z <- z - v(z, t, c) / N            N Euler steps from t = 1, times 1, (N-1)/N, ..., 1/N

The steps are part of the net: differentiable, as many in training as in use, and from a fixed start, so the same
picture always gets the same vector. Training of the velocity draws starts from N(0,I); in use the start is their mean,
zero.
"""

from __future__ import annotations

import math
from dataclasses import dataclass

import torch
from torch import Tensor, nn
from torch.nn import functional as F


@dataclass(frozen=True)
class FlowShape:
    """Size of a latent flow."""

    latent_dim: int = 256
    condition_dim: int = 256
    width: int = 256
    blocks: int = 1
    time_features: int = 16
    steps: int = 4


class LatentVelocity(nn.Module):
    """v(z, t, c): state (B,latent_dim), time (B,) in [0,1], condition (B,condition_dim) -> (B,latent_dim).

    The released net ends in a leaky ReLU, so its velocity is never below a tenth of the features; this one ends in a
    linear layer.
    """

    frequencies: Tensor

    def __init__(self, shape: FlowShape) -> None:
        super().__init__()
        times = shape.time_features
        self.register_buffer("frequencies", math.pi * 2.0 ** torch.linspace(-1, 3, times // 2), persistent=False)
        self.inlet = nn.Linear(shape.condition_dim + times + shape.latent_dim, shape.width)
        self.blocks = nn.ModuleList(nn.Linear(shape.width, shape.width) for _ in range(shape.blocks))
        self.outlet = nn.Linear(shape.width, shape.latent_dim)

    def forward(self, z: Tensor, t: Tensor, c: Tensor) -> Tensor:
        h = self.inlet(torch.cat([c, self._time(t), z], dim=1))
        for block in self.blocks:
            h = h + block(F.silu(h))
        return self.outlet(h)  # type: ignore[no-any-return]

    def _time(self, t: Tensor) -> Tensor:
        phase = t[:, None] * self.frequencies[None]
        return torch.cat([phase.sin(), phase.cos()], dim=1)


class LatentFlow(nn.Module):
    """Condition (B,condition_dim) -> generated vector (B,latent_dim), differentiable through all steps."""

    def __init__(self, shape: FlowShape) -> None:
        super().__init__()
        self.shape = shape
        self.velocity = LatentVelocity(shape)

    def forward(self, condition: Tensor) -> Tensor:
        # Float32 under autocast, because two hundred numbers decide the exposure of the whole picture.
        with torch.autocast(condition.device.type, enabled=False):
            condition = condition.float()
            z = condition.new_zeros(condition.shape[0], self.shape.latent_dim)
            for step in range(self.shape.steps, 0, -1):
                t = torch.full_like(condition[:, 0], step / self.shape.steps)
                z = z - self.velocity(z, t, condition) / self.shape.steps
        return z
