"""Measures a student on a folder of test pictures and prints one line per setting.

    python scripts/measure_quality.py denoise FOLDER --sigma 15 25 50 [--clipped]   clean pictures, or target/
    python scripts/measure_quality.py low-light FOLDER                              folder with input/ and target/
    python scripts/measure_quality.py derain FOLDER --luma [--targets FOLDER2]

A folder that is not there is looked for by its name below the folder that RESTORECT_DATA names.

Noise: Gaussian, sigma in 8-bit levels, numpy.random.default_rng(0) restarted for each picture, not
clipped unless asked. RGB PSNR, or Y with --luma; 8-bit rounding, no crop, nothing fitted to the truth.
"""

from __future__ import annotations

import argparse
import json
import time
from pathlib import Path

import numpy as np
from PIL import Image

from restorect_cli import Restorer
from restorect_cli.bench.datasets import find_dataset
from restorect_cli.metrics import psnr

EXTENSIONS = {".png", ".jpg", ".jpeg", ".bmp", ".webp"}


def pictures(folder: Path) -> dict[str, Path]:
    return {p.stem: p for p in sorted(folder.iterdir()) if p.suffix.lower() in EXTENSIONS}


def read(path: Path) -> np.ndarray:
    return np.asarray(Image.open(path).convert("RGB"), np.float32) / 255


def located(folder: Path, task: str) -> Path:
    """The folder, or the one of its name below RESTORECT_DATA."""
    if folder.is_dir():
        return folder
    return find_dataset(folder.parts[0], task=task).folder.joinpath(*folder.parts[1:])


def row(
    args: argparse.Namespace, what: str, kind: str, before: float, after: float, count: int
) -> dict[str, str | float]:
    """One measured number as `models/specs.py` has it; paths are left out of the command."""
    steps = f", {args.steps} steps" if args.steps else ""
    steps += f", ensemble {args.ensemble}" if args.ensemble > 1 else ""
    protocol = f"{what}, " if what else ""
    protocol += f"{count} pictures, 8-bit rounding, no crop, {args.precision}{steps}; input {before:.2f} dB"
    words = ["python scripts/measure_quality.py", args.task, args.folder.name, *what.split()[:2]]
    command = " ".join(words).replace(" sigma ", " --sigma ") + (" --clipped" if args.clipped else "")
    command += f" --targets {args.targets.parent.name}/{args.targets.name}" if args.targets else ""
    command += " --luma" if args.luma else ""
    command += f" --ensemble {args.ensemble}" if args.ensemble > 1 else ""
    return {
        "dataset": args.folder.name,
        "protocol": protocol,
        "measure": f"{kind} PSNR [dB]",
        "value": round(after, 2),
        "command": command,
    }


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("task")
    parser.add_argument("folder", type=Path)
    parser.add_argument("--targets", type=Path, help="folder of the clean pictures (default: FOLDER/target, or FOLDER)")
    parser.add_argument("--sigma", type=float, nargs="*", default=[], help="add this noise to the clean pictures")
    parser.add_argument("--clipped", action="store_true", help="round the noisy pictures to 8 bits")
    parser.add_argument("--luma", action="store_true")
    parser.add_argument("--model", default="s")
    parser.add_argument("--steps", type=int)
    parser.add_argument("--ensemble", type=int, default=1)
    parser.add_argument("--precision", default="fp32")
    parser.add_argument("--threads", type=int)
    parser.add_argument("--each", action="store_true", help="print every picture")
    parser.add_argument("--json", action="store_true", help="print rows for the manifest of students")
    args = parser.parse_args()
    args.folder = located(args.folder, args.task)
    args.targets = located(args.targets, args.task) if args.targets else None
    restorer = Restorer(
        args.task,
        model=args.model,
        steps=args.steps,
        ensemble=args.ensemble,
        precision=args.precision,
        threads=args.threads,
        device="cpu",
    )
    below = args.folder / "target"
    targets = pictures(args.targets or (below if below.is_dir() else args.folder))
    inputs = {} if args.sigma else pictures(args.folder / "input")
    for sigma in args.sigma or [None]:
        before, after, seconds = [], [], 0.0
        for stem, path in targets.items():
            if not args.sigma and stem not in inputs:
                print(f"no input for {stem}")
                continue
            clean = read(path)
            if sigma is None:
                degraded = read(inputs[stem])
            else:
                noise = np.random.default_rng(0).standard_normal(clean.shape) * sigma / 255
                degraded = (clean + noise).astype(np.float32)
                if args.clipped:
                    degraded = np.round(np.clip(degraded, 0, 1) * 255).astype(np.float32) / 255
            started = time.perf_counter()
            restored = restorer.restore(degraded)
            seconds += time.perf_counter() - started
            before.append(psnr(degraded, clean, luma=args.luma))
            after.append(psnr(restored, clean, luma=args.luma))
            if args.each:
                print(f"{stem}: {before[-1]:.2f} -> {after[-1]:.2f}")
        what = "" if sigma is None else f" sigma {sigma:g}{' clipped' if args.clipped else ''}"
        kind = "Y" if args.luma else "RGB"
        if args.json:
            print(json.dumps(row(args, what.strip(), kind, float(np.mean(before)), float(np.mean(after)), len(after))))
            continue
        measure = f"{kind} PSNR {np.mean(before):.2f} -> {np.mean(after):.2f} dB"
        count = f"{len(after)} pictures, {seconds / len(after):.3f} s each"
        print(f"{restorer.spec.name} {args.folder.name}{what}: {measure}, {count}")


if __name__ == "__main__":
    main()
