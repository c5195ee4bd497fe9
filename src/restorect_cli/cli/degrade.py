"""`restorect degrade`: makes training pairs from your own clean photographs."""

from __future__ import annotations

from dataclasses import asdict
from pathlib import Path
from typing import Annotated, Literal

import typer

from ..errors import InputError, OutputError
from ..names import Task
from .options import Json, Quiet, words
from .output import Output

Severity = Literal["light", "heavy", "mixed"]


def degrade(
    folder: Annotated[
        Path, typer.Argument(metavar="DIR", help="Folder of clean photographs; its subfolders are ignored.")
    ],
    task: Annotated[Task, typer.Option("--task", "-t", metavar=words(Task), help="The repair to make pairs for.")],
    output: Annotated[
        Path,
        typer.Option("--output", "-o", metavar="OUT", help="Folder for the pairs and their recipe."),
    ],
    count: Annotated[
        int, typer.Option(min=1, metavar="N", help="Pairs to make of each photograph, each degraded differently.")
    ] = 1,
    seed: Annotated[int, typer.Option(min=0, metavar="S", help="A different seed makes different pairs.")] = 0,
    severity: Annotated[
        Severity | None,
        typer.Option(
            metavar=words(Severity),
            help="How hard it rains (derain only) [default: mixed].",
        ),
    ] = None,
    largest: Annotated[
        float,
        typer.Option(
            metavar="MEGAPIXELS",
            min=0.01,
            max=250,
            help="Shrink larger photographs to this size. Raindrops take about 0.4 GB of memory per megapixel.",
        ),
    ] = 4.0,
    as_json: Json = False,
    quiet: Quiet = False,
) -> None:
    """Makes training pairs from clean photographs: noise, darkness, rain or raindrops as `train` synthesises them.

    Writes OUT/input/NAME.png (degraded), OUT/target/NAME.png (clean), and recipes for `restorect train --data OUT`.
    Any other recipe can name OUT as a folder of pairs. The degradation of a photograph depends only on its file name,
    the task and the seed. Nothing is overwritten. If a photograph fails, the others continue, and the exit code is 1.

    denoise: Gaussian noise of sigma 0 to 55, or camera noise. low-light: under-exposure, or crushed shadows.
    derain: thin or dense streaks. raindrop: drops on the lens. Does not need torch.

    \b
    Examples:
      restorect degrade ./photos --task derain -o ./my-rain
      restorect train --data ./my-rain                   then train on them
      restorect degrade ./photos --task derain --severity heavy -o ./pictures/heavy-rain
      restorect degrade ./photos --task denoise -o ./pictures/my-noise --count 4 --seed 7
    """

    from ..degrade.pairs import degradations, list_photographs, make_pairs
    from ..recipes.starters import RECIPE_FILE, write_recipes

    kinds = degradations(task, severity)
    photographs, failed = list_photographs(folder, count)
    out = Output(as_json=as_json, quiet=quiet)
    for error in failed:
        out.error(error)
    failures, sides_px, used = len(failed), list[int](), 0
    with out.progress(f"{task}, {len(photographs)} photographs", len(photographs)) as advance:
        for photograph in photographs:
            try:
                for pair in make_pairs(photograph, output, kinds, seed=seed, largest_pixels=round(largest * 1e6)):
                    sides_px.append(min(pair.width, pair.height))
                    out.result(f"{pair.photograph} -> {pair.input}  ({pair.degradation})", asdict(pair))
                used += 1
            except (InputError, OutputError) as problem:
                failures += 1
                out.error(problem)
            except MemoryError:
                failures += 1
                out.error(f"not enough memory for {photograph.path}: use a smaller --largest")
            advance(1)
    out.say(f"{len(sides_px)} pairs in {output}" + (f", {failures} photographs left out" if failures else ""))
    if sides_px:
        kept = output / RECIPE_FILE not in write_recipes(output, task, kinds, used, sides_px)
        out.say(f"to train on them: restorect train --data {output}" + (" (its recipe.toml was kept)" if kept else ""))
    if used == 1:
        out.say("warning: one photograph is not enough to train on: another scene must be held out")
    if failures:
        raise typer.Exit(InputError.exit_code)
