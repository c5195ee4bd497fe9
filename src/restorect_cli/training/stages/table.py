"""The table of stages: which net and which losses a recipe asks for."""

from __future__ import annotations

from dataclasses import replace
from pathlib import Path

from ...errors import UsageError
from ...recipes.recipe import Recipe
from ..nets.student import SHAPES, Student, StudentShape
from ..nets.teacher import TEACHERS, Teacher
from ..ranks import Ranks
from .distillation import Distillation, load_teacher
from .ir_flow import Objective
from .stage import Stage
from .teaching import Teaching


def student_shape(recipe: Recipe) -> StudentShape:
    """The student's shape; one that learns a teacher's vectors has a latent flow in its prior."""
    shape = replace(SHAPES[recipe.net], context=recipe.context)
    if recipe.distill is None or recipe.distill.latent == "off":
        return shape
    if recipe.distill.teacher is None:
        raise UsageError(
            "the recipe does not name the size of its teacher", 'say teacher = "teacher-small" in [distill]'
        )
    return replace(shape, vectors=2 * TEACHERS[recipe.distill.teacher].encoder.latent_dim)


def make_stage(recipe: Recipe, ranks: Ranks, teacher: Path | None = None) -> Stage:
    """The stage of a recipe, its net freshly initialised; `teacher` holds the weights of a finished first stage."""
    if recipe.distill is None and teacher is not None:
        raise UsageError("the recipe knows no teacher", "give one with a [distill] table, or leave out --teacher")
    if recipe.net in TEACHERS:
        return Teaching(Teacher(TEACHERS[recipe.net]), recipe, ranks)
    if recipe.distill is None:
        return Objective(Student(student_shape(recipe)), recipe, ranks)
    if teacher is None:
        raise UsageError("the recipe needs a teacher", "restorect distill ... --teacher RUN/ema.safetensors")
    return Distillation(Student(student_shape(recipe)), load_teacher(teacher, recipe), recipe, ranks)
