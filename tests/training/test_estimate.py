from __future__ import annotations

import time
from pathlib import Path

import pytest
import torch
from support.miniature import MINIATURE

from restorect_cli.errors import RestorectError
from restorect_cli.recipes.recipe import Recipe
from restorect_cli.training import estimate as estimating
from restorect_cli.training.data import PairStream
from restorect_cli.training.estimate import Estimate, Phase, estimate
from restorect_cli.training.loop import Trainer
from restorect_cli.training.nets.teacher import Teacher
from restorect_cli.training.optimiser import Optimiser


def test_hours_are_those_of_all_phases():
    phases = Phase("prior", 100, 0.5), Phase("all", 900, 2.0)
    assert Estimate(1, 2, phases, 0.0, None).hours == (50 + 1800) / 3600
    assert Estimate(1, 2, phases, 3.0, None).hours == (50 + 1800 + 3000) / 3600


def test_making_the_pictures_is_timed(data: Path, recipe: Recipe, monkeypatch: pytest.MonkeyPatch):
    make, asked = PairStream.batch, []

    def slow(self: PairStream, iteration: int) -> object:
        asked.append(iteration)
        time.sleep(0 if iteration == 0 else 0.05)
        return make(self, iteration)

    monkeypatch.setattr(PairStream, "batch", slow)
    assert estimate(recipe, data, "cpu").pictures_seconds >= 0.05
    assert asked == [0, 1, 2, 3]


@pytest.mark.parametrize("optimiser", ["muon", "adamw"])
def test_the_optimisers_step_is_timed(data: Path, recipe: Recipe, monkeypatch: pytest.MonkeyPatch, optimiser: str):
    step = Optimiser.step

    def slow(self: Optimiser) -> None:
        time.sleep(0.2)
        step(self)

    monkeypatch.setattr(Optimiser, "step", slow)
    found = estimate(recipe.model_copy(update={"optimiser": optimiser}), data, "cpu")
    assert found.phases[0].seconds >= 0.2


def test_too_little_memory_of_the_cpu_is_told(data: Path, recipe: Recipe):
    """A batch of a petabyte, which no address space holds: the allocator's own error."""
    with pytest.raises(RestorectError, match="more memory than cpu has: use a smaller batch or crop_px") as caught:
        estimate(recipe.model_copy(update={"batch": 10**11}), data, "cpu")
    assert len(str(caught.value).splitlines()) == 1


@pytest.mark.parametrize(
    ("error", "told"),
    [
        (torch.OutOfMemoryError("CUDA out of memory.\nTried to allocate"), RestorectError),
        (RuntimeError("DefaultCPUAllocator: can't allocate memory: you tried to allocate 9 bytes"), RestorectError),
        (RuntimeError("[enforce fail] not enough memory: you tried to allocate 9 bytes"), RestorectError),
        (MemoryError("Unable to allocate 9 GiB for an array"), RestorectError),
        (RuntimeError("mat1 and mat2 shapes cannot be multiplied"), RuntimeError),
    ],
)
def test_only_too_little_memory_is_told_as_such(
    data: Path, recipe: Recipe, monkeypatch: pytest.MonkeyPatch, error: Exception, told: type[Exception]
):
    def fail(*arguments: object) -> None:
        raise error

    monkeypatch.setattr(estimating, "_seconds", fail)
    with pytest.raises(told) as caught:
        estimate(recipe, data, "cpu")
    assert type(caught.value) is told and (told is RuntimeError or "smaller batch or crop_px" in str(caught.value))


def test_the_estimate_for_a_teacher(data: Path, teacher_recipe: Recipe):
    found = estimate(teacher_recipe, data, "cpu")
    assert found.trained == sum(p.numel() for p in Teacher(MINIATURE).parameters()) and found.frozen == 0
    assert [(phase.name, phase.iterations) for phase in found.phases] == [("all", 3)]
    assert found.phases[0].seconds > 0 and (found.memory_bytes is None or found.memory_bytes > 1e7)


def test_the_estimate_for_a_distillation(data: Path, teacher_recipe: Recipe, distill_recipe: Recipe, tmp_path: Path):
    Trainer(teacher_recipe, data, tmp_path / "teacher", threads=1).save()
    found = estimate(distill_recipe, data, "cpu", tmp_path / "teacher" / "ema.safetensors")
    assert found.frozen == sum(p.numel() for p in Teacher(MINIATURE).parameters())
    assert [(phase.name, phase.iterations) for phase in found.phases] == [("prior", 1), ("all", 2)]
