"""Multi-step consistency: the net is trained on the states that it meets when several steps are taken.

From the degraded picture y a roll-out follows an inference grid of K steps, 1 = t_0 > t_1 > ... > t_K = 0, and its
end is pulled to the clean picture x (IR-Flow, arXiv 2604.19680). The forms differ in where the gradient goes:

    inert   nowhere, as in IR-Flow's released code, whose roll-out runs without gradient: a number in the log
    full    through all K steps; each keeps its two ends only and is computed again on the way back (checkpointing)
    cheap   through one: x_j is reached without gradient, j drawn from 1 ... K-1, and from there one step goes
            straight to t = 0, so that the net is supervised exactly where inference takes it. (j = 0 would be the
            flow loss at t = 1 once more.)

Grids and step rules are those of `flow.py`, for cumulative and velocity targets alike.
"""

from __future__ import annotations

from collections.abc import Callable, Sequence
from typing import Literal

import torch
from torch import Tensor
from torch.utils.checkpoint import checkpoint

from ...engine.flow import Target, displacement_weight

Form = Literal["off", "inert", "full", "cheap"]

Predict = Callable[[Tensor, Tensor], Tensor]
"""The net at states (B,C,H,W) and times (B,); the prior is bound already."""


def take_step(predict: Predict, x: Tensor, t: float, t_next: float, target: Target) -> Tensor:
    """The same step as `flow.euler_step` for a batch at one time."""
    times = torch.full((len(x),), t, device=x.device)
    return x - displacement_weight(target, t, t_next) * predict(x, times)


def roll_out(predict: Predict, y: Tensor, grid: Sequence[float], target: Target) -> Tensor:
    """The states of a batch at the end of `grid`, starting at its first time from `y`."""
    x = y
    for t, t_next in zip(grid, grid[1:], strict=False):
        x = take_step(predict, x, t, t_next, target)
    return x


def restored(predict: Predict, y: Tensor, grid: Sequence[float], target: Target, form: Form, stop: int) -> Tensor:
    """The clean pictures that a roll-out of this form ends at, with gradient as far as the form has it.

    `stop` is cheap's j, in 1 ... len(grid) - 2.
    """
    if form == "full":

        def recomputed(x: Tensor, t: Tensor) -> Tensor:
            # No random numbers are drawn in the net, so there is no generator state to bring back.
            again: Tensor = checkpoint(predict, x, t, use_reentrant=False, preserve_rng_state=False)
            return again

        return roll_out(recomputed, y, grid, target)
    if form == "cheap":
        with torch.no_grad():
            x = roll_out(predict, y, grid[: stop + 1], target)
        return take_step(predict, x, grid[stop], 0.0, target)
    with torch.no_grad():
        return roll_out(predict, y, grid, target)
