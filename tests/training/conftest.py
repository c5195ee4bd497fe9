"""A handful of small pictures and a recipe that trains on them in seconds."""

from __future__ import annotations

from pathlib import Path

import pytest

pytest.importorskip("torch", reason="training needs the extra `train`")

from support.miniature import MINIATURE
from support.photographs import picture, save

from restorect_cli.recipes.recipe import DistillRecipe, Recipe
from restorect_cli.training.nets.teacher import TEACHERS


@pytest.fixture
def data(tmp_path: Path) -> Path:
    """photos/ with eight photographs, pairs/ with four pairs (input half as bright)."""
    root = tmp_path / "data"
    for seed in range(8):
        save(picture(seed), root / "photos" / f"{seed}.png")
    for seed in range(20, 24):
        save(picture(seed), root / "pairs" / "target" / f"{seed}.png")
        save(0.5 * picture(seed), root / "pairs" / "input" / f"{seed}.png")
    return root


@pytest.fixture
def teacher_recipe(recipe: Recipe, monkeypatch: pytest.MonkeyPatch) -> Recipe:
    """For a teacher smaller still than teacher-tiny, in its place."""
    monkeypatch.setitem(TEACHERS, "teacher-tiny", MINIATURE)
    return recipe.model_copy(update={"net": "teacher-tiny", "iterations": 3, "source": recipe.source[1:]})


@pytest.fixture
def distill_recipe(recipe: Recipe, monkeypatch: pytest.MonkeyPatch) -> Recipe:
    """All losses on, from that teacher."""
    monkeypatch.setitem(TEACHERS, "teacher-tiny", MINIATURE)
    return recipe.model_copy(
        update={
            "distill": DistillRecipe(teacher="teacher-tiny", first_phase=0.34),
            "iterations": 3,
            "source": recipe.source[1:],
            "start_share": 1.0,
            "consistency": "cheap",
            "consistency_share": 1.0,
        }
    )
