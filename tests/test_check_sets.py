"""The shipped students on standard test pictures, where there are any (check_data.py); else skipped.

Guards against a student, a statistic or a runtime that has become worse; nothing is chosen by these numbers.
"""

from __future__ import annotations

from pathlib import Path

import numpy as np
import pytest
from PIL import Image
from support.check_data import DATA

from restorect_cli import Restorer
from restorect_cli.bench.metrics import psnr


def read(path: Path) -> np.ndarray:
    return np.asarray(Image.open(path).convert("RGB"), np.float32) / 255


def pictures(folder: Path, every: int = 1) -> list[Path]:
    found = sorted(folder.iterdir())[::every] if folder.is_dir() else []
    if not found:
        pytest.skip(f"no test pictures in {folder.name}")
    return found


@pytest.mark.parametrize(("clipped", "least"), [(False, 30.3), (True, 30.2)])
def test_denoise(clipped: bool, least: float):
    """CBSD68, every fourth picture of the half, sigma 25; a margin below what the student reaches."""
    restorer, scores = Restorer("denoise", device="cpu"), []
    for path in pictures(DATA / "denoise" / "CBSD68-34" / "target", every=4):
        clean = read(path)
        noisy = (clean + np.random.default_rng(0).standard_normal(clean.shape) * 25 / 255).astype(np.float32)
        if clipped:
            noisy = np.round(np.clip(noisy, 0, 1) * 255).astype(np.float32) / 255
        scores.append(psnr(restorer.restore(noisy), clean))
    assert np.mean(scores) > least


def test_low_light():
    """LOL-v1, every second evaluation pair."""
    restorer, scores = Restorer("low-light", device="cpu"), []
    for path in pictures(DATA / "lowlight" / "LOL-eval8" / "input"):
        scores.append(psnr(restorer.restore(read(path)), read(next(path.parents[1].glob(f"target/{path.stem}.*")))))
    assert np.mean(scores) > 20.5
