"""The IR-Flow objective: straight path, multilevel times, cumulative or plain velocity.

x_t = t y + (1 - t) x                     the path, t = 1 degraded (IR-Flow, method "multilevel flows")
D*  = x_t - x = t (y - x)                 cumulative velocity: what is still to undo
D*  = y - x                               ordinary rectified-flow velocity, the baseline

With every sample at t = 1 (start_share = 1) both are the same: a plain one-step regressor, the other baseline.
"""

from __future__ import annotations

import math
from dataclasses import dataclass
from typing import Literal

import torch
from torch import Tensor, nn

from ..flow import Target, time_grid
from .consistency import Form, restored
from .nets.student import Student
from .recipe import Recipe

LossKind = Literal["l1", "l2"]


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


def sample_errors(prediction: Tensor, wanted: Tensor, kind: LossKind) -> Tensor:
    """Per sample (B,): mean absolute error, or root mean squared error.

    The root keeps a sample of much noise from outweighing one of little: PSNR, a logarithm, counts
    them alike.
    """
    error = prediction - wanted
    if kind == "l1":
        return error.abs().mean(dim=(1, 2, 3))
    return torch.sqrt(error.square().mean(dim=(1, 2, 3)) + 1e-8)


def detail_errors(prediction: Tensor, wanted: Tensor) -> Tensor:
    """Per sample (B,): mean absolute error of the first differences along rows and columns.

    In low light most of the error is the exposure, which no picture tells; it drowns what noise and
    grids add. Differences between neighbours see only the latter.
    """
    error = prediction - wanted
    return error.diff(dim=3).abs().mean(dim=(1, 2, 3)) + error.diff(dim=2).abs().mean(dim=(1, 2, 3))


@dataclass(frozen=True)
class Draws:
    """The random choices of one iteration, the same on every process that shares its batch."""

    t: Tensor  # (batch,)
    grid: tuple[float, ...]  # of the roll-out
    stop: int  # cheap's last step without gradient
    rolled: int  # so many samples, the first of the batch, enter the roll-out


def draw(recipe: Recipe, iteration: int) -> Draws:
    """Draws of iteration number `iteration`, which depend on nothing but the recipe and it."""
    generator = torch.Generator().manual_seed(recipe.seed * 1_000_003 + iteration)
    t = draw_times(recipe.batch, recipe.start_share, generator)
    if recipe.consistency == "off":
        return Draws(t, (1.0, 0.0), 0, 0)

    def choose(count: int) -> int:
        return int(torch.randint(count, (), generator=generator))

    steps = recipe.consistency_steps[choose(len(recipe.consistency_steps))]
    stop = 1 + choose(steps - 1)
    return Draws(t, tuple(time_grid(steps, recipe.grid)), stop, math.ceil(recipe.consistency_share * recipe.batch))


class Objective(nn.Module):
    """The student with its losses, as one module: DistributedDataParallel sees one forward per step."""

    def __init__(self, student: Student, recipe: Recipe) -> None:
        super().__init__()
        self.student = student
        self.target: Target = recipe.target
        self.form: Form = recipe.consistency
        self.detail_weight = recipe.detail_weight

    def forward(
        self,
        y: Tensor,
        x: Tensor,
        thumb: Tensor,
        statistics: Tensor,
        t: Tensor,
        draws: Draws,
        rolled: int,
        kind: LossKind,
    ) -> tuple[Tensor, Tensor]:
        """Errors per sample: of the flow (B,), and of the roll-outs of the first `rolled` samples (rolled,)."""
        z = self.student.prior(thumb, statistics)
        prediction = self.student.velocity(path_point(y, x, t), t, z)
        wanted = flow_target(y, x, t, self.target)
        flow = sample_errors(prediction, wanted, kind)
        if self.detail_weight:
            flow = flow + self.detail_weight * detail_errors(prediction, wanted)
        if rolled == 0:
            return flow, flow.new_zeros(0)
        own = z[:rolled]

        def predict(state: Tensor, times: Tensor) -> Tensor:
            return self.student.velocity(state, times, own)  # type: ignore[no-any-return]

        end = restored(predict, y[:rolled], draws.grid, self.target, self.form, draws.stop)
        return flow, sample_errors(end, x[:rolled], kind)
