"""Oracle networks, which know the clean picture, must end exactly at it on every grid."""

from __future__ import annotations

from dataclasses import dataclass, field

import numpy as np
import pytest

from restorect_cli.engine.flow import displacement_weight, sample, stop_at_strength, time_grid
from restorect_cli.errors import UsageError

RNG = np.random.default_rng(0)
CLEAN = RNG.random((5, 4, 3))
DEGRADED = CLEAN + RNG.standard_normal((5, 4, 3))


@dataclass
class Oracle:
    target: str
    asked: list[float] = field(default_factory=list)

    def __call__(self, x, t):
        self.asked.append(t)
        return x - CLEAN if self.target == "cumulative" else (x - CLEAN) / t


@pytest.mark.parametrize("target", ["cumulative", "velocity"])
@pytest.mark.parametrize("kind", ["hand-set", "uniform"])
@pytest.mark.parametrize("steps", range(1, 11))
def test_exact_networks_end_exactly(steps, kind, target):
    end = sample(Oracle(target), DEGRADED, time_grid(steps, kind))
    np.testing.assert_allclose(end, CLEAN, atol=1e-12)


@pytest.mark.parametrize("target", ["cumulative", "velocity"])
@pytest.mark.parametrize("steps", [1, 2, 3, 4])
@pytest.mark.parametrize("strength", [0.0, 0.01, 0.3, 0.99, 1.0])
def test_strength_stops_on_the_straight_path(strength, steps, target):
    grid = stop_at_strength(time_grid(steps), strength)
    end = sample(Oracle(target), DEGRADED, grid)
    np.testing.assert_allclose(end, (1 - strength) * DEGRADED + strength * CLEAN, atol=1e-12)


def test_strength_brings_every_time_nearer_to_the_start():
    """Cut off at t_end instead, the grid would lose steps: an inexact network gives another picture then."""
    assert stop_at_strength([1.0, 0.2, 0.1, 0.0], 0.5) == pytest.approx([1.0, 0.6, 0.55, 0.5])


def test_strength_zero_is_the_input_itself_and_asks_nothing():
    oracle = Oracle("cumulative")
    end = sample(oracle, DEGRADED, stop_at_strength(time_grid(3), 0.0))
    np.testing.assert_array_equal(end, DEGRADED)
    assert end is not DEGRADED and not oracle.asked


def test_the_input_is_not_changed():
    before = DEGRADED.copy()
    sample(Oracle("cumulative"), DEGRADED, time_grid(4))
    np.testing.assert_array_equal(DEGRADED, before)


def test_one_step_is_plain_regression():
    end = sample(Oracle("cumulative"), DEGRADED, time_grid(1))
    np.testing.assert_array_equal(end, DEGRADED - (DEGRADED - CLEAN))


@pytest.mark.parametrize("steps", range(1, 11))
def test_uniform_weights_are_one_over_i(steps):
    grid = time_grid(steps, "uniform")
    weights = [displacement_weight("cumulative", t, t_next) for t, t_next in zip(grid, grid[1:], strict=False)]
    np.testing.assert_allclose(weights, [1 / i for i in range(steps, 0, -1)])


@pytest.mark.parametrize(
    ("steps", "times", "weights"),
    [
        (1, [1], [1]),
        (2, [1, 0.2], [0.8, 1]),
        (3, [1, 0.2, 0.1], [0.8, 0.5, 1]),
        (4, [1, 0.5, 0.25, 0.05], [0.5, 0.5, 0.8, 1]),
    ],
)
def test_hand_set_tables(steps, times, weights):
    grid = time_grid(steps)
    assert grid[:-1] == times and grid[-1] == 0
    np.testing.assert_allclose(
        [displacement_weight("cumulative", *pair) for pair in zip(grid, grid[1:], strict=False)], weights
    )


def test_the_network_is_asked_once_a_step():
    oracle = Oracle("cumulative")
    sample(oracle, DEGRADED, time_grid(3))
    assert oracle.asked == [1, 0.2, 0.1]


@pytest.mark.parametrize("dtype", [np.float32, np.float64])
def test_dtype_is_kept(dtype):
    y = DEGRADED.astype(dtype)

    class Zero:
        target = "velocity"

        def __call__(self, x, t):
            return np.zeros_like(x)

    end = sample(Zero(), y, time_grid(4))
    assert end.dtype == dtype
    np.testing.assert_array_equal(end, y)


@pytest.mark.parametrize("grid", [[], [1.0], [0.9, 0.0], [1.0, 0.2, 0.5, 0.0], [1.0, -0.1], [1.0, 0.0, 0.0]])
def test_bad_grids(grid):
    with pytest.raises(UsageError, match="time grid"):
        sample(Oracle("cumulative"), DEGRADED, grid)


@pytest.mark.parametrize(
    "call",
    [
        lambda: time_grid(0),
        lambda: time_grid(2, "logarithmic"),
    ],
)
def test_unknown_names_and_values_out_of_range(call):
    with pytest.raises(UsageError):
        call()
