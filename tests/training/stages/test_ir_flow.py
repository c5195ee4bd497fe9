from __future__ import annotations

import torch

from restorect_cli.engine.flow import time_grid
from restorect_cli.recipes.recipe import Recipe
from restorect_cli.training.nets.student import SHAPES, Student
from restorect_cli.training.ranks import Ranks
from restorect_cli.training.stages.ir_flow import (
    Objective,
    detail_errors,
    draw,
    draw_times,
    flow_target,
    path_point,
    sample_errors,
)
from restorect_cli.training.stages.stage import Tensors


def images() -> tuple[torch.Tensor, torch.Tensor]:
    generator = torch.Generator().manual_seed(0)
    return torch.rand(3, 3, 8, 8, generator=generator), torch.rand(3, 3, 8, 8, generator=generator)


def test_path_starts_at_the_degraded_picture_bit_for_bit():
    y, x = images()
    assert torch.equal(path_point(y, x, torch.ones(3)), y)
    assert torch.equal(path_point(y, x, torch.zeros(3)), x)


def test_cumulative_target_is_what_is_left_to_undo():
    y, x = images()
    t = torch.tensor([0.0, 0.3, 1.0])
    target = flow_target(y, x, t, "cumulative")
    assert torch.equal(target[0], torch.zeros_like(target[0]))
    torch.testing.assert_close(path_point(y, x, t) - target, x)


def test_velocity_target_does_not_depend_on_time():
    y, x = images()
    torch.testing.assert_close(flow_target(y, x, torch.tensor([0.0, 0.3, 1.0]), "velocity"), y - x)


def test_times_stand_at_the_start_as_often_as_asked():
    t = draw_times(20_000, 0.5, torch.Generator().manual_seed(0))
    assert 0.48 < float((t == 1).float().mean()) < 0.52
    assert float(t.min()) >= 0 and abs(float(t[t < 1].mean()) - 0.5) < 0.01


def test_start_share_one_is_the_one_step_baseline():
    assert torch.equal(draw_times(500, 1.0, torch.Generator().manual_seed(0)), torch.ones(500))


def test_errors_by_hand():
    wanted, prediction = torch.zeros(2, 3, 4, 4), torch.zeros(2, 3, 4, 4)
    prediction[0] = 0.2
    torch.testing.assert_close(sample_errors(prediction, wanted, "l1"), torch.tensor([0.2, 0.0]))
    torch.testing.assert_close(sample_errors(prediction, wanted, "l2"), torch.tensor([0.2, 0.0]), atol=1e-3, rtol=0)


def test_draws_depend_on_the_recipe_and_the_iteration_only(recipe: Recipe):
    recipe = recipe.model_copy(update={"consistency": "cheap", "batch": 9})
    assert draw(recipe, 4).stop == draw(recipe, 4).stop and torch.equal(draw(recipe, 4).t, draw(recipe, 4).t)
    assert not torch.equal(draw(recipe, 4).t, draw(recipe, 5).t)
    off = recipe.model_copy(update={"consistency": "off"})
    assert torch.equal(draw(off, 4).t, draw(recipe, 4).t)  # switching it on leaves the flow's own times alone
    assert draw(off, 4).rolled == 0 and draw(recipe, 4).rolled == 5


def test_roll_outs_follow_the_grids_of_inference(recipe: Recipe):
    for kind in ("hand-set", "uniform"):
        of_kind = recipe.model_copy(update={"consistency": "cheap", "grid": kind})
        drawn = [draw(of_kind, number) for number in range(200)]
        assert {d.grid for d in drawn} == {tuple(time_grid(steps, kind)) for steps in (2, 3, 4)}
        stops = {(len(d.grid) - 1, d.stop) for d in drawn}
        assert stops == {(2, 1), (3, 1), (3, 2), (4, 1), (4, 2), (4, 3)}


def test_detail_errors_see_a_grid_and_not_an_exposure():
    y, x = images()
    assert float(detail_errors(x + 0.3, x).max()) < 1e-6
    grid = torch.zeros_like(x)
    grid[..., ::2] = 0.1
    torch.testing.assert_close(detail_errors(x + grid, x), torch.full((3,), 0.1))


def flow_term(recipe: Recipe, iteration: int) -> torch.Tensor:
    """Of a net that predicts zero for `images()`, all of them at t = 1."""
    recipe = recipe.model_copy(update={"batch": 3, "iterations": 8})
    y, x = images()
    stage = Objective(Student(SHAPES["tiny"]), recipe, Ranks())
    batch = Tensors(y, x, y, x, torch.zeros(3, 9))
    nothing = torch.zeros_like(y)
    return stage.terms(batch, iteration, draw(recipe, iteration), torch.ones(3), torch.zeros(3, 1), nothing)["flow"]


def test_squares_are_for_the_end_of_a_run(recipe: Recipe):
    y, x = images()
    absolute, squared = (sample_errors(y, x, kind).mean() for kind in ("l1", "l2"))
    assert not torch.isclose(absolute, squared)
    late = recipe.model_copy(update={"final_l2": 0.25})
    for iteration, expected in [(0, absolute), (5, absolute), (6, squared), (7, squared)]:
        torch.testing.assert_close(flow_term(late, iteration), expected)
    torch.testing.assert_close(flow_term(recipe, 7), absolute)
    torch.testing.assert_close(flow_term(recipe.model_copy(update={"loss": "l2"}), 0), squared)


def test_detail_is_weighed_as_the_recipe_says(recipe: Recipe):
    y, x = images()
    expected = (sample_errors(y, x, "l1") + 0.7 * detail_errors(y, x)).mean()
    torch.testing.assert_close(flow_term(recipe.model_copy(update={"detail_weight": 0.7}), 0), expected)
