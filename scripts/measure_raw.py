"""Measures the denoise model on developed RAW files, whose noise is not that of its training.

    python scripts/measure_raw.py --data DIR [--size 384]

DIR holds clean photographs, of which the middle is taken. Each becomes a sensor's mosaic (RGGB, white at 0.5, 1, 0.6)
with noise of variance shot·x + read, x in [0, 1] of full scale; read follows shot as in Brooks et al., "Unprocessing
Images for Learned Raw Denoising" (2019), equation 10 without its spread. It is written as a DNG, developed and
restored as `restorect enhance` does, and compared with the clean mosaic developed the same way: RGB PSNR. Beside it
stands white Gaussian noise of the same PSNR, which is nearer to what the model was trained on. Noise is seeded.
"""

from __future__ import annotations

import argparse
import math
import sys
from collections.abc import Sequence
from pathlib import Path

import numpy as np

sys.path.insert(0, str(Path(__file__).resolve().parents[1] / "tests"))  # DNGs are made as in the tests
from support.tiffs import dng, mosaic

from restorect_cli.bench.metrics import psnr
from restorect_cli.files import Repairer, Settings
from restorect_cli.images import read
from restorect_cli.images.picture import Meta, Picture, to_depth
from restorect_cli.names import is_picture

Array = np.ndarray
SHOT = (0.0005, 0.002, 0.008)
WHITE = 16383


def middle(path: Path, size: int) -> Array:
    """The middle of a picture as linear light, H×W×3 float64, sides even."""
    pixels = to_depth(read(path).pixels, 32).astype(np.float64)
    height, width = (min(side, size) // 2 * 2 for side in pixels.shape[:2])
    y, x = (pixels.shape[0] - height) // 2, (pixels.shape[1] - width) // 2
    encoded = pixels[y : y + height, x : x + width]
    return np.where(encoded <= 0.04045, encoded / 12.92, ((encoded + 0.055) / 1.055) ** 2.4)


def noisy(counts: Array, shot: float, rng: np.random.Generator) -> Array:
    read_variance = math.exp(2.18 * math.log(shot) + 1.2)
    x = counts / WHITE
    x = x + rng.standard_normal(x.shape) * np.sqrt(shot * x + read_variance)
    return np.rint(np.clip(x, 0, 1) * WHITE).astype(np.uint16)


def restored(repairer: Repairer, picture: Picture) -> Array:
    decoded = repairer.prepare(picture, None)
    return to_depth(repairer.restore(decoded.view, "denoise", lambda rows, total: None).pixels, 32)


def measure(args: argparse.Namespace) -> None:
    repairer = Repairer(Settings(task="denoise", device="cpu", threads=args.threads))
    paths = sorted(path for path in args.data.iterdir() if is_picture(path.name))
    for shot in SHOT:
        scores = []
        for path in paths:
            rng = np.random.default_rng(0)
            counts = mosaic(middle(path, args.size))
            clean = to_depth(read(dng(counts)).pixels, 32)
            developed = read(dng(noisy(counts, shot, rng)))
            before = psnr(to_depth(developed.pixels, 32), clean)
            after = psnr(restored(repairer, developed), clean)
            sigma = 10 ** (-before / 20)
            white = (clean + rng.standard_normal(clean.shape) * sigma).astype(np.float32)
            meta = Meta("tiff", clean.shape[1], clean.shape[0], 32)
            scores.append((before, after, psnr(restored(repairer, Picture(white, None, meta)), clean)))
        before, after, white_after = np.mean(scores, axis=0)
        print(
            f"shot noise {shot}: developed RAW {before:.2f} -> {after:.2f} dB; white noise of the same PSNR "
            f"-> {white_after:.2f} dB; {len(scores)} pictures"
        )


def main(arguments: Sequence[str] | None = None) -> int:
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--data", type=Path, required=True, metavar="DIR", help="clean photographs")
    parser.add_argument("--size", type=int, default=384, metavar="PIXELS", help="side of the middle that is taken")
    parser.add_argument("--threads", type=int, default=1)
    measure(parser.parse_args(arguments))
    return 0


if __name__ == "__main__":
    sys.exit(main())
