from __future__ import annotations

import copy
import shlex
from pathlib import Path
from typing import Any

import numpy as np
import onnx
import pytest
import torch
from support.photographs import picture, save

from restorect_cli.cli.app import main
from restorect_cli.engine.restorer import Restorer
from restorect_cli.errors import InputError, ModelError, OutputError
from restorect_cli.models.store import find
from restorect_cli.recipes.recipe import Recipe
from restorect_cli.training import export as exporting
from restorect_cli.training.export import describe, export, load_weights
from restorect_cli.training.loop import Trainer
from restorect_cli.training.nets.student import SHAPES, Student

_traced: dict[str, onnx.ModelProto] = {}


@pytest.fixture(autouse=True)
def traced_once(monkeypatch: pytest.MonkeyPatch) -> None:
    """Tracing takes seconds, and all tests here export the same student: the graphs of the first are kept."""
    trace = exporting._to_onnx

    def traced(module: torch.nn.Module, inputs: Any, names: Any, output: str, dynamic: Any) -> onnx.ModelProto:
        if output not in _traced:
            _traced[output] = trace(module, inputs, names, output, dynamic)
        return copy.deepcopy(_traced[output])

    monkeypatch.setattr(exporting, "_to_onnx", traced)


def shaken() -> Student:
    torch.manual_seed(0)
    student = Student(SHAPES["tiny"])
    with torch.no_grad():
        for p in student.parameters():
            p.add_(0.03 * torch.randn_like(p))
    return student.eval()


def test_the_exported_student_restores_as_torch_does(recipe: Recipe, tmp_path: Path):
    student = shaken()
    spec = describe(student, recipe, licence="CC0-1.0", training_data="waves")
    export(student, spec, tmp_path / "denoise-tiny")
    assert find("denoise", str(tmp_path / "denoise-tiny")).spec == spec
    restorer = Restorer("denoise", model=str(tmp_path / "denoise-tiny"), device="cpu", threads=1)
    image = picture(3, 48, 72)
    restored = restorer.restore(image)

    inputs = exporting_inputs(image)
    with torch.no_grad():
        expected = image - student(*inputs)[0].permute(1, 2, 0).numpy()
    np.testing.assert_allclose(restored, expected, atol=5e-5)
    assert not np.allclose(restored, image, atol=1e-2)


@pytest.mark.parametrize(
    ("changes", "max_steps"),
    [
        ({}, 4),
        ({"start_share": 0.99}, 4),
        ({"start_share": 1.0}, 1),
        ({"start_share": 1.0, "consistency": "inert"}, 1),  # carries no gradient
        ({"start_share": 1.0, "consistency": "full", "consistency_weight": 0.0}, 1),
        ({"start_share": 1.0, "consistency": "cheap"}, 4),  # trained where its roll-outs arrive
    ],
)
def test_a_net_trained_at_the_start_alone_takes_one_step(recipe: Recipe, changes: dict[str, Any], max_steps: int):
    spec = describe(shaken(), recipe.model_copy(update=changes), licence="CC0-1.0", training_data="waves")
    assert (spec.default_steps, spec.max_steps) == (1, max_steps)


def exporting_inputs(image: np.ndarray) -> tuple[torch.Tensor, ...]:
    from restorect_cli.engine.prior import prior_inputs
    from restorect_cli.engine.source import ArraySource

    prior = prior_inputs(ArraySource(image))
    nchw = [torch.from_numpy(a.transpose(2, 0, 1)[None].copy()) for a in (image, prior.thumb)]
    return nchw[0], torch.ones(1), nchw[1], torch.from_numpy(prior.statistics[None])


def test_a_graph_that_disagrees_is_not_written(recipe: Recipe, tmp_path: Path, monkeypatch: pytest.MonkeyPatch):
    student = shaken()
    spec = describe(student, recipe, licence="CC0-1.0", training_data="waves")
    monkeypatch.setattr(exporting, "PARITY", -1.0)
    with pytest.raises(ModelError, match="differs from torch"):
        export(student, spec, tmp_path / "denoise-tiny")
    assert not (tmp_path / "denoise-tiny").exists()


def test_weights_of_a_run_come_with_their_recipe(data: Path, recipe: Recipe, tmp_path: Path):
    trainer = Trainer(recipe, data, tmp_path / "run", threads=1)
    trainer.train()
    student, found = load_weights(tmp_path / "run" / "ema.safetensors")
    assert found == recipe
    for name, value in student.state_dict().items():
        assert torch.equal(value, trainer.ema.weights[name])
    (tmp_path / "other.safetensors").write_bytes(b"no")
    with pytest.raises(InputError, match="not a trained student"):
        load_weights(tmp_path / "other.safetensors")


def test_a_place_that_cannot_be_written_is_named(recipe: Recipe, tmp_path: Path):
    student = shaken()
    spec = describe(student, recipe, licence="CC0-1.0", training_data="waves")
    (tmp_path / "file").write_text("in the way")
    with pytest.raises(OutputError, match="cannot write denoise-tiny"):
        export(student, spec, tmp_path / "file" / "denoise-tiny")


def contents(folder: Path) -> dict[str, bytes]:
    return {path.name: path.read_bytes() for path in folder.iterdir()}


@pytest.mark.parametrize("name", ["prior.onnx", "velocity.onnx", "velocity.int8.onnx"])
def test_a_student_is_replaced_only_when_asked(recipe: Recipe, tmp_path: Path, name: str):
    student = shaken()
    spec = describe(student, recipe, licence="CC0-1.0", training_data="waves")
    (tmp_path / name).write_bytes(b"another")
    with pytest.raises(OutputError, match="holds a model already: .* --overwrite"):
        export(student, spec, tmp_path)
    assert contents(tmp_path) == {name: b"another"}
    export(student, spec, tmp_path, overwrite=True)
    assert find("denoise", tmp_path).velocity_int8 is None and b"another" not in contents(tmp_path).values()


def test_the_student_before_stays_whole_where_the_new_one_has_no_room(
    recipe: Recipe, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
):
    student = shaken()
    before = {"prior.onnx": b"a", "velocity.onnx": b"b", "velocity.int8.onnx": b"c"}
    for name, data in before.items():
        (tmp_path / name).write_bytes(data)
    write = Path.write_bytes

    def full(path: Path, data: bytes) -> int:
        if path.name.startswith("velocity"):
            write(path, data[:9])
            raise OSError(28, "No space left on device")
        return write(path, data)

    monkeypatch.setattr(Path, "write_bytes", full)
    spec = describe(student, recipe, licence="CC0-1.0", training_data="waves")
    with pytest.raises(OutputError, match="cannot write denoise-tiny .*No space"):
        export(student, spec, tmp_path, overwrite=True)
    assert contents(tmp_path) == before


@pytest.mark.parametrize("folder", ["one-s", "my students/one-s"])
def test_the_command_that_is_printed_works(
    recipe: Recipe,
    tmp_path: Path,
    monkeypatch: pytest.MonkeyPatch,
    capsys: pytest.CaptureFixture[str],
    folder: str,
):
    monkeypatch.chdir(tmp_path)
    monkeypatch.setattr(exporting, "load_weights", lambda path: (shaken(), recipe))
    assert main(["export", "run", "-o", folder]) == 0
    command = shlex.split(capsys.readouterr().out.split("; ")[1])
    save(picture(3), Path("in.png"))
    assert main(["in.png" if word == "IN" else word for word in command[1:]]) == 0
    assert Path("in.restored.png").is_file()


def test_the_command_puts_the_card_of_a_replaced_student_aside(
    recipe: Recipe, tmp_path: Path, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
):
    monkeypatch.chdir(tmp_path)
    monkeypatch.setattr(exporting, "load_weights", lambda path: (shaken(), recipe))
    Path("mine").mkdir()
    Path("mine/card.md").write_text("written before")
    assert main(["export", "run", "-o", "mine"]) == 0 and Path("mine/card.md").is_file()
    before = contents(Path("mine"))
    capsys.readouterr()
    assert main(["export", "run", "-o", "mine", "--licence", "CC0-1.0"]) == 1
    assert capsys.readouterr().err == (
        "restorect: error: mine holds a model already: choose another folder, or --overwrite to replace it\n"
    )
    assert contents(Path("mine")) == before
    assert main(["export", "run", "-o", "mine", "--licence", "CC0-1.0", "--overwrite"]) == 0
    assert "card of the replaced model is now mine/card.old.md" in capsys.readouterr().err
    assert set(contents(Path("mine"))) == {"prior.onnx", "velocity.onnx", "card.old.md"}
    assert find("denoise", Path("mine")).spec.licence == "CC0-1.0"
