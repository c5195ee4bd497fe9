from __future__ import annotations

import re
from pathlib import Path
from types import ModuleType

import numpy as np
import pytest
from PIL import Image

from restorect_cli import Restorer
from restorect_cli.bench.metrics import psnr
from restorect_cli.training.pictures import load_pictures
from restorect_cli.training.scenes import split

from .conftest import load_script

RECIPE = """
task = "low-light"
iterations = 1
crop_px = 48

[[source]]
folder = "pairs"
degrade = "pair"
weight = 1
"""


@pytest.fixture
def script() -> ModuleType:
    return load_script("measure_held_out")


@pytest.fixture
def data(tmp_path: Path) -> Path:
    """Pairs of 20 different scenes, of which one is held out; a thumbnail of theirs is the picture itself."""
    generator = np.random.default_rng(0)
    for number in range(20):
        cells = generator.integers(40, 256, (3, 4, 3)).astype(np.uint8)
        clean = cells.repeat(16, axis=0).repeat(16, axis=1)[:48, :48]
        for folder, pixels in (("input", clean // 6), ("target", clean)):
            (tmp_path / "pairs" / folder).mkdir(parents=True, exist_ok=True)
            Image.fromarray(pixels).save(tmp_path / "pairs" / folder / f"{number}.png")
    (tmp_path / "own.toml").write_text(RECIPE, encoding="utf-8")
    return tmp_path


def test_only_held_out_pictures_are_scored(script: ModuleType, data: Path, capsys: pytest.CaptureFixture[str]):
    arguments = [str(data / "own.toml"), "--data", str(data), "--size", "48", "--threads", "1"]
    assert script.main(arguments) == 0
    line = capsys.readouterr().out
    held = split(load_pictures(data / "pairs", True, 48))[1]
    assert len(held) == 1 and "1 pictures of 48 x 48" in line
    assert held[0].degraded is not None
    degraded, clean = (p.astype(np.float32) / 255 for p in (held[0].degraded, held[0].clean))
    before, after = map(float, re.findall(r"PSNR ([\d.]+) -> ([\d.]+) dB", line)[0])
    assert before == pytest.approx(psnr(degraded, clean), abs=0.006)
    assert after == pytest.approx(psnr(Restorer("low-light", threads=1).restore(degraded), clean), abs=0.05)


def test_a_missing_folder_is_told(script: ModuleType, tmp_path: Path, capsys: pytest.CaptureFixture[str]):
    (tmp_path / "own.toml").write_text(RECIPE, encoding="utf-8")
    assert script.main([str(tmp_path / "own.toml"), "--data", str(tmp_path)]) != 0
    assert "lacks folders that the recipe names: pairs" in capsys.readouterr().err
