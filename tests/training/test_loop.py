from __future__ import annotations

import json
from pathlib import Path

import pytest
import torch

from restorect_cli.errors import RestorectError
from restorect_cli.recipes.recipe import Recipe
from restorect_cli.training.loop import Trainer, learning_rate


def weights(trainer: Trainer) -> list[torch.Tensor]:
    return [*trainer.model.state_dict().values(), *trainer.ema.weights.values()]


def test_a_resumed_run_is_the_uninterrupted_run_bit_for_bit(data: Path, recipe: Recipe, tmp_path: Path):
    whole = Trainer(recipe, data, tmp_path / "whole", threads=1)
    assert whole.train()
    first = Trainer(recipe, data, tmp_path / "parts", threads=1)
    assert not first.train(time_limit=0.0)  # stops after one step
    assert first.iteration == 1
    second = Trainer(recipe, data, tmp_path / "parts", threads=1, resume=True)
    assert second.train()
    assert all(torch.equal(a, b) for a, b in zip(weights(whole), weights(second), strict=True))


def test_training_learns(data: Path, recipe: Recipe, tmp_path: Path):
    recipe = recipe.model_copy(
        update={"iterations": 90, "batch": 4, "learning_rate": 4e-3, "source": recipe.source[1:]}
    )
    trainer = Trainer(recipe, data, tmp_path / "run", threads=1)
    before = trainer.validate()
    trainer.train()
    after = trainer.validate()
    assert all(after[name] > before[name] + 3 for name in before)  # the pairs' inputs are half as bright


def test_log_has_losses_and_validation(data: Path, recipe: Recipe, tmp_path: Path):
    Trainer(recipe, data, tmp_path / "run", threads=1).train()
    records = [json.loads(line) for line in (tmp_path / "run" / "log.jsonl").read_text().splitlines()]
    assert [r["iteration"] for r in records if "loss" in r] == [2, 4, 6]
    assert set(records[0]) == {
        "iteration",
        "loss",
        "learning_rate",
        "seconds_per_iteration",
    }  # its one term is the loss
    assert set(records[-2].get("validation", records[-1].get("validation"))) == {"photos:gaussian", "pairs:pair"}


def test_the_averaged_weights_are_validated(data: Path, recipe: Recipe, tmp_path: Path):
    trainer = Trainer(recipe, data, tmp_path / "run", threads=1)
    before = trainer.validate()
    with torch.no_grad():
        for weight in trainer.model.parameters():
            weight.zero_().add_(1)
    assert trainer.validate() == before


def test_a_loss_that_is_not_a_number_stops_and_keeps_the_checkpoint(data: Path, recipe: Recipe, tmp_path: Path):
    trainer = Trainer(recipe, data, tmp_path / "run", threads=1)
    trainer.train(time_limit=0.0)
    kept = (tmp_path / "run" / "checkpoint.pt").read_bytes()
    with torch.no_grad():
        trainer.model.velocity.out.bias.fill_(float("nan"))
    with pytest.raises(RestorectError, match="not a number"):
        trainer.train()
    assert (tmp_path / "run" / "checkpoint.pt").read_bytes() == kept


def test_a_cpu_out_of_memory_is_told(data: Path, recipe: Recipe, tmp_path: Path, monkeypatch: pytest.MonkeyPatch):
    trainer = Trainer(recipe, data, tmp_path / "run", threads=1)
    monkeypatch.setattr(trainer, "shared", lambda *inputs: torch.empty(1 << 50))  # torch's own error, 4 PiB
    with pytest.raises(RestorectError, match="ran out of memory at iteration 0: use a smaller batch"):
        trainer.step()

    def wrong(*inputs: object) -> None:
        raise RuntimeError("shapes differ")

    monkeypatch.setattr(trainer, "shared", wrong)
    with pytest.raises(RuntimeError, match="shapes differ"):
        trainer.step()


def test_the_released_consistency_changes_nothing_but_the_log(data: Path, recipe: Recipe, tmp_path: Path):
    """Without gradient, the constraint of IR-Flow's released code leaves the weights of a run bit for bit alone."""
    runs = [
        Trainer(recipe.model_copy(update={"consistency": form}), data, tmp_path / form, threads=1)
        for form in ("off", "inert", "cheap")
    ]
    for run in runs:
        run.train()
    off, inert, cheap = map(weights, runs)
    assert all(torch.equal(a, b) for a, b in zip(off, inert, strict=True))
    assert not all(torch.equal(a, b) for a, b in zip(off, cheap, strict=True))


def test_the_learning_rate_warms_up_and_then_falls_along_a_cosine(recipe: Recipe):
    recipe = recipe.model_copy(update={"learning_rate": 1.0, "warmup": 10, "iterations": 110})
    rates = [learning_rate(recipe, iteration) for iteration in (0, 4, 9, 10, 35, 60, 110)]
    quarter = 0.01 + 0.99 * (0.5 + 0.5 * 0.5**0.5)  # cos(pi / 4)
    assert rates == pytest.approx([0.1, 0.5, 1.0, 1.0, quarter, 0.505, 0.01])


def test_gradients_are_clipped_as_the_recipe_says(data: Path, recipe: Recipe, tmp_path: Path):
    trainer = Trainer(recipe.model_copy(update={"gradient_clip": 1e-3}), data, tmp_path / "run", threads=1)
    trainer.step()
    norms = torch.stack([weight.grad.norm() for weight in trainer.parameters if weight.grad is not None])
    assert float(norms.norm()) == pytest.approx(1e-3, rel=0.01)


@pytest.mark.parametrize(("optimiser", "parts"), [("muon", {"AdamW", "Muon"}), ("adamw", {"AdamW"})])
def test_the_optimiser_is_the_one_that_the_recipe_names(
    data: Path, recipe: Recipe, tmp_path: Path, optimiser: str, parts: set[str]
):
    trainer = Trainer(recipe.model_copy(update={"optimiser": optimiser}), data, tmp_path / "run", threads=1)
    assert set(trainer.optimiser.state_dict()) == parts
