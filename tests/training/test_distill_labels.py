"""`restorect distill` from a network that shows pictures alone: label, train, export."""

from __future__ import annotations

import json
from collections.abc import Callable
from pathlib import Path

import numpy as np
import pytest
from support.onnx_teachers import brighter
from support.photographs import picture, save

from restorect_cli.cli.app import main
from restorect_cli.engine.restorer import Restorer

Distill = Callable[..., tuple[int, str, str]]

SHORT = 'task = "denoise"\nnet = "tiny"\niterations = 3\nbatch = 2\ncrop_px = 32\nvalidate_every = 3\n'
TAUGHT = '[[source]]\nfolder = "{folder}"\ndegrade = "pair"\ntruth = "{truth}"\nweight = 1\n'


@pytest.fixture
def distill(tmp_path: Path, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]) -> Distill:
    """Runs the command on the photographs in rainy/ with t.onnx, which brightens, in the folder we are in."""
    monkeypatch.chdir(tmp_path)
    for seed in range(4):
        save(0.8 * picture(seed), Path("rainy") / f"{seed}.png")
    brighter(Path("t.onnx"))

    def distill(*arguments: str, teacher: str = "t.onnx", data: str = "rainy") -> tuple[int, str, str]:
        capsys.readouterr()
        code = main(["distill", "--teacher", teacher, "--data", data, "--threads", "1", *arguments])
        return (code, *capsys.readouterr())

    return distill


def test_photographs_are_labelled_trained_on_and_exported(distill: Distill):
    Path("r.toml").write_text(SHORT + TAUGHT.format(folder="rainy", truth="teacher"))
    code, out, err = distill("r.toml", "-o", "run", data=".")
    assert code == 0, err
    assert "the teacher labels each picture once, before training: 4 are left" in err
    assert len(list(Path("rainy/target").iterdir())) == 4 and "exported to run/denoise-tiny" in out
    assert "labels by t.onnx" in Path("run/denoise-tiny/card.md").read_text()
    assert Restorer("denoise", model="./run/denoise-tiny", device="cpu", threads=1).restore(picture(1)).shape
    labels = Path("rainy/target/1.png").stat().st_mtime_ns
    code, _, err = distill("r.toml", "-o", "again", data=".")
    assert code == 0 and "the teacher labels" not in err and Path("rainy/target/1.png").stat().st_mtime_ns == labels


def test_without_a_recipe_one_is_written_and_the_shipped_model_is_the_start(distill: Distill):
    code, out, err = distill("--task", "derain", "--dry-run")
    assert code == 0 and out == "4 pictures to label first\n" and not Path("rainy/input").exists()
    code, out, err = distill("--task", "derain", "--time-limit", "0")
    assert code == 0, err
    assert "starts from derain-s; --init names another start" in err and "stopped at iteration 1 of 1000" in out
    assert 'truth = "teacher"' in Path("rainy/recipe.toml").read_text()
    assert Path("runs/derain-s-distilled/ema.safetensors").is_file()
    code, out, err = distill("--resume", "--time-limit", "0")
    assert code == 0 and "stopped at iteration 2 of 1000" in out, err


def test_pairs_get_the_teachers_pictures_beside_their_truth(distill: Distill):
    for seed in range(4):
        save(picture(seed), Path("pairs/target") / f"{seed}.png")
        save(0.7 * picture(seed), Path("pairs/input") / f"{seed}.png")
    Path("r.toml").write_text(SHORT + TAUGHT.format(folder="pairs", truth="mixed"))
    code, _, err = distill("r.toml", "-o", "run", data=".")
    assert code == 0, err
    assert len(list(Path("pairs/teacher").glob("*.png"))) == 4
    assert json.loads(Path("pairs/teacher/source.json").read_text())["teacher"] == "t.onnx"
    code, _, err = distill("r.toml", "-o", "again", data=".")
    assert code == 0 and "the teacher labels" not in err


@pytest.mark.parametrize(
    ("text", "arguments", "said"),
    [
        (None, [], "no recipe says what the teacher repairs: say --task"),
        (SHORT + TAUGHT.format(folder="rainy", truth="exact"), [], "asks for no teacher's pictures"),
        (SHORT + TAUGHT.format(folder="rainy", truth="teacher") + "[distill]\n", [], "shows pictures alone"),
        (SHORT + TAUGHT.format(folder="rainy", truth="teacher"), ["--task", "derain"], "is for denoise, not derain"),
    ],
)
def test_what_does_not_fit_is_one_line(distill: Distill, text: str | None, arguments: list[str], said: str):
    named = []
    if text is not None:
        Path("r.toml").write_text(text)
        named = ["r.toml"]
    code, _, err = distill(*named, "-o", "run", *arguments, data="rainy" if text is None else ".")
    assert code == 2 and said in err and len(err.splitlines()) == 1
    assert not Path("run").exists() and not Path("rainy/input").exists()


def test_labels_of_another_teacher_are_not_taken_for_this_ones(distill: Distill):
    assert main(["label", "rainy", "--teacher", "t.onnx", "--task", "denoise", "-o", "made", "-d", "cpu"]) == 0
    brighter(Path("u.onnx"), by=0.15)
    code, _, err = distill(teacher="u.onnx", data="made")
    assert code == 2 and "made was labelled by t.onnx, not by u.onnx" in err
    Path("r.toml").write_text(SHORT + TAUGHT.format(folder="rainy", truth="teacher"))
    assert main(["label", "rainy", "--teacher", "t.onnx", "-o", "rainy", "-d", "cpu"]) == 0
    code, _, err = distill("r.toml", teacher="u.onnx", data=".")
    assert code == 2 and "rainy was labelled by t.onnx, not by u.onnx" in err
    code, out, err = distill("--time-limit", "0", data="made")
    assert code == 0 and "stopped at iteration 1" in out, err


def test_the_net_moves_towards_what_the_teacher_shows(distill: Distill):
    """It brightens, and after some steps from the identity so does the student."""
    text = SHORT.replace("iterations = 3", "iterations = 60\nlearning_rate = 4e-3")
    Path("r.toml").write_text(text + TAUGHT.format(folder="rainy", truth="teacher"))
    assert distill("r.toml", "-o", "run", data=".")[0] == 0
    image = np.float32(0.8) * picture(2)
    restored = Restorer("denoise", model="./run/denoise-tiny", device="cpu", threads=1).restore(image)
    assert 0.03 < (restored - image).mean() < 0.15
