from __future__ import annotations

import os
from pathlib import Path

import pytest
import torch

from restorect_cli.errors import InputError, OutputError, UsageError
from restorect_cli.recipes.recipe import Recipe
from restorect_cli.training.loop import Trainer


def test_a_run_is_not_overwritten_or_mixed(data: Path, recipe: Recipe, tmp_path: Path):
    run = tmp_path / "run"
    Trainer(recipe, data, run, threads=1).train()
    with pytest.raises(UsageError, match="--resume"):
        Trainer(recipe, data, run)
    with pytest.raises(UsageError, match="another recipe"):
        Trainer(recipe.model_copy(update={"batch": 3}), data, run, resume=True)
    with pytest.raises(InputError, match="nothing to resume"):
        Trainer(recipe, data, tmp_path / "other", resume=True)
    for junk in (b"damaged", b"no", b"", b"\x80\x04K\x01."):
        (run / "checkpoint.pt").write_bytes(junk)
        with pytest.raises(InputError, match="cannot read checkpoint.*no checkpoint of restorect, or a damaged one"):
            Trainer(recipe, data, run, resume=True)


def test_a_full_disk_keeps_the_checkpoint(data: Path, recipe: Recipe, tmp_path: Path, monkeypatch: pytest.MonkeyPatch):
    run = tmp_path / "run"
    trainer = Trainer(recipe, data, run, threads=1)
    trainer.train(time_limit=0.0)
    kept = (run / "checkpoint.pt").read_bytes()

    def full(state: object, path: Path) -> None:
        path.write_bytes(b"half")
        raise OSError(28, "No space left on device")

    monkeypatch.setattr(torch, "save", full)
    with pytest.raises(OutputError, match="No space left"):
        trainer.save()
    assert (run / "checkpoint.pt").read_bytes() == kept
    assert not list(run.glob("*.part"))


def test_a_run_can_start_from_the_weights_of_another(data: Path, recipe: Recipe, tmp_path: Path):
    first = Trainer(recipe, data, tmp_path / "first", threads=1)
    first.train()
    second = Trainer(recipe, data, tmp_path / "second", threads=1, init=tmp_path / "first" / "ema.safetensors")
    assert second.iteration == 0
    assert all(torch.equal(value, first.ema.weights[name]) for name, value in second.model.state_dict().items())
    other = recipe.model_copy(update={"net": "s"})
    for bad in (tmp_path / "none", tmp_path / "first" / "log.jsonl", tmp_path / "first" / "ema.safetensors"):
        with pytest.raises(InputError, match="cannot start from"):
            Trainer(other, data, tmp_path / "third", threads=1, init=bad)


def test_a_checkpoint_of_another_format_is_refused(data: Path, recipe: Recipe, tmp_path: Path):
    run = tmp_path / "run"
    Trainer(recipe, data, run, threads=1).save()
    state = torch.load(run / "checkpoint.pt", weights_only=True)
    torch.save(state | {"format": state["format"] + 1}, run / "checkpoint.pt")
    with pytest.raises(InputError, match="another version of restorect wrote it"):
        Trainer(recipe, data, run, threads=1, resume=True)


class RunsCode:
    """What a damaged or hostile checkpoint may hold: loading it calls a function."""

    def __init__(self, proof: Path) -> None:
        self.proof = proof

    def __reduce__(self) -> tuple[object, tuple[str]]:
        return os.mkdir, (str(self.proof),)


def test_a_checkpoint_runs_no_code(data: Path, recipe: Recipe, tmp_path: Path):
    run = tmp_path / "run"
    run.mkdir()
    torch.save({"format": RunsCode(tmp_path / "proof")}, run / "checkpoint.pt")
    with pytest.raises(InputError, match="cannot read checkpoint"):
        Trainer(recipe, data, run, threads=1, resume=True)
    assert not (tmp_path / "proof").exists()
