"""`restorect distill` from a teacher to a student that `enhance` uses, and what it says when things do not fit."""

from __future__ import annotations

from collections.abc import Callable
from pathlib import Path

import numpy as np
import pytest
import torch
from safetensors.torch import load_file
from support.photographs import picture

from restorect_cli.cli.app import main
from restorect_cli.engine.restorer import Restorer
from restorect_cli.models.store import find
from restorect_cli.recipes.recipe import Recipe, load_recipe
from restorect_cli.training import export as exporting
from restorect_cli.training.export import load_weights
from restorect_cli.training.loop import Trainer
from restorect_cli.training.stages.distillation import naming_its_teacher

RECIPE = """
task = "denoise"
net = "tiny"
iterations = 4
batch = 2
crop_px = 32
validate_every = 4
log_every = 2
source = [{folder = "pairs", degrade = "pair", weight = 1}]

[distill]
first_phase = 0.25
"""

Distill = Callable[..., tuple[int, str, str]]


@pytest.fixture
def distill(
    data: Path,
    teacher_recipe: Recipe,
    tmp_path: Path,
    monkeypatch: pytest.MonkeyPatch,
    capsys: pytest.CaptureFixture[str],
) -> Distill:
    """Runs the command on r.toml, data/, run/ and a teacher in the folder we are in."""
    monkeypatch.chdir(tmp_path)
    Path("r.toml").write_text(RECIPE)
    trainer = Trainer(teacher_recipe, data, Path("teacher"), threads=1)
    trainer.save()

    def distill(*arguments: str, teacher: str = "teacher/ema.safetensors") -> tuple[int, str, str]:
        capsys.readouterr()
        fixed = ["--teacher", teacher, "--data", "data", "-o", "run", "--threads", "1"]
        code = main(["distill", "r.toml", *fixed, *arguments])
        return (code, *capsys.readouterr())

    return distill


def test_a_student_is_distilled_in_parts_exported_and_used(distill: Distill, monkeypatch: pytest.MonkeyPatch):
    code, out, _ = distill("--time-limit", "0")
    assert code == 0 and "stopped at iteration 1 of 4" in out and not Path("run/denoise-tiny").exists()
    code, out, _ = distill("--resume", "--licence", "CC0-1.0", "--training-data", "waves")
    assert code == 0 and "run: done" in out and "exported to run/denoise-tiny" in out
    assert "Distilled from a teacher-tiny" in Path("run/denoise-tiny/card.md").read_text()
    assert "prior.flow.velocity.outlet.weight" in load_file("run/ema.safetensors")

    restorer = Restorer("denoise", model="run/denoise-tiny", device="cpu", threads=1)
    image = picture(3, 48, 72)
    restored = restorer.restore(image)
    assert np.array_equal(restored, restorer.restore(image))  # no random start
    student, _ = load_weights(Path("run/ema.safetensors"))
    from .test_export import exporting_inputs

    with torch.no_grad():
        expected = image - student(*exporting_inputs(image))[0].permute(1, 2, 0).numpy()
    np.testing.assert_allclose(restored, expected, atol=5e-5)
    assert exporting.PARITY <= 2e-5

    code, out, err = distill("--resume", "--licence", "MIT")  # done already: exports again, as told now
    assert code == 0 and "exported to run/denoise-tiny" in out, err
    assert find("denoise", "run/denoise-tiny").spec.licence == "MIT"
    assert "Licence of the weights: MIT" in Path("run/denoise-tiny/card.md").read_text()
    assert {path.name for path in Path("run/denoise-tiny").iterdir()} == {"card.md", "prior.onnx", "velocity.onnx"}


def test_a_student_without_a_teacher_is_where_distilling_can_start(
    distill: Distill, data: Path, recipe: Recipe, tmp_path: Path
):
    untaught = Trainer(recipe, data, tmp_path / "untaught", threads=1)
    untaught.train()
    code, _, err = distill("--init", "untaught/ema.safetensors", "--time-limit", "0")
    assert code == 0, err
    plain, _ = load_weights(Path("untaught/ema.safetensors"))

    teacher, start = Path("teacher/ema.safetensors"), Path("untaught/ema.safetensors")
    own = naming_its_teacher(load_recipe("r.toml"), teacher)
    begun = Trainer(own, data, tmp_path / "begun", teacher=teacher, init=start, threads=1)
    assert begun.model.shape.vectors and not plain.shape.vectors
    thumb, statistics = torch.rand(2, 3, 100, 150), torch.rand(2, 9)
    with torch.no_grad():
        torch.testing.assert_close(begun.model.prior(thumb, statistics), plain.prior(thumb, statistics))


def test_weights_of_another_net_are_no_start(distill: Distill):
    code, _, err = distill("--init", "teacher/ema.safetensors")
    assert code == 1 and "cannot start from teacher/ema.safetensors" in err and len(err.splitlines()) == 1


def test_a_run_that_goes_on_has_its_start_already(distill: Distill):
    code, _, err = distill("--resume", "--init", "absent")
    assert code == 2 and "name different weights to start from: leave one out" in err and len(err.splitlines()) == 1


def test_a_dry_run_tells_the_plan_and_writes_nothing(distill: Distill):
    code, out, _ = distill("--dry-run")
    assert code == 0 and "teacher-tiny" in out and "1 steps (prior)" in out and "hours on this device" in out
    assert not Path("run").exists()


@pytest.mark.parametrize(
    ("text", "teacher", "code", "said"),
    [
        (RECIPE, "none.pt", 1, "none.pt holds no teacher"),
        (RECIPE, "r.toml", 1, "r.toml holds no teacher"),
        (RECIPE.replace('task = "denoise"', 'task = "derain"'), None, 2, "was taught denoise, not derain"),
        (RECIPE + 'teacher = "teacher-paper"\n', None, 2, "holds teacher-tiny, not teacher-paper"),
        (RECIPE + 'teacher = "teacher-huge"\n', None, 2, "key 'distill.teacher'"),
        (RECIPE.replace('"tiny"', '"teacher-tiny"'), None, 2, "only a student learns from a teacher"),
        (RECIPE.split("[distill]")[0].replace('"tiny"', '"teacher-tiny"'), None, 2, "trains a teacher-tiny, and only"),
    ],
)
def test_what_does_not_fit_is_told_on_one_line(distill: Distill, text: str, teacher: str | None, code: int, said: str):
    Path("r.toml").write_text(text)
    result = distill(teacher=teacher or "teacher/ema.safetensors")
    assert result[0] == code and said in result[2] and len(result[2].splitlines()) == 1, result
    assert not Path("run").exists()


def test_a_teacher_without_all_of_its_weights(distill: Distill):
    state = torch.load("teacher/checkpoint.pt", weights_only=True)
    state["ema"].pop("low.layers.0.bias")
    torch.save(state, "teacher/old.pt")
    code, _, err = distill(teacher="teacher/old.pt")
    assert code == 1 and "does not hold the weights of a teacher-tiny" in err


def test_a_teacher_of_another_format(distill: Distill):
    state = torch.load("teacher/checkpoint.pt", weights_only=True)
    torch.save(state | {"format": 1}, "teacher/old.pt")
    code, _, err = distill(teacher="teacher/old.pt")
    assert code == 1 and "old.pt holds no teacher" in err and "another version of restorect wrote it" in err
    assert len(err.splitlines()) == 1 and not Path("run").exists()


def test_a_data_folder_with_a_recipe_needs_no_more(distill: Distill):
    """As `degrade` leaves it; the run goes where the next command looks for it."""
    Path("data/recipe.toml").write_text(RECIPE.split("[distill]")[0])
    teacher = ["--teacher", "teacher/ema.safetensors", "--data", "data", "--threads", "1"]
    assert main(["distill", *teacher, "--time-limit", "0"]) == 0
    assert Path("runs/denoise-tiny-distilled/ema.safetensors").is_file()
