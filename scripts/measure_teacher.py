"""Measures a teacher on a folder of pairs, without the truth in its encoders and with it.

    python scripts/measure_teacher.py runs/low-light-teacher-small/ema.safetensors LOL-eval8

The test set is named as for `restorect bench`: by name, below the folder that RESTORECT_DATA names, or by a folder of
pairs. RGB PSNR and SSIM, 8-bit rounding, no crop, each picture whole (a teacher has no tiles: mind the memory); last,
PSNR once each picture is scaled to the mean of its clean one.
"""

from __future__ import annotations

import argparse
import sys
from collections.abc import Iterator, Sequence
from pathlib import Path

import numpy as np
import torch
from safetensors import safe_open

from restorect_cli.bench.datasets import find_dataset
from restorect_cli.bench.metrics import match_mean, psnr, ssim
from restorect_cli.bench.pairing import open_set
from restorect_cli.bench.pictures import load
from restorect_cli.engine.prior import thumbnail
from restorect_cli.errors import InputError, RestorectError
from restorect_cli.recipes.recipe import Recipe
from restorect_cli.training.nets.teacher import Teacher
from restorect_cli.training.stages.distillation import load_teacher, task_of
from restorect_cli.training.stages.stage import Tensors, shown_to_encoders
from restorect_cli.training.stages.teaching import WITH_TRUTH

Array = np.ndarray


def as_tensor(picture: Array) -> torch.Tensor:
    return torch.from_numpy(np.ascontiguousarray(picture.transpose(2, 0, 1)))[None]


@torch.no_grad()
def restored(teacher: Teacher, task: str, degraded: Array, clean: Array) -> Iterator[tuple[str, Array]]:
    """What the teacher makes of a picture, by what its encoders were shown."""
    y, x, thumb, clean_thumb = (as_tensor(p) for p in (degraded, clean, thumbnail(degraded), thumbnail(clean)))
    shown, truth = shown_to_encoders(Tensors(y, x, thumb, clean_thumb, torch.zeros(1, 9)), task)
    for how, told_clean in (("alone", shown), (WITH_TRUTH, truth)):
        yield how, teacher(y, shown, told_clean).restored.clamp(0, 1)[0].permute(1, 2, 0).numpy()


def measure(weights: Path, wanted: str) -> None:
    """Prints one line per way. Raises RestorectError where nothing can be measured."""
    task = task_of(weights)
    with safe_open(weights, framework="pt") as file:
        about = file.metadata()
    teacher = load_teacher(weights, Recipe.model_validate_json(about["recipe"])).eval()
    pairs = open_set(find_dataset(wanted, task=task))
    scores: dict[str, list[tuple[float, float, float]]] = {}
    for case in pairs.cases:
        degraded, clean = load(case, None)
        if clean is None:
            raise InputError(f"{pairs.located.name} has no clean pictures", "name a set of pairs")
        for how, picture in restored(teacher, task, degraded, clean):
            score = psnr(picture, clean), ssim(picture, clean), psnr(match_mean(picture, clean), clean)
            scores.setdefault(how, []).append(score)
    for how, found in scores.items():
        mean = np.mean(found, axis=0)
        print(
            f"teacher after {about['iteration']} iterations, {how}, {pairs.located.name}: RGB PSNR {mean[0]:.2f} dB, "
            f"SSIM {mean[1]:.3f}, at the truth's brightness {mean[2]:.2f} dB, {len(found)} pictures"
        )


def main(arguments: Sequence[str] | None = None) -> int:
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("weights", type=Path, help="the ema.safetensors of a teacher's run")
    parser.add_argument("set", help="a test set's name, or a folder of pairs")
    args = parser.parse_args(arguments)
    try:
        measure(args.weights, args.set)
    except RestorectError as error:
        print(error, file=sys.stderr)
        return error.exit_code
    return 0


if __name__ == "__main__":
    sys.exit(main())
