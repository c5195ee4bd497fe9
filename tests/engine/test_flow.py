"""Oracle networks, which know the clean picture, must end exactly at it on every grid."""

from __future__ import annotations

from dataclasses import dataclass, field

import numpy as np
import pytest

from restorect_cli.engine.flow import evaluations_per_step, sample, step_weight, stop_at_strength, time_grid
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
@pytest.mark.parametrize("solver", ["euler", "heun"])
@pytest.mark.parametrize("kind", ["hand-set", "uniform"])
@pytest.mark.parametrize("steps", range(1, 11))
def test_exact_networks_end_exactly(steps, kind, solver, target):
    end = sample(Oracle(target), DEGRADED, time_grid(steps, kind), target=target, solver=solver)
    np.testing.assert_allclose(end, CLEAN, atol=1e-12)


@pytest.mark.parametrize("target", ["cumulative", "velocity"])
@pytest.mark.parametrize("solver", ["euler", "heun"])
@pytest.mark.parametrize("steps", [1, 2, 3, 4])
@pytest.mark.parametrize("strength", [0.0, 0.01, 0.3, 0.99, 1.0])
def test_strength_stops_on_the_straight_path(strength, steps, solver, target):
    grid = stop_at_strength(time_grid(steps), strength)
    end = sample(Oracle(target), DEGRADED, grid, target=target, solver=solver)
    np.testing.assert_allclose(end, (1 - strength) * DEGRADED + strength * CLEAN, atol=1e-12)


def test_strength_zero_is_the_input_itself_and_asks_nothing():
    oracle = Oracle("cumulative")
    end = sample(oracle, DEGRADED, stop_at_strength(time_grid(3), 0.0), target="cumulative")
    np.testing.assert_array_equal(end, DEGRADED)
    assert end is not DEGRADED and not oracle.asked


def test_the_input_is_not_changed():
    before = DEGRADED.copy()
    sample(Oracle("cumulative"), DEGRADED, time_grid(4), target="cumulative", solver="heun")
    np.testing.assert_array_equal(DEGRADED, before)


@pytest.mark.parametrize("predicted", ["cumulative", "velocity"])
@pytest.mark.parametrize("solver", ["euler", "heun"])
def test_mixing_target_and_solver_raises(predicted, solver):
    other = {"cumulative": "velocity", "velocity": "cumulative"}[predicted]
    with pytest.raises(UsageError, match=f"predicts {predicted}"):
        sample(Oracle(predicted), DEGRADED, time_grid(2), target=other, solver=solver)


def test_a_network_that_does_not_say_its_target_is_refused():
    with pytest.raises(UsageError, match="predicts None"):
        sample(lambda x, t: x, DEGRADED, time_grid(1), target="cumulative")


def test_one_step_is_plain_regression():
    end = sample(Oracle("cumulative"), DEGRADED, time_grid(1), target="cumulative")
    np.testing.assert_array_equal(end, DEGRADED - (DEGRADED - CLEAN))


@pytest.mark.parametrize("steps", range(1, 11))
def test_uniform_weights_are_one_over_i(steps):
    grid = time_grid(steps, "uniform")
    weights = [step_weight(t, t_next) for t, t_next in zip(grid, grid[1:], strict=False)]
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
    np.testing.assert_allclose([step_weight(*pair) for pair in zip(grid, grid[1:], strict=False)], weights)


def test_heun_asks_twice_but_for_the_last_step():
    oracle = Oracle("cumulative")
    sample(oracle, DEGRADED, time_grid(3), target="cumulative", solver="heun")
    assert oracle.asked == [1, 0.2, 0.2, 0.1, 0.1]
    assert evaluations_per_step("heun") == 2 and evaluations_per_step("euler") == 1


def test_corrected_heun_is_second_order():
    """A curved path, dx/dt = v(x, t) = x: halving the step divides Heun's error by four, Euler's by two."""

    class Curved:
        target = "cumulative"

        def __call__(self, x, t):
            return t * x

    def error(steps: int, solver: str) -> float:
        grid = [1 - 0.5 * i / steps for i in range(steps + 1)]
        end = sample(Curved(), np.ones(1), [*grid, 0.5], target="cumulative", solver=solver)
        return abs(float(end[0]) - np.exp(-0.5))

    assert 3.5 < error(8, "heun") / error(16, "heun") < 4.5
    assert 1.8 < error(8, "euler") / error(16, "euler") < 2.2


@pytest.mark.parametrize("dtype", [np.float32, np.float64])
def test_dtype_is_kept(dtype):
    y = DEGRADED.astype(dtype)

    class Zero:
        target = "velocity"

        def __call__(self, x, t):
            return np.zeros_like(x)

    end = sample(Zero(), y, time_grid(4), target="velocity", solver="heun")
    assert end.dtype == dtype
    np.testing.assert_array_equal(end, y)


@pytest.mark.parametrize("grid", [[], [1.0], [0.9, 0.0], [1.0, 0.2, 0.5, 0.0], [1.0, -0.1], [1.0, 0.0, 0.0]])
def test_bad_grids(grid):
    with pytest.raises(UsageError, match="time grid"):
        sample(Oracle("cumulative"), DEGRADED, grid, target="cumulative")


@pytest.mark.parametrize(
    "call",
    [
        lambda: time_grid(0),
        lambda: time_grid(2, "logarithmic"),
        lambda: stop_at_strength([1.0, 0.0], 1.1),
        lambda: stop_at_strength([1.0, 0.0], float("nan")),
        lambda: evaluations_per_step("rk4"),
        lambda: sample(Oracle("cumulative"), DEGRADED, [1.0, 0.0], target="score"),
        lambda: sample(Oracle("cumulative"), DEGRADED, [1.0, 0.0], target="cumulative", solver="rk4"),
    ],
)
def test_unknown_names_and_values_out_of_range(call):
    with pytest.raises(UsageError):
        call()
