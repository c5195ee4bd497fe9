"""Fits the pristine model of NIQE to clean photographs and checks it on graded degradations.

    python scripts/fit_niqe.py FOLDER       (needs the extra bench)

Every fourth photograph is held out; on those NIQE must grow strictly over five levels of blur, of noise
and of JPEG. Only the mean and the covariance of 36 features are kept.
"""

from __future__ import annotations

import argparse
import io
from pathlib import Path

import numpy as np
from PIL import Image
from skimage.filters import gaussian

from restorect_cli.bench import niqe

PACKAGED = Path(__file__).resolve().parents[1] / "src" / "restorect_cli" / "bench" / "niqe_model.npz"
BLUR_PX = (0, 0.5, 1, 1.5, 2, 3)
NOISE_LEVELS = (0, 8, 14, 22, 35, 50)
JPEG_QUALITY = (None, 50, 30, 20, 12, 7)


def read(path: Path) -> np.ndarray:
    return np.asarray(Image.open(path).convert("RGB"), np.float32) / 255


def blurred(image: np.ndarray, sigma: float) -> np.ndarray:
    return gaussian(image, sigma, mode="nearest", channel_axis=2)


def noisy(image: np.ndarray, sigma: float) -> np.ndarray:
    return (image + np.random.default_rng(0).standard_normal(image.shape) * sigma / 255).astype(np.float32)


def compressed(image: np.ndarray, quality: int | None) -> np.ndarray:
    if quality is None:
        return image
    file = io.BytesIO()
    Image.fromarray(np.round(image * 255).astype(np.uint8)).save(file, "JPEG", quality=quality)
    return np.asarray(Image.open(file), np.float32) / 255


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("folder", type=Path)
    parser.add_argument("--out", type=Path, default=PACKAGED)
    parser.add_argument("--check-only", action="store_true", help="keep the model, check it")
    parser.add_argument("--every", type=int, default=1, help="check every N-th of the held-out photographs")
    args = parser.parse_args()
    paths = sorted(path for path in args.folder.iterdir() if path.suffix in (".jpg", ".png", ".webp"))
    held_out = paths[::4]
    if not args.check_only:
        chosen = [path for path in paths if path not in held_out]
        niqe.save(niqe.fit([read(path) for path in chosen]), args.out)
        print(f"fitted to {len(chosen)} photographs: {args.out.stat().st_size} bytes")
        niqe.pristine_model.cache_clear()
    pictures = [read(path) for path in held_out[:: args.every]]
    clean = [niqe.niqe(picture) for picture in pictures]
    print(
        f"{len(clean)} held-out photographs: median {np.median(clean):.2f}, 5-95 % {np.quantile(clean, [0.05, 0.95])}"
    )
    for name, degrade, levels in (
        ("blur", blurred, BLUR_PX),
        ("noise", noisy, NOISE_LEVELS),
        ("JPEG", compressed, JPEG_QUALITY),
    ):
        values = np.array([[niqe.niqe(degrade(picture, level)) for level in levels] for picture in pictures])
        five = np.mean(np.all(np.diff(values[:, 1:], axis=1) > 0, axis=1))
        six = np.mean(np.all(np.diff(values, axis=1) > 0, axis=1))
        print(
            f"{name}: means {np.round(values.mean(axis=0), 2)}; five levels grow in {five:.1%}, with clean in {six:.1%}"
        )
        print("   pairs", np.round(np.mean(np.diff(values, axis=1) > 0, axis=0), 3))


if __name__ == "__main__":
    main()
