from __future__ import annotations

import json
from dataclasses import replace
from pathlib import Path

import pytest
import torch
from support.miniature import MINIATURE

from restorect_cli.errors import InputError
from restorect_cli.recipes.recipe import Recipe
from restorect_cli.training.export import load_weights
from restorect_cli.training.loop import Trainer
from restorect_cli.training.nets.teacher import Teacher
from restorect_cli.training.ranks import Ranks
from restorect_cli.training.stages.stage import Tensors, shown_to_encoders
from restorect_cli.training.stages.teaching import Teaching

TERMS = {
    "output": {"transformer", "image_encoder", "retinex_encoder"},
    "hvi": {"transformer", "image_encoder", "retinex_encoder"},
    "inner": {"transformer.inner", "transformer.encoder1", "transformer.decoder2", "retinex_encoder"},
    "retinex": {"low", "high"},
}


def batch(count: int = 2) -> Tensors:
    generator = torch.Generator().manual_seed(0)
    x = torch.rand(count, 3, 32, 32, generator=generator)
    thumb = torch.rand(count, 3, 16, 24, generator=generator)
    return Tensors(0.4 * x, x, 0.4 * thumb, thumb, torch.rand(count, 9))


def teaching(recipe: Recipe) -> Teaching:
    torch.manual_seed(0)
    teacher = Teacher(MINIATURE)
    with torch.no_grad():
        teacher.transformer.output.weight.normal_(std=0.1)
    return Teaching(teacher, recipe.model_copy(update={"oracle_share": 1.0}), Ranks())


@pytest.mark.parametrize("term", TERMS)
def test_every_term_reaches_what_it_is_meant_to_train(teacher_recipe: Recipe, term: str):
    """The fault of the released code: constraints were computed without gradient."""
    stage = teaching(teacher_recipe)
    with torch.autocast("cpu", torch.bfloat16):
        terms = stage(batch(), 0)
    assert set(terms) == set(TERMS) == set(stage.weights)
    terms[term].backward()
    reached = {name for name, p in stage.teacher.named_parameters() if p.grad is not None and bool(p.grad.any())}
    meant = {
        name
        for name, _ in stage.teacher.named_parameters()
        if name.startswith(tuple(TERMS[term])) and (term == "inner" or "inner" not in name)
    }
    assert meant <= reached
    if term == "retinex":
        assert reached == meant
    else:
        assert not any(name.startswith(("low", "high")) for name in reached)


def test_the_whole_loss_reaches_every_parameter(teacher_recipe: Recipe):
    stage = teaching(teacher_recipe)
    torch.stack([stage.weights[name] * value for name, value in stage(batch(), 0).items()]).sum().backward()
    assert [name for name, p in stage.named_parameters() if p.grad is None or not bool(p.grad.any())] == []


@pytest.mark.parametrize(("task", "seen"), [("low-light", "clean_thumb"), ("derain", "x")])
def test_the_truth_is_the_whole_picture_in_low_light_and_the_crop_elsewhere(
    teacher_recipe: Recipe, task: str, seen: str
):
    stage = teaching(teacher_recipe.model_copy(update={"task": task}))
    given = batch()
    before = stage(given, 0)["output"]
    others = {"clean_thumb", "x"} - {seen}
    for name, same in ((seen, False), *((other, True) for other in others)):
        encoded = stage.teacher.encode(*shown_to_encoders(replace(given, **{name: 0.5 * getattr(given, name)}), task))
        plain = stage.teacher.encode(*shown_to_encoders(given, task))
        assert torch.equal(encoded[0], plain[0]) == same, name
    assert before.isfinite()
    told, untold = (stage.restored(stage.teacher, given)[way] for way in ("with the truth", ""))
    assert not torch.equal(told, untold)


def test_the_truth_is_shown_to_a_share_of_the_samples(teacher_recipe: Recipe):
    recipe = teacher_recipe.model_copy(update={"batch": 500, "oracle_share": 0.7})
    stage = Teaching(Teacher(MINIATURE), recipe, Ranks())
    assert 0.6 < float(stage._told(3).float().mean()) < 0.8
    assert torch.equal(stage._told(3), stage._told(3)) and not torch.equal(stage._told(3), stage._told(4))
    parts = [Teaching(Teacher(MINIATURE), recipe, Ranks(rank, 2))._told(3) for rank in range(2)]
    assert torch.equal(parts[1], stage._told(3)[1::2])


def test_processes_terms_add_up_to_those_of_one(teacher_recipe: Recipe):
    whole = batch(4)
    recipe = teacher_recipe.model_copy(update={"batch": 4, "oracle_share": 0.5})
    torch.manual_seed(0)
    teacher = Teacher(MINIATURE)
    alone = Teaching(teacher, recipe, Ranks())(whole, 1)
    together = [
        Teaching(teacher, recipe, Ranks(rank, 2))(Tensors(*(v[rank::2] for v in vars(whole).values())), 1)
        for rank in range(2)
    ]
    for name, value in alone.items():
        torch.testing.assert_close(together[0][name] + together[1][name], value)


def test_black_pictures_train_finitely(teacher_recipe: Recipe):
    stage, black = teaching(teacher_recipe), torch.zeros(2, 3, 32, 32)
    with torch.autocast("cpu", torch.bfloat16):
        terms = stage(Tensors(black, black, black, black, black), 0)
    torch.stack(list(terms.values())).sum().backward()
    assert all(bool(p.grad.isfinite().all()) for p in stage.parameters() if p.grad is not None)


@pytest.mark.parametrize("optimiser", ["adamw", "muon"])
def test_a_teacher_is_trained_resumed_and_measured_both_ways(
    data: Path, teacher_recipe: Recipe, tmp_path: Path, optimiser: str
):
    recipe = teacher_recipe.model_copy(update={"optimiser": optimiser})
    whole = Trainer(recipe, data, tmp_path / "whole", threads=1)
    assert whole.train()
    assert not Trainer(recipe, data, tmp_path / "parts", threads=1).train(time_limit=0.0)
    second = Trainer(recipe, data, tmp_path / "parts", threads=1, resume=True)
    assert second.train()
    for name, value in whole.ema.weights.items():
        assert torch.equal(value, second.ema.weights[name]), name
    records = [json.loads(line) for line in (tmp_path / "whole" / "log.jsonl").read_text().splitlines()]
    assert {"loss", *TERMS} <= set(records[0])
    assert set(records[-2].get("validation", records[-1].get("validation"))) == {
        "pairs:pair",
        "pairs:pair with the truth",
    }
    with pytest.raises(InputError, match=r"not a trained student.*teacher-tiny"):
        load_weights(tmp_path / "whole" / "ema.safetensors")


def test_a_teacher_learns(data: Path, teacher_recipe: Recipe, tmp_path: Path):
    update = {"iterations": 14, "learning_rate": 8e-3, "ema": 0.8}
    trainer = Trainer(teacher_recipe.model_copy(update=update), data, tmp_path / "run", threads=1)
    before = trainer.validate()
    trainer.train()
    after = trainer.validate()
    assert all(after[name] > before[name] + 1 for name in before)  # the inputs are half as bright
