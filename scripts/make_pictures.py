"""Makes the before/after pictures of README and cards with the shipped models.

    python scripts/make_pictures.py        (needs the extras train and bench)

docs/images/TASK.jpg is the example of that task; docs/images/TASK-fails.jpg one that the model handles badly.
"""

from __future__ import annotations

from collections.abc import Callable
from pathlib import Path

import numpy as np
from PIL import Image
from skimage import data

from restorect_cli import Restorer
from restorect_cli.degrade import darkness, noise, rain, raindrop
from restorect_cli.degrade.noise import FloatImage
from restorect_cli.models import store

ROOT = Path(__file__).resolve().parents[1]
IMAGES = ROOT / "docs" / "images"


def read(path: Path) -> FloatImage:
    return np.asarray(Image.open(path).convert("RGB"), np.float32) / np.float32(255)


def photograph(name: str) -> FloatImage:
    pixels = np.asarray(getattr(data, name)())
    colours = np.stack([pixels] * 3, axis=-1) if pixels.ndim == 2 else pixels[..., :3]
    return colours.astype(np.float32) / np.float32(255)


def grass() -> FloatImage:
    """Texture as fine as the noise."""
    return noise.to_8_bit(noise.gaussian(photograph("grass")[:300, :400], 28, np.random.default_rng(0)))


def noisy_night() -> FloatImage:
    """Noise as strong as a telephone's at night."""
    dark = darkness.Darkness(gain=0.04, gamma=1.05, cast=(1.0, 0.98, 0.95), shot=6e-4, read=0.0015**2)
    rng = np.random.default_rng(0)
    return noise.to_8_bit(dark.apply(photograph("chelsea"), rng))


def downpour() -> FloatImage:
    """Heavy rain twice: next to nothing of the scene is left uncovered."""
    rng = np.random.default_rng(2)
    wet = photograph("coffee")[:300, :400]
    for _ in range(2):
        wet = rain.heavy_rain(wet, rain.FreshStreaks(), rng)
    return noise.to_8_bit(wet)


def large_drops() -> FloatImage:
    """Drops three times as large as in training."""
    rng = np.random.default_rng(7)
    image = photograph("coffee")
    return noise.to_8_bit(raindrop.drops(image, rng, coverage=1.5, picture_height_px=3 * image.shape[0]))


FAILURES: dict[str, Callable[[], FloatImage]] = {
    "denoise": grass,
    "low-light": noisy_night,
    "derain": downpour,
    "raindrop": large_drops,
}


def save(before: FloatImage, restorer: Restorer, path: Path) -> None:
    both = np.concatenate([before, np.ones_like(before[:, :6]), restorer.restore(before)], axis=1)
    pixels = np.round(np.clip(both, 0, 1) * 255).astype(np.uint8)
    Image.fromarray(pixels).save(path, quality=90)


def main() -> None:
    IMAGES.mkdir(parents=True, exist_ok=True)
    for student in store.installed():
        task = student.spec.task
        restorer = Restorer(task, model=student.spec.name, device="cpu")
        save(read(ROOT / "examples" / f"{task}.jpg"), restorer, IMAGES / f"{task}.jpg")
        save(FAILURES[task](), restorer, IMAGES / f"{task}-fails.jpg")


if __name__ == "__main__":
    main()
