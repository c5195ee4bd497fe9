from __future__ import annotations

from pathlib import Path

from restorect_cli.training.loop import Trainer
from restorect_cli.training.nets.teacher import Teacher
from restorect_cli.training.plan import Phase, Plan, make_plan
from restorect_cli.training.recipe import Recipe

from .conftest import MINIATURE


def test_hours_are_those_of_all_phases():
    assert Plan(1, 2, (Phase("prior", 100, 0.5), Phase("all", 900, 2.0)), None).hours == (50 + 1800) / 3600


def test_the_plan_of_a_teacher(teacher_recipe: Recipe):
    plan = make_plan(teacher_recipe, "cpu")
    assert plan.trained == sum(p.numel() for p in Teacher(MINIATURE).parameters()) and plan.frozen == 0
    assert [(phase.name, phase.iterations) for phase in plan.phases] == [("all", 3)]
    assert plan.phases[0].seconds > 0 and (plan.memory_bytes is None or plan.memory_bytes > 1e7)


def test_the_plan_of_a_distillation(data: Path, teacher_recipe: Recipe, distill_recipe: Recipe, tmp_path: Path):
    Trainer(teacher_recipe, data, tmp_path / "teacher", threads=1).save()
    plan = make_plan(distill_recipe, "cpu", tmp_path / "teacher" / "ema.safetensors")
    assert plan.frozen == sum(p.numel() for p in Teacher(MINIATURE).parameters())
    assert [(phase.name, phase.iterations) for phase in plan.phases] == [("prior", 1), ("all", 2)]
