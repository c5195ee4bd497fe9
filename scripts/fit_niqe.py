"""Fits the pristine model of NIQE to clean photographs and checks it on graded degradations.

    python scripts/fit_niqe.py FOLDER                   (needs the extra bench)
    python scripts/fit_niqe.py FOLDER --check-only      keeps the model, prints the shares

Every fourth photograph is held out; on those NIQE must grow strictly over five levels of blur, of noise
and of JPEG: exit code 1 if it does for fewer than 95 % of them. Only the mean and the covariance of 36 features
are kept.
"""

from __future__ import annotations

import argparse
import io
import sys
from pathlib import Path

import numpy as np
from PIL import Image
from rich.progress import track
from skimage.filters import gaussian

from restorect_cli.bench import niqe

PACKAGED = Path(__file__).resolve().parents[1] / "src" / "restorect_cli" / "bench" / "niqe_model.npz"
LEAST_SHARE = 0.95
SHARP_SHARE = 0.75
"""Of the sharpest patch of a picture: less sharp ones are left out of the pristine model (the paper's 0.75)."""

BLUR_PX = (0.5, 1, 1.5, 2, 3)
NOISE_LEVELS = (8, 14, 22, 35, 50)
JPEG_QUALITY = (50, 30, 20, 12, 7)


def read(path: Path) -> np.ndarray:
    return np.asarray(Image.open(path).convert("RGB"), np.float32) / 255


def fit(pictures: list[np.ndarray]) -> niqe.PristineModel:
    """The pristine model of these clean photographs: their sharp patches alone."""
    chosen = []
    for picture in pictures:
        features, sharpness = niqe.patch_features(picture)
        if len(features):
            keep = (sharpness > SHARP_SHARE * sharpness.max()) & np.isfinite(features).all(axis=1)
            chosen.append(features[keep])
    rows = np.concatenate(chosen)
    return niqe.PristineModel(rows.mean(axis=0), np.cov(rows, rowvar=False))


def blurred(image: np.ndarray, sigma: float) -> np.ndarray:
    return gaussian(image, sigma, mode="nearest", channel_axis=2)


def noisy(image: np.ndarray, sigma: float) -> np.ndarray:
    return (image + np.random.default_rng(0).standard_normal(image.shape) * sigma / 255).astype(np.float32)


def compressed(image: np.ndarray, quality: int) -> np.ndarray:
    file = io.BytesIO()
    Image.fromarray(np.round(image * 255).astype(np.uint8)).save(file, "JPEG", quality=quality)
    return np.asarray(Image.open(file), np.float32) / 255


DEGRADATIONS = {"blur": (blurred, BLUR_PX), "noise": (noisy, NOISE_LEVELS), "JPEG": (compressed, JPEG_QUALITY)}


def scores(path: Path) -> np.ndarray:
    """NIQE of a photograph by kind and level, the clean one first: (3, 6)."""
    picture = read(path)
    clean = niqe.niqe(picture)
    return np.array(
        [
            [clean, *(niqe.niqe(degrade(picture, level)) for level in levels)]
            for degrade, levels in DEGRADATIONS.values()
        ]
    )


def check(paths: list[Path]) -> bool:
    """Prints what share of the photographs grows strictly; true where it is enough for every kind."""
    values = np.array([scores(path) for path in track(paths)])  # (photographs, 3, 6)
    clean = values[:, 0, 0]
    low, high = np.quantile(clean, [0.05, 0.95])
    print(f"{len(clean)} held-out photographs: median {np.median(clean):.2f}, 5 to 95 %: {low:.2f} to {high:.2f}")
    grows = np.diff(values, axis=2) > 0
    shares = grows[:, :, 1:].all(axis=2).mean(axis=0)
    with_clean = grows.all(axis=2).mean(axis=0)
    for kind, (name, (_, levels)) in enumerate(DEGRADATIONS.items()):
        means = ", ".join(f"{value:.2f}" for value in values[:, kind].mean(axis=0))
        print(f"{name} {levels}: grows strictly in {shares[kind]:.1%}, with the clean one {with_clean[kind]:.1%}")
        print(f"    means from the clean one on: {means}")
        for path, is_growing in zip(paths, grows[:, kind, 1:].all(axis=1), strict=True):
            if not is_growing:
                print(f"    not in {path.name}")
    return bool((shares >= LEAST_SHARE).all())


def main() -> int:
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
        model = fit([read(path) for path in track(chosen)])
        np.savez_compressed(args.out, mean=model.mean, covariance=model.covariance)
        print(f"fitted to {len(chosen)} photographs: {args.out.stat().st_size} bytes")
        niqe.pristine_model.cache_clear()
    return 0 if check(held_out[:: args.every]) else 1


if __name__ == "__main__":
    sys.exit(main())
