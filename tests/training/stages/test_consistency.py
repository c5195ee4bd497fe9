from __future__ import annotations

from collections.abc import Callable

import numpy as np
import pytest
import torch
from torch import Tensor

from restorect_cli.engine.flow import Target, sample, time_grid
from restorect_cli.recipes.recipe import Recipe
from restorect_cli.training.nets.student import SHAPES, Student
from restorect_cli.training.ranks import Ranks
from restorect_cli.training.stages.consistency import Form, restored, roll_out
from restorect_cli.training.stages.ir_flow import Objective
from restorect_cli.training.stages.stage import Tensors

FORMS: tuple[Form, ...] = ("inert", "cheap", "full")
GRIDS = [time_grid(steps, kind) for steps in (2, 3, 4, 10) for kind in ("hand-set", "uniform")]


def images() -> tuple[Tensor, Tensor]:
    generator = torch.Generator().manual_seed(0)
    y, x = (torch.rand(2, 3, 8, 8, generator=generator, dtype=torch.float64) for _ in range(2))
    return y, x


def oracle(y: Tensor, x: Tensor, target: Target) -> Callable[[Tensor, Tensor], Tensor]:
    """A net that knows the clean picture; it answers to the state it is given, not to the path."""
    return (lambda state, t: state - x) if target == "cumulative" else (lambda state, t: y - x)


@pytest.mark.parametrize("form", FORMS)
@pytest.mark.parametrize("target", ["cumulative", "velocity"])
def test_an_exact_net_rolls_out_to_the_clean_picture(form: Form, target: Target):
    y, x = images()
    for grid in GRIDS:
        for stop in {1, len(grid) - 2}:
            end = restored(oracle(y, x, target), y, grid, target, form, stop)
            torch.testing.assert_close(end, x, atol=1e-7, rtol=0)  # times reach the net as float32


@pytest.mark.parametrize("target", ["cumulative", "velocity"])
def test_a_roll_out_is_what_inference_does(target: Target):
    """A wrong net, so that every weight of every step shows; against `flow.sample`, number by number."""

    class Wrong:
        def __init__(self) -> None:
            self.target = target

        def __call__(self, state: np.ndarray, t: float) -> np.ndarray:
            return np.sin(3 * state) * (0.3 + t)

    def wrong(state: Tensor, times: Tensor) -> Tensor:
        return torch.sin(3 * state) * (0.3 + times.double()[:, None, None, None])

    y, _ = images()
    for grid in GRIDS:
        expected = sample(Wrong(), y.numpy(), grid)
        np.testing.assert_allclose(roll_out(wrong, y, grid, target).numpy(), expected, atol=1e-6)


def gradients(recipe: Recipe, which: str) -> dict[str, float]:
    """Gradient magnitude of every parameter, from one of the two losses alone, under bfloat16 as in training."""
    torch.manual_seed(0)
    student = Student(SHAPES["tiny"])
    with torch.no_grad():
        for p in student.parameters():
            p.add_(0.05 * torch.randn_like(p))
    batch = Tensors(
        torch.rand(4, 3, 32, 32), torch.rand(4, 3, 32, 32), *torch.rand(2, 4, 3, 16, 24), torch.rand(4, 9) / 10
    )
    with torch.autocast("cpu", torch.bfloat16):
        loss = Objective(student, recipe, Ranks())(batch, 3)[which]
    if loss.requires_grad:
        loss.backward()
    return {name: 0.0 if p.grad is None else float(p.grad.abs().sum()) for name, p in student.named_parameters()}


@pytest.mark.parametrize("target", ["cumulative", "velocity"])
@pytest.mark.parametrize(("form", "reaches"), [("inert", False), ("cheap", True), ("full", True)])
def test_live_forms_reach_every_parameter_and_the_inert_one_none(
    recipe: Recipe, target: Target, form: Form, reaches: bool
):
    recipe = recipe.model_copy(update={"batch": 4, "consistency": form, "target": target})
    found = gradients(recipe, "consistency")
    idle = sorted(name for name, size in found.items() if not size > 0)
    assert idle == ([] if reaches else sorted(found))


@pytest.mark.parametrize("target", ["cumulative", "velocity"])
@pytest.mark.parametrize("form", ["off", *FORMS])
def test_the_flow_loss_reaches_every_parameter(recipe: Recipe, target: Target, form: Form):
    recipe = recipe.model_copy(update={"batch": 4, "consistency": form, "target": target})
    assert [name for name, size in gradients(recipe, "flow").items() if not size > 0] == []


def test_the_full_form_is_the_gradient_through_all_steps():
    """Against the product of the steps' own derivatives, by hand: D = a·x, so each step multiplies by 1 − w·a."""
    a = torch.tensor(0.4, dtype=torch.float64, requires_grad=True)
    y, _ = images()
    grid = time_grid(3, "uniform")
    restored(lambda state, t: a * state, y, grid, "cumulative", "full", 1).sum().backward()
    factors = [1 - (1 - t_next / t) * 0.4 for t, t_next in zip(grid, grid[1:], strict=False)]
    weights = [1 - t_next / t for t, t_next in zip(grid, grid[1:], strict=False)]
    slope = sum(-w * np.prod(factors) / f for w, f in zip(weights, factors, strict=True))
    assert a.grad is not None
    assert abs(float(a.grad) - slope * float(y.sum())) < 1e-9


def test_the_cheap_form_is_the_gradient_through_its_last_step():
    """As above, but what led to that step is a constant; the step goes to t = 0, so its weight is 1."""
    a = torch.tensor(0.4, dtype=torch.float64, requires_grad=True)
    y, _ = images()
    grid = time_grid(3, "uniform")
    restored(lambda state, t: a * state, y, grid, "cumulative", "cheap", 2).sum().backward()
    reached = np.prod([1 - (1 - t_next / t) * 0.4 for t, t_next in zip(grid[:2], grid[1:3], strict=True)])
    assert a.grad is not None
    assert abs(float(a.grad) + reached * float(y.sum())) < 1e-9
