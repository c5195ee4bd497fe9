"""The corrected Heun steps that docs/ir-flow.md compares with Euler's."""

from __future__ import annotations

import numpy as np
import pytest

from restorect_cli.engine.flow import euler_step, sample, time_grid

from .conftest import load_script

pytest.importorskip("torch")

CLEAN = np.random.default_rng(0).random((5, 4, 3))
DEGRADED = CLEAN + np.random.default_rng(1).standard_normal(CLEAN.shape)


@pytest.fixture(scope="module")
def ablation():
    return load_script("ablate_ir_flow")


class Oracle:
    def __init__(self, target):
        self.target, self.asked = target, []

    def __call__(self, x, t):
        self.asked.append(t)
        return x - CLEAN if self.target == "cumulative" else (x - CLEAN) / t


class Curved:
    """A curved path, dx/dt = v(x, t) = x."""

    target = "cumulative"

    def __call__(self, x, t):
        return t * x


@pytest.mark.parametrize("target", ["cumulative", "velocity"])
@pytest.mark.parametrize("kind", ["hand-set", "uniform"])
@pytest.mark.parametrize("steps", [1, 2, 3, 4, 10])
def test_exact_networks_end_exactly(ablation, steps, kind, target):
    end = sample(Oracle(target), DEGRADED, time_grid(steps, kind), step=ablation.heun_step)
    np.testing.assert_allclose(end, CLEAN, atol=1e-12)


def test_it_needs_two_passes_but_for_the_last_step(ablation):
    oracle = Oracle("cumulative")
    sample(oracle, DEGRADED, time_grid(3), step=ablation.heun_step)
    assert oracle.asked == [1, 0.2, 0.2, 0.1, 0.1]


def test_it_is_second_order(ablation):
    """Halving the step divides Heun's error by four, Euler's by two."""

    def error(steps, step):
        grid = [1 - 0.5 * i / steps for i in range(steps + 1)]
        end = sample(Curved(), np.ones(1), [*grid, 0.5], step=step)
        return abs(float(end[0]) - np.exp(-0.5))

    assert 3.5 < error(8, ablation.heun_step) / error(16, ablation.heun_step) < 4.5
    assert 1.8 < error(8, euler_step) / error(16, euler_step) < 2.2
