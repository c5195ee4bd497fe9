from __future__ import annotations

from collections.abc import Callable
from pathlib import Path

import numpy as np
import pytest
from PIL import Image
from support.clean_home import clean_home

MakePairs = Callable[..., Path]


def photograph(height: int = 40, width: int = 48, seed: int = 0) -> np.ndarray:
    """Soft blobs and edges, H×W×3 uint8: more like a photograph than noise is."""
    rng = np.random.default_rng(seed)
    small = rng.integers(20, 236, (height // 4 + 1, width // 4 + 1, 3), dtype=np.uint8)
    return np.asarray(Image.fromarray(small).resize((width, height), Image.Resampling.BICUBIC))


@pytest.fixture
def weights(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    """Students that change nothing, and an empty folder to work in."""
    folder = clean_home(tmp_path, monkeypatch, "denoise-s", "low-light-s")
    (tmp_path / "work").mkdir()
    monkeypatch.chdir(tmp_path / "work")
    return folder


@pytest.fixture
def make_pairs(weights: Path, tmp_path: Path) -> MakePairs:
    """make_pairs("my-pairs", count=3): a folder with input/ and target/; inputs are 10 levels darker."""

    def make(name: str = "my-pairs", count: int = 3, inputs: str = "input", targets: str = "target") -> Path:
        folder = tmp_path / "work" / name
        for number in range(count):
            clean = photograph(seed=number)
            for side, pixels in ((inputs, np.clip(clean, 10, None) - 10), (targets, clean)):
                (folder / side).mkdir(parents=True, exist_ok=True)
                Image.fromarray(pixels.astype(np.uint8)).save(folder / side / f"{number}.png")
        return folder

    return make
