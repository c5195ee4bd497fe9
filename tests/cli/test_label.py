from __future__ import annotations

import json
import subprocess
import sys
from collections.abc import Callable
from pathlib import Path
from typing import Any

import numpy as np
import pytest
from PIL import Image

pytest.importorskip("onnx")

from support.onnx_teachers import brighter, write_teacher
from support.photographs import picture, save

Run = Callable[..., Any]


@pytest.fixture
def photographs(weights: Path) -> Path:
    for seed in range(3):
        save(0.8 * picture(seed), Path("photos") / f"{seed}.png")
    brighter(Path("t.onnx"))
    return Path("photos")


def test_labels_a_recipe_and_what_comes_next(run: Run, photographs: Path):
    result = run("label", "photos", "--teacher", "t.onnx", "--task", "derain", "--licence", "MIT", "-d", "cpu")
    assert result.code == 0, result.err
    assert len(list(Path("photos-labelled/target").iterdir())) == 3
    assert result.out.splitlines()[0].startswith("photos/0.png -> photos-labelled/target/0.png  (")
    assert "order nchw, values 0..1, size free, multiple 1" in result.err
    assert "to train on them: restorect train --data photos-labelled --init derain-s" in result.err
    assert json.loads(Path("photos-labelled/source.json").read_text())["licence"] == "MIT"
    again = run("label", "photos", "--teacher", "t.onnx", "--task", "derain", "--licence", "MIT", "-d", "cpu")
    assert again.code == 0 and again.out == "" and "0 pictures to label, 3 labelled before" in again.err


def test_dropped_labels_and_json(run: Run, photographs: Path):
    write_teacher(Path("t.onnx"), [("Identity", ["x"], ["y"], {})])
    result = run("label", "photos", "--teacher", "t.onnx", "-o", "out", "--json", "-d", "cpu")
    assert result.code == 0
    assert [json.loads(line)["problem"] for line in result.out.splitlines()] == ["unchanged"] * 3
    assert len(Path("out/rejected.jsonl").read_text().splitlines()) == 3 and not Path("out/recipe.toml").exists()


def test_a_damaged_photograph_costs_a_line_and_exit_code_1(run: Run, photographs: Path):
    (photographs / "1.png").write_bytes(b"no picture")
    result = run("label", "photos", "--teacher", "t.onnx", "-o", "out", "-q", "-d", "cpu")
    assert result.code == 1 and "photos/1.png" in result.err and len(result.err.splitlines()) == 1
    assert len(list(Path("out/target").iterdir())) == 2


@pytest.mark.parametrize(
    ("arguments", "code", "said"),
    [
        (["--teacher", "absent.onnx"], 2, "teacher absent.onnx is not there"),
        (["--teacher", "t.onnx", "--layout", "hwc"], 2, "'hwc' is not one of"),
        (["--teacher", "t.onnx", "--values", "0..2"], 2, "'0..2' is not one of"),
        (["--teacher", "t.onnx", "--task", "deblur"], 2, "'deblur' is not one of"),
        (["--teacher", "self"], 2, "needs a task"),
        (["--teacher", "prog {in}"], 2, "has no {out}"),
        ([], 2, "--teacher"),
    ],
)
def test_wrong_usage_is_one_line_and_leaves_nothing(
    run: Run, photographs: Path, arguments: list[str], code: int, said: str
):
    result = run("label", "photos", "-o", "out", *arguments)
    assert result.code == code and said in result.err and len(result.err.splitlines()) == 1
    assert not Path("out").exists()


def test_our_own_model_and_a_command(run: Run, photographs: Path):
    result = run("label", "photos", "--teacher", "self", "-t", "denoise", "-o", "own", "-d", "cpu", "--threads", "1")
    assert result.code == 0 and "label dropped, unchanged" in result.err  # the identity's
    Path("half.py").write_text(
        "import sys, numpy as np; from PIL import Image; i, o = sys.argv[1:]\n"
        "Image.fromarray(np.asarray(Image.open(i)) // 2).save(o)\n"
    )
    result = run("label", "photos", "--teacher", f"{sys.executable} half.py {{in}} {{out}}", "-o", "half")
    assert result.code == 0, result.err
    given, taught = (np.asarray(Image.open(f"half/{side}/1.png")) for side in ("input", "target"))
    assert np.array_equal(taught, given // 2)


def test_needs_no_torch(photographs: Path):
    code = (
        "import sys; sys.modules.update(dict.fromkeys(('torch', 'safetensors', 'onnx', 'tomli')))\n"
        "from restorect_cli.cli.app import main\n"
        "sys.exit(main(['label', 'photos', '--teacher', 't.onnx', '-o', 'out', '-t', 'derain', '-d', 'cpu']))"
    )
    done = subprocess.run([sys.executable, "-c", code], capture_output=True, text=True)
    assert done.returncode == 0, done.stderr
    assert len(list(Path("out/target").iterdir())) == 3
