from __future__ import annotations

from pathlib import Path
from types import ModuleType

import numpy as np
import pytest
import torch
from PIL import Image
from safetensors.torch import save_file

from restorect_cli.recipes.recipe import Recipe, SourceRecipe
from restorect_cli.training.data import collate
from restorect_cli.training.nets.teacher import TEACHERS, Teacher
from restorect_cli.training.pictures import thumbnail
from restorect_cli.training.ranks import Ranks
from restorect_cli.training.stages.stage import Tensors
from restorect_cli.training.stages.teaching import Teaching

from .conftest import load_script

SOURCE = SourceRecipe(folder="pairs", degrade="pair", weight=1)
RECIPE = Recipe(task="low-light", net="teacher-tiny", source=(SOURCE,), iterations=1)


@pytest.fixture
def script() -> ModuleType:
    return load_script("measure_teacher")


@pytest.fixture
def teacher() -> Teacher:
    torch.manual_seed(0)
    teacher = Teacher(TEACHERS["teacher-tiny"])
    with torch.no_grad():
        for p in teacher.parameters():
            p.add_(0.05 * torch.randn_like(p))
    return teacher.eval()


@pytest.fixture
def pairs(tmp_path: Path) -> Path:
    generator = np.random.default_rng(0)
    for name in ("a", "b"):
        clean = generator.integers(0, 256, (40, 56, 3)).astype(np.uint8)
        for folder, pixels in (("input", clean // 5), ("target", clean)):
            (tmp_path / folder).mkdir(exist_ok=True)
            Image.fromarray(pixels).save(tmp_path / folder / f"{name}.png")
    return tmp_path


def test_the_encoders_see_what_they_see_in_training(script: ModuleType, teacher: Teacher, pairs: Path):
    degraded, clean = (np.asarray(Image.open(pairs / folder / "a.png")) for folder in ("input", "target"))
    y, x = (p.astype(np.float32) / 255 for p in (degraded, clean))
    found = dict(script.restored(teacher, "low-light", y, x))
    batch = collate([(y, x, thumbnail(degraded), thumbnail(clean))])
    arrays = (batch.y, batch.x, batch.thumb, batch.clean_thumb, batch.statistics)
    with torch.no_grad():
        expected = Teaching(teacher, RECIPE, Ranks()).restored(teacher, Tensors(*map(torch.from_numpy, arrays)))
    for how, picture in zip(found, expected.values(), strict=True):
        assert np.abs(found[how] - picture.clamp(0, 1)[0].permute(1, 2, 0).numpy()).max() < 1e-5
    assert np.abs(found["alone"] - found["with the truth"]).max() > 1e-3


def test_a_line_for_each_way(script: ModuleType, teacher: Teacher, pairs: Path, capsys: pytest.CaptureFixture[str]):
    weights = pairs / "ema.safetensors"
    about = {"recipe": RECIPE.model_dump_json(), "iteration": "7"}
    save_file(teacher.state_dict(), weights, metadata=about)
    assert script.main([str(weights), str(pairs)]) == 0
    alone, told = capsys.readouterr().out.splitlines()
    assert alone.startswith("teacher after 7 iterations, alone, ")
    assert ", with the truth, " in told and told.endswith("2 pictures")


def test_bad_input(script: ModuleType, pairs: Path, capsys: pytest.CaptureFixture[str]):
    assert script.main([str(pairs / "none.safetensors"), str(pairs)]) != 0
    assert "none.safetensors holds no teacher" in capsys.readouterr().err
