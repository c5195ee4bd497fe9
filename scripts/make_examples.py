"""Makes the photographs in examples/ from public-domain and CC0 pictures of the scikit-image package.

    python scripts/make_examples.py        (needs the extras train and bench)

Each is degraded with the project's own synthesis and a fixed seed; the clean picture goes to
examples/clean/ under the same name. The shipped derain.jpg was made before the rain changed, so this script now makes a
different one.
"""

from __future__ import annotations

from collections.abc import Callable
from pathlib import Path

import numpy as np
from PIL import Image
from skimage import data

from restorect_cli.degrade import darkness, noise, rain, raindrop
from restorect_cli.degrade.noise import FloatImage

EXAMPLES = Path(__file__).resolve().parents[1] / "examples"
QUALITY = 95


def night(image: FloatImage, rng: np.random.Generator) -> FloatImage:
    dim = darkness.Darkness(gain=0.04, gamma=1.05, cast=(1.0, 0.98, 0.95), shot=3e-5, read=(0.0004) ** 2)
    return dim.apply(image, rng)


def noisy(image: FloatImage, rng: np.random.Generator) -> FloatImage:
    return noise.gaussian(image, 28, rng)


def rainy(image: FloatImage, rng: np.random.Generator) -> FloatImage:
    side = max(image.shape[:2])
    square = np.pad(image, ((0, side - image.shape[0]), (0, side - image.shape[1]), (0, 0)), mode="edge")
    shape = (side, side)
    layers = [rain.generate_layer(rng, heavy=True, shape=shape) for _ in range(6)]
    wet = rain.heavy_rain(square, rain.StreakBank(light=layers, heavy=layers), rng)
    return wet[: image.shape[0], : image.shape[1]]


def drops(image: FloatImage, rng: np.random.Generator) -> FloatImage:
    return raindrop.drops(image, rng, coverage=0.8)


# task: (picture, degradation, seed)
MADE: dict[str, tuple[str, Callable[[FloatImage, np.random.Generator], FloatImage], int]] = {
    "low-light": ("coffee", night, 3),
    "denoise": ("chelsea", noisy, 1),
    "derain": ("rocket", rainy, 9),
    "raindrop": ("astronaut", drops, 3),
}


def save(image: FloatImage, path: Path) -> None:
    path.parent.mkdir(parents=True, exist_ok=True)
    pixels = np.round(np.clip(image, 0, 1) * 255).astype(np.uint8)
    Image.fromarray(pixels).save(path, quality=QUALITY, subsampling=0)


def main() -> None:
    for task, (picture, degrade, seed) in MADE.items():
        clean = np.asarray(getattr(data, picture)()[..., :3], np.float32) / 255
        save(clean, EXAMPLES / "clean" / f"{task}.jpg")
        save(degrade(clean, np.random.default_rng(seed)), EXAMPLES / f"{task}.jpg")


if __name__ == "__main__":
    main()
