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

from ...engine.flow import Target, time_grid
from ...recipes.recipe import Recipe
from ..nets.student import Student
from ..ranks import Ranks
from .consistency import Form, restored
from .stage import Stage, Tensors

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
    t = draw_times(recipe.batch_at(iteration), recipe.start_share, generator)
    if recipe.consistency == "off":
        return Draws(t, (1.0, 0.0), 0, 0)

    def choose(count: int) -> int:
        return int(torch.randint(count, (), generator=generator))

    steps = recipe.consistency_steps[choose(len(recipe.consistency_steps))]
    stop = 1 + choose(steps - 1)
    return Draws(
        t, tuple(time_grid(steps, recipe.grid)), stop, math.ceil(recipe.consistency_share * recipe.batch_at(iteration))
    )


class Objective(Stage):
    """A student with the losses of IR-Flow: of the flow, and of roll-outs of a share of the batch."""

    def __init__(self, student: Student, recipe: Recipe, ranks: Ranks) -> None:
        super().__init__()
        self.net = self.student = student
        self.recipe, self.ranks = recipe, ranks
        live = recipe.consistency in ("full", "cheap")
        self.weights = {"flow": 1.0, "consistency": recipe.consistency_weight if live else 0.0}

    def forward(self, batch: Tensors, iteration: int) -> dict[str, Tensor]:
        draws = draw(self.recipe, iteration)
        t = self.ranks.share(draws.t).to(batch.y.device)
        z = self.student.prior(batch.thumb, batch.statistics)
        prediction = self.student.velocity(path_point(batch.y, batch.x, t), t, z)
        return self.terms(batch, iteration, draws, t, z, prediction)

    def terms(
        self, batch: Tensors, iteration: int, draws: Draws, t: Tensor, z: Tensor, prediction: Tensor
    ) -> dict[str, Tensor]:
        """Both terms, of what the velocity net predicts at times t (B,) under the priors z."""
        recipe, kind = self.recipe, self.loss_kind(iteration)
        wanted = flow_target(batch.y, batch.x, t, recipe.target)
        flow = sample_errors(prediction, wanted, kind)
        if recipe.detail_weight:
            flow = flow + recipe.detail_weight * detail_errors(prediction, wanted)
        terms = {"flow": flow.sum() / recipe.batch_at(iteration)}
        if draws.rolled:
            rolled = self.ranks.share_of(draws.rolled)
            terms["consistency"] = self._rolled_out(batch, draws, z, rolled, kind).sum() / draws.rolled
        return terms

    def loss_kind(self, iteration: int) -> LossKind:
        """Squares are for the end of a run."""
        return "l2" if iteration >= self.recipe.iterations * (1 - self.recipe.final_l2) else self.recipe.loss

    def _rolled_out(self, batch: Tensors, draws: Draws, z: Tensor, rolled: int, kind: LossKind) -> Tensor:
        """Errors (rolled,) of the ends of roll-outs of the first `rolled` samples."""
        if rolled == 0:  # this process has none of those of the batch
            return batch.y.new_zeros(0)
        own = z[:rolled]

        def predict(state: Tensor, times: Tensor) -> Tensor:
            return self.student.velocity(state, times, own)  # type: ignore[no-any-return]

        form: Form = self.recipe.consistency
        end = restored(predict, batch.y[:rolled], draws.grid, self.recipe.target, form, draws.stop)
        return sample_errors(end, batch.x[:rolled], kind)

    def restored(self, net: nn.Module, batch: Tensors) -> dict[str, Tensor]:
        """One step from t = 1."""
        start = torch.ones(len(batch.y), device=batch.y.device)
        return {"": batch.y - net(batch.y, start, batch.thumb, batch.statistics)}

    def inner_convolutions(self) -> list[Tensor]:
        return self.student.inner_convolutions()
