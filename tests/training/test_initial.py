from __future__ import annotations

from dataclasses import replace
from pathlib import Path

import numpy as np
import pytest
import torch
from support.photographs import picture

from restorect_cli.engine.restorer import Restorer
from restorect_cli.engine.runtime import Graph
from restorect_cli.errors import InputError
from restorect_cli.models.store import find, register
from restorect_cli.recipes.recipe import Recipe
from restorect_cli.training.checkpoint import start_from
from restorect_cli.training.export import describe, export
from restorect_cli.training.initial import read_initial, read_model
from restorect_cli.training.nets.student import SHAPES, Student, made_to_fit

INPUTS = torch.rand(1, 3, 32, 40), torch.full((1,), 0.7), torch.rand(1, 3, 48, 64), torch.rand(1, 9) / 10


def awake(student: Student) -> Student:
    """With no layer at zero, as after training."""
    torch.manual_seed(3)
    with torch.no_grad():
        for value in student.parameters():
            value.add_(0.03 * torch.randn_like(value))
    return student.eval()


@pytest.fixture
def tiny(recipe: Recipe, tmp_path: Path) -> tuple[Student, Path]:
    student = awake(Student(SHAPES["tiny"]))
    export(student, describe(student, recipe, licence="MIT", training_data="none"), tmp_path / "denoise-tiny")
    return student, tmp_path / "denoise-tiny"


def test_a_models_weights_come_back_exactly(tiny: tuple[Student, Path]):
    student, folder = tiny
    weights = read_initial(folder)
    assert weights.keys() == student.state_dict().keys()
    assert all(torch.equal(weights[name], value) for name, value in student.state_dict().items())


@pytest.mark.parametrize(("name", "context"), [("derain-s", 0), ("raindrop-s", 48)])
def test_shipped_models_are_starts_by_their_names(recipe: Recipe, name: str, context: int):
    """The net computes what the model's graph does."""
    own = recipe.model_copy(update={"net": "s", "context": context})
    student = Student(replace(SHAPES["s"], context=context)).eval()
    start_from(name, student, own)
    x, t, _, _ = INPUTS
    z = torch.rand(1, 64)
    graph = Graph(find(None, name).velocity, "cpu", threads=1)
    found = graph.run({"x": x.numpy(), "t": t.numpy(), "z": z.numpy()})["displacement"]
    with torch.no_grad():
        torch.testing.assert_close(student.velocity(x, t, z), torch.from_numpy(found), atol=2e-5, rtol=0)


def test_a_context_block_must_be_asked_for(recipe: Recipe):
    with pytest.raises(InputError, match="say context = 48 in the recipe"):
        start_from("raindrop-s", Student(SHAPES["s"]), recipe.model_copy(update={"net": "s"}))


@pytest.mark.parametrize(("small", "large"), [("tiny", "s"), ("s", "m")])
def test_a_widened_student_computes_the_same(small: str, large: str):
    narrow = awake(Student(replace(SHAPES[small], latent_dim=64, blocks=(1, 1, 2, 1, 1))))
    wide = Student(replace(SHAPES[large], context=16 if large == "m" else 0)).eval()
    wide.load_state_dict(made_to_fit(narrow.state_dict(), wide))
    with torch.no_grad():
        expected, found = narrow(*INPUTS), wide(*INPUTS)
    assert expected.std() > 0.01
    torch.testing.assert_close(found, expected, atol=1e-4, rtol=0)
    loss = wide(*INPUTS).square().mean()  # and the new channels are not dead: they learn from the first step on
    loss.backward()
    new = wide.velocity.out.weight.grad[:, narrow.shape.width :]
    assert new.abs().max() > 0


def test_weights_that_cannot_be_had(recipe: Recipe, tmp_path: Path, tiny: tuple[Student, Path]):
    student = Student(SHAPES["tiny"])
    for named, said in (
        ("no-such-model", "unknown model 'no-such-model'"),
        (str(tmp_path / "absent.safetensors"), "cannot start from"),
        ("denoise-s", "denoise-s"),  # wider than tiny: it cannot be made narrower
    ):
        with pytest.raises(InputError, match=said) as refused:
            start_from(named, student, recipe)
        assert len(str(refused.value).splitlines()) == 1
    (tiny[1] / "prior.onnx").write_bytes(b"damaged")
    with pytest.raises(InputError, match="cannot read the weights in"):
        read_model(tiny[1])


def test_size_m_is_a_model_of_about_two_million_parameters(
    recipe: Recipe, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
):
    """Exported, in a manifest, and chosen by its size."""
    student = awake(Student(SHAPES["m"]))
    count = sum(p.numel() for p in student.parameters())
    assert 1.95e6 < count < 3e6
    own = recipe.model_copy(update={"net": "m"})
    folder = tmp_path / "weights" / "denoise-m"
    export(student, describe(student, own, licence="MIT", training_data="none"), folder)
    (folder / "card.md").write_text("# denoise-m")
    register(folder)
    monkeypatch.setenv("RESTORECT_WEIGHTS", str(tmp_path / "weights"))
    restorer = Restorer("denoise", model="m", device="cpu", threads=1)
    assert (restorer.spec.name, restorer.spec.size, restorer.spec.parameters) == ("denoise-m", "m", count)
    image = picture(1, 40, 48)
    assert not np.allclose(restorer.restore(image), image, atol=1e-3)
