"""The IR-Flow objective: straight path, multilevel times, cumulative or plain velocity.

x_t = t y + (1 - t) x                     the path, t = 1 degraded (IR-Flow, method "multilevel flows")
D*  = x_t - x = t (y - x)                 cumulative velocity: what is still to undo
D*  = y - x                               ordinary rectified-flow velocity, the baseline
"""

from __future__ import annotations

from typing import Literal

import torch
from torch import Tensor

Target = Literal["cumulative", "velocity"]


def draw_times(count: int, start_share: float, generator: torch.Generator) -> Tensor:
    """Times (count,) in [0,1]: exactly 1 with probability `start_share`, else uniform.

    One-step inference evaluates the net at t = 1 only, so a share of the samples stands there.
    """
    t = torch.rand(count, generator=generator)
    at_start = torch.rand(count, generator=generator) < start_share
    return torch.where(at_start, torch.ones(()), t)


def path_point(y: Tensor, x: Tensor, t: Tensor) -> Tensor:
    """x_t for images (B,C,H,W) and times (B,); at t = 1 it is y bit for bit."""
    weight = t[:, None, None, None]
    return weight * y + (1 - weight) * x


def flow_target(y: Tensor, x: Tensor, t: Tensor, target: Target) -> Tensor:
    """What the net is to predict at x_t."""
    if target == "velocity":
        return y - x
    return t[:, None, None, None] * (y - x)


def flow_loss(prediction: Tensor, wanted: Tensor, kind: Literal["l1", "l2"]) -> Tensor:
    """Mean absolute error, or the mean over samples of the root mean squared error.

    The root keeps a sample of much noise from outweighing one of little: PSNR, a logarithm, counts
    them alike.
    """
    error = prediction - wanted
    if kind == "l1":
        return error.abs().mean()
    return torch.sqrt(error.square().mean(dim=(1, 2, 3)) + 1e-8).mean()


def detail_loss(prediction: Tensor, wanted: Tensor) -> Tensor:
    """Mean absolute error of the first differences along rows and columns.

    In low light most of the error is the exposure, which no picture tells; it drowns what noise and
    grids add. Differences between neighbours see only the latter.
    """
    error = prediction - wanted
    across, down = error.diff(dim=3).abs().mean(), error.diff(dim=2).abs().mean()
    return across + down
