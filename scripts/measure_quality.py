"""Measures a student on a folder of test pictures and prints one line per setting.

    python scripts/measure_quality.py denoise FOLDER --sigma 15 25 50 [--clipped]   clean pictures, or target/
    python scripts/measure_quality.py low-light FOLDER                              folder with input/ and target/
    python scripts/measure_quality.py derain FOLDER --luma [--targets FOLDER2]

A folder that is not there is looked for by its name below the folder that RESTORECT_DATA names, and FOLDER/SUB in the
folder of that name.

Noise: Gaussian, sigma in 8-bit levels, numpy.random.default_rng(0) restarted for each picture, not
clipped unless asked. RGB PSNR, or Y with --luma; 8-bit rounding, no crop, nothing fitted to the truth.
"""

from __future__ import annotations

import argparse
import json
import os
import shlex
import sys
import time
from collections.abc import Callable, Sequence
from functools import partial
from pathlib import Path

import numpy as np
from PIL import Image

from restorect_cli import Restorer
from restorect_cli.bench.datasets import find_dataset
from restorect_cli.bench.metrics import psnr
from restorect_cli.errors import InputError, RestorectError

EXTENSIONS = {".png", ".jpg", ".jpeg", ".bmp", ".webp"}


def pictures(folder: Path) -> dict[str, Path]:
    if not folder.is_dir():
        raise InputError(f"there is no folder {folder}", "check the name")
    return {p.stem: p for p in sorted(folder.iterdir()) if p.suffix.lower() in EXTENSIONS}


def read(path: Path) -> np.ndarray:
    return np.asarray(Image.open(path).convert("RGB"), np.float32) / 255


def located(folder: Path, task: str) -> Path:
    """The folder, or the one of its name below RESTORECT_DATA."""
    if folder.is_dir() or folder.is_absolute():
        return folder
    return find_dataset(folder.parts[0], task=task).folder.joinpath(*folder.parts[1:])


def told(folder: Path, parts: int = 1) -> str:
    """A folder for others to read: as it was typed, but of one that lies elsewhere only its last parts."""
    elsewhere = folder.is_absolute() or ".." in folder.parts or not folder.parts
    return "/".join(Path(os.path.abspath(folder)).parts[1:][-parts:]) if elsewhere else folder.as_posix()


def command(args: argparse.Namespace, sigma: float | None, student: str) -> str:
    """What to type to measure one setting again; what changes no number (--threads, --each, --json) is left out."""
    words = ["python", "scripts/measure_quality.py", args.task, told(args.folder)]
    words += ["--sigma", f"{sigma:g}"] if sigma is not None else []
    words += ["--clipped"] if args.clipped else []
    words += ["--targets", told(args.targets, parts=2)] if args.targets else []
    words += ["--luma"] if args.luma else []
    words += ["--ensemble", str(args.ensemble)] if args.ensemble > 1 else []
    words += ["--steps", str(args.steps)] if args.steps else []
    words += ["--precision", args.precision] if args.precision != "fp32" else []
    words += ["--model", student] if student != f"{args.task}-s" else []  # by name: --model may be a folder
    return shlex.join(words)


def row(
    args: argparse.Namespace, sigma: float | None, student: str, before: float, after: float, count: int
) -> dict[str, str | float]:
    """One measured number as `models/specs.py` has it."""
    steps = f", {args.steps} steps" if args.steps else ""
    steps += f", ensemble {args.ensemble}" if args.ensemble > 1 else ""
    protocol = f"{setting(args, sigma)}, " if sigma is not None else ""
    protocol += f"{count} pictures, 8-bit rounding, no crop, {args.precision}{steps}; input {before:.2f} dB"
    return {
        "dataset": told(args.folder),
        "protocol": protocol,
        "measure": f"{kind(args)} PSNR [dB]",
        "value": round(after, 2),
        "command": command(args, sigma, student),
    }


def setting(args: argparse.Namespace, sigma: float | None) -> str:
    return "" if sigma is None else f"sigma {sigma:g}{' clipped' if args.clipped else ''}"


def kind(args: argparse.Namespace) -> str:
    return "Y" if args.luma else "RGB"


def measure(args: argparse.Namespace) -> None:
    """Prints one line per setting. Raises RestorectError where nothing can be measured."""
    folder = located(args.folder, args.task)
    below = folder / "target"
    clean_folder = located(args.targets, args.task) if args.targets else below if below.is_dir() else folder
    targets = pictures(clean_folder)
    inputs = {} if args.sigma else pictures(folder / "input")
    restorer = Restorer(
        args.task,
        model=args.model,
        steps=args.steps,
        ensemble=args.ensemble,
        precision=args.precision,
        threads=args.threads,
        device="cpu",
    )
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
        if not after:
            raise InputError(f"there is nothing to measure in {folder}", "check that inputs and targets share names")
        means = float(np.mean(before)), float(np.mean(after))
        if args.json:
            print(json.dumps(row(args, sigma, restorer.spec.name, *means, len(after))))
            continue
        what = " ".join(word for word in (restorer.spec.name, told(args.folder), setting(args, sigma)) if word)
        print(
            f"{what}: {kind(args)} PSNR {means[0]:.2f} -> {means[1]:.2f} dB, "
            f"{len(after)} pictures, {seconds / len(after):.3f} s each"
        )


def parse(arguments: Sequence[str] | None) -> argparse.Namespace:
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
    return parser.parse_args(arguments)


def outcome(measurement: Callable[[], None]) -> int:
    """Exit code of a script; what could not be measured is told on one line."""
    try:
        measurement()
    except RestorectError as error:
        print(error, file=sys.stderr)
        return error.exit_code
    return 0


def main(arguments: Sequence[str] | None = None) -> int:
    return outcome(partial(measure, parse(arguments)))


if __name__ == "__main__":
    sys.exit(main())
