"""A handful of small pictures and a recipe that trains on them in seconds."""

from __future__ import annotations

from pathlib import Path

import numpy as np
import pytest
from PIL import Image

pytest.importorskip("torch", reason="training needs the extra `train`")

from restorect_cli.training.nets.encoders import EncoderShape
from restorect_cli.training.nets.teacher import TEACHERS, TeacherShape
from restorect_cli.training.recipe import DistillRecipe, Recipe, SourceRecipe


def picture(seed: int, height: int = 64, width: int = 72) -> np.ndarray:
    """Smooth colour waves with an edge, (H,W,3) float32 in [0,1], different for each seed."""
    rng = np.random.default_rng(seed)
    rows, columns = np.mgrid[:height, :width] / 20.0
    waves = [np.sin(rng.uniform(0.5, 2) * rows + rng.uniform(0.5, 2) * columns + rng.uniform(0, 6)) for _ in range(3)]
    image = 0.5 + 0.35 * np.stack(waves, axis=-1)
    image[:, int(rng.integers(10, width - 10)) :] *= 0.6
    return image.astype(np.float32)


def save(image: np.ndarray, path: Path) -> None:
    path.parent.mkdir(parents=True, exist_ok=True)
    Image.fromarray(np.round(np.clip(image, 0, 1) * 255).astype(np.uint8)).save(path)


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
def recipe() -> Recipe:
    return Recipe(
        task="denoise",
        net="tiny",
        iterations=6,
        batch=2,
        crop_px=32,
        warmup=2,
        validate_every=6,
        log_every=2,
        source=(
            SourceRecipe(folder="photos", degrade="gaussian", weight=0.5),
            SourceRecipe(folder="pairs", degrade="pair", weight=0.5),
        ),
    )


MINIATURE = TeacherShape(8, (1, 1, 1, 1), 1, (1, 2, 2, 4), encoder=EncoderShape(width=8, blocks=1, latent_dim=16))


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
