"""The pixel flow: t = 1 is degraded, t = 0 is clean, x_t = t·y + (1−t)·x (IR-Flow, arXiv 2604.19680).

A network predicts one of two things, and each has its own step. The wrong step would leave part of the residual in
the picture, so every `Predictor` says which one it predicts:

    cumulative   D(x_t, t) = x_t − x      step t → t':  x_t' = x_t − (1 − t'/t)·D
    velocity     V(x_t, t) = y − x        step t → t':  x_t' = x_t − (t − t')·V

With an exact network every schedule ends exactly at x.

Strength s stops the flow part-way, at t_end = 1 − s: s = 0 is the input, s = 1 the whole restoration. Starting at
t < 1 instead would show the network a fully degraded picture as a less degraded one. Stopping early keeps to states
that it met in training, and the result is the path's own x_{1−s}.
"""

from __future__ import annotations

from collections.abc import Callable
from typing import Any, Literal, Protocol, get_args

import numpy as np
from numpy.typing import NDArray

from ..errors import UsageError

Target = Literal["cumulative", "velocity"]
GridKind = Literal["hand-set", "uniform"]

Pixels = NDArray[Any]
"""Any shape; float32 or float64, and the result has the same."""

# IR-Flow's released grids; each is denser near t = 0, where texture is decided.
_HAND_SET: dict[int, list[float]] = {
    2: [1.0, 0.2, 0.0],
    3: [1.0, 0.2, 0.1, 0.0],
    4: [1.0, 0.5, 0.25, 0.05, 0.0],
}


class Predictor(Protocol):
    """A network (or an oracle) that says which target it predicts."""

    @property
    def target(self) -> Target: ...

    def __call__(self, x: Pixels, t: float, /) -> Pixels:
        """The prediction at state `x` (any shape) and time `t` in (0, 1]; same shape and dtype as `x`."""
        ...


Step = Callable[[Predictor, Pixels, list[float], int], Pixels]
"""From the state at grid[index] to that at grid[index + 1]: (predict, x, grid, index) to the new x."""


def time_grid(steps: int, kind: GridKind = "hand-set") -> list[float]:
    """Times from 1 down to 0, `steps` + 1 of them; `hand-set` is uniform if no grid was set (K = 1, K > 4)."""
    if steps < 1:
        raise UsageError(f"{steps} steps is not a flow", "use at least one step")
    if kind not in get_args(GridKind):
        raise UsageError(f"unknown grid {kind!r}", f"choose {' or '.join(get_args(GridKind))}")
    if kind == "hand-set" and steps in _HAND_SET:
        return list(_HAND_SET[steps])
    return [(steps - i) / steps for i in range(steps + 1)]


def stop_at_strength(grid: list[float], strength: float) -> list[float]:
    """The same number of steps, ending at t = 1 − `strength` (0 to 1): t becomes 1 − strength·(1 − t)."""
    if strength == 1.0:
        return list(grid)
    return [1.0 - strength * (1.0 - t) for t in grid]


def displacement_weight(target: Target, t: float, t_next: float) -> float:
    """The factor of a prediction at `t` in a step to `t_next`; training's roll-outs use the same."""
    return 1.0 - t_next / t if target == "cumulative" else t - t_next


def sample(predict: Predictor, y: Pixels, grid: list[float], *, step: Step | None = None) -> Pixels:
    """Follow the flow from the degraded `y` along `grid`; same shape and dtype as `y`, which is not changed.

    step: a rule other than Euler's. Raises UsageError if `grid` does not fall from 1 towards 0.
    """
    check_grid(grid)
    x = y
    for index in range(len(grid) - 1):
        x = (step or euler_step)(predict, x, grid, index)
    return x.copy() if x is y else x


def euler_step(predict: Predictor, x: Pixels, grid: list[float], index: int) -> Pixels:
    """The state at grid[index + 1] from the state `x` at grid[index]."""
    t, t_next = grid[index], grid[index + 1]
    if t_next == t:  # strength 0: no step, so the network is not run
        return x
    return minus(x, displacement_weight(predict.target, t, t_next), predict(x, t))


def check_grid(grid: list[float]) -> None:
    """Raise UsageError unless the times start at 1 and fall (or stay, at strength 0) without passing 0."""
    falling = all(later <= earlier for earlier, later in zip(grid, grid[1:], strict=False))
    if len(grid) < 2 or grid[0] != 1.0 or not falling or grid[-1] < 0.0 or grid[-2] <= 0.0:
        raise UsageError(f"{grid} is not a time grid", "give times that fall from 1 to 0")


def minus(x: Pixels, weight: float, prediction: Pixels) -> Pixels:
    """x − weight·prediction with one temporary; weights are Python floats, so the dtype stays."""
    change: Pixels = prediction * weight
    np.subtract(x, change, out=change)
    return change
