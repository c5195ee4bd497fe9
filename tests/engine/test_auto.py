"""The choice follows the measured numbers, and its reason names them."""

from __future__ import annotations

import numpy as np
import pytest

from restorect_cli.engine.auto import choose_task, linear_light
from restorect_cli.engine.prior import prior_inputs
from restorect_cli.engine.source import ArraySource


def picture(level: float, sigma: float) -> np.ndarray:
    noise = np.random.default_rng(0).standard_normal((160, 200, 3))
    return (level + sigma * noise).astype(np.float32)


@pytest.mark.parametrize(
    ("level", "sigma_levels", "task", "words"),
    [
        (0.06, 1, "low-light", "dark (mean light 0.5 % of white"),
        (0.10, 20, "low-light", "dark"),
        (0.20, 1, "low-light", "dark (mean light 3.3 %"),
        (0.28, 1, "denoise", "neither dark nor clearly noisy (mean light 6.4 %"),  # as dark as photographs get by day
        (0.50, 25, "denoise", "noisy and not dark (mean light 2"),
        (0.50, 0, "denoise", "neither dark nor clearly noisy"),
        (0.40, 5, "denoise", "noisy"),
        (1.00, 0, "denoise", "mean light 100.0 % of white, noise 0.0 of 255 levels"),
    ],
)
def test_choice(level, sigma_levels, task, words):
    choice = choose_task(prior_inputs(ArraySource(picture(level, sigma_levels / 255))))
    assert choice.task == task
    assert words in choice.reason
    assert "\n" not in choice.reason


@pytest.mark.parametrize(("sigma_levels", "task"), [(0.5, "low-light"), (12, "denoise")])
def test_a_bright_sky_does_not_hide_a_dark_street(sigma_levels, task):
    street = picture(0.05, sigma_levels / 255)
    street[:60] += 0.7
    choice = choose_task(prior_inputs(ArraySource(street)))
    assert choice.task == task
    assert ("half of the picture is darker than" in choice.reason) == (task == "low-light")


def test_light_is_linear():
    assert linear_light(np.full((8, 8, 3), 0.5, np.float32)) == pytest.approx(0.2140, abs=1e-4)
    assert linear_light(np.full((8, 8, 3), 7.0, np.float32)) == pytest.approx(1)
