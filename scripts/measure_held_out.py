"""Measures an exported student on the pictures that its training held out.

    python scripts/measure_held_out.py low-light-s --data DIR [--model FOLDER]

The recipe names the sources below DIR; of each, pictures of about 6 % of the scenes are never trained on, whole scenes
where several pictures show one. The centre of each is scored (232 pixels a side: pairs of low light whole), photographs
degraded with fixed seeds. One step; RGB PSNR, 8-bit rounding; last, PSNR once each picture is scaled to the mean of its
clean one: in low light, the score of a correct exposure.
"""

from __future__ import annotations

import argparse
import sys
from collections.abc import Sequence
from pathlib import Path

import numpy as np

from restorect_cli.bench.metrics import match_mean, psnr
from restorect_cli.engine.runtime import Graph
from restorect_cli.errors import RestorectError
from restorect_cli.models.store import find
from restorect_cli.recipes.recipe import load_recipe
from restorect_cli.training.data import Batch, PairStream

Array = np.ndarray


def restored(prior: Graph, velocity: Graph, batch: Batch) -> list[Array]:
    """One step for each picture of a batch, (H,W,3); the prior sees the thumbnails of the whole pictures."""
    pictures = []
    for y, thumb, statistics in zip(batch.y, batch.thumb, batch.statistics, strict=True):
        z = prior.run({"thumb": thumb[None], "statistics": statistics[None]})["z"]
        step = velocity.run({"x": y[None], "t": np.ones(1, np.float32), "z": z})["displacement"]
        pictures.append((y - step[0]).clip(0, 1).transpose(1, 2, 0))
    return pictures


def measure(args: argparse.Namespace) -> None:
    """Prints one line per source. Raises RestorectError where nothing can be measured."""
    recipe = load_recipe(args.recipe)
    student = find(recipe.task, args.model)
    prior, velocity = (Graph(path, device="cpu", threads=args.threads) for path in (student.prior, student.velocity))
    stream = PairStream(recipe, args.data)
    for source, batch in stream.validation_batches(args.size, sys.maxsize):
        scores = []
        for picture, y, x in zip(restored(prior, velocity, batch), batch.y, batch.x, strict=True):
            clean = x.transpose(1, 2, 0)
            scaled = psnr(match_mean(picture, clean), clean)
            scores.append((psnr(y.transpose(1, 2, 0), clean), psnr(picture, clean), scaled))
        before, after, scaled = np.mean(scores, axis=0)
        print(
            f"{student.spec.name}, held-out pictures of {source}: RGB PSNR {before:.2f} -> {after:.2f} dB, at the "
            f"truth's brightness {scaled:.2f} dB, {len(scores)} pictures of {batch.x.shape[3]} x {batch.x.shape[2]}"
        )


def main(arguments: Sequence[str] | None = None) -> int:
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("recipe", help="a shipped recipe or a .toml file")
    parser.add_argument("--data", type=Path, required=True)
    parser.add_argument("--model", default="s", help="a size, a name or a folder of an exported student")
    parser.add_argument(
        "--size", type=int, default=232, help="pixels a side, a multiple of 8; smaller pictures are left out"
    )
    parser.add_argument("--threads", type=int)
    args = parser.parse_args(arguments)
    try:
        measure(args)
    except RestorectError as error:
        print(error, file=sys.stderr)
        return error.exit_code
    return 0


if __name__ == "__main__":
    sys.exit(main())
