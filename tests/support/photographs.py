"""Small clean pictures that stand in for photographs, made from a seed."""

from __future__ import annotations

from pathlib import Path

import numpy as np
from PIL import Image


def picture(seed: int, height: int = 64, width: int = 72) -> np.ndarray:
    """Smooth colour waves with an edge, (H,W,3) float32 in [0,1], different for each seed."""
    rng = np.random.default_rng(seed)
    rows, columns = np.mgrid[:height, :width] / 20.0
    waves = [np.sin(rng.uniform(0.5, 2) * rows + rng.uniform(0.5, 2) * columns + rng.uniform(0, 6)) for _ in range(3)]
    image = 0.5 + 0.35 * np.stack(waves, axis=-1)
    image[:, int(rng.integers(10, width - 10)) :] *= 0.6
    return image.astype(np.float32)


def save(image: np.ndarray, path: Path) -> None:
    path.parent.mkdir(parents=True, exist_ok=True)
    Image.fromarray(np.round(np.clip(image, 0, 1) * 255).astype(np.uint8)).save(path)
