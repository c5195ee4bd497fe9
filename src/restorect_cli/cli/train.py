"""`restorect train` and `restorect export`: from pictures to a student of one's own."""

from __future__ import annotations

from pathlib import Path
from typing import TYPE_CHECKING, Annotated

import typer

from ..errors import StoppedError, UsageError
from .options import Quiet, choose
from .output import Output

if TYPE_CHECKING:
    from ..training.loop import Progress, Trainer

TRAIN_DEVICES = ("cpu", "cuda")


def train(
    recipe: Annotated[
        str,
        typer.Argument(
            metavar="RECIPE", help="A recipe that comes along (denoise-s, low-light-s, ...) or a TOML file."
        ),
    ],
    data: Annotated[
        Path, typer.Option(metavar="DIR", help="Folder that holds the folders the recipe names.", show_default=False)
    ],
    output: Annotated[
        Path,
        typer.Option(
            "--output",
            "-o",
            metavar="RUN",
            help="Folder of this run: checkpoint, weights, log, plot.",
            show_default=False,
        ),
    ],
    resume: Annotated[bool, typer.Option("--resume", help="Go on where the run in RUN stopped.")] = False,
    time_limit: Annotated[
        float | None,
        typer.Option(
            metavar="MINUTES", min=0, help="Stop after so long, with a checkpoint to resume from.", show_default=False
        ),
    ] = None,
    device: Annotated[
        str, typer.Option("--device", "-d", metavar="|".join(TRAIN_DEVICES), help="Where to train.")
    ] = "cpu",
    threads: Annotated[
        int | None, typer.Option(min=1, metavar="N", help="CPU threads [default: all].", show_default=False)
    ] = None,
    quiet: Quiet = False,
) -> None:
    """Trains a student by a recipe. Needs the extra `train` (pip install 'restorect[train]').

    Can be stopped at any moment (Ctrl-C saves first) and resumed: the data order depends on nothing but the
    recipe. RUN then holds ema.safetensors, which `restorect export` turns into a student, log.jsonl, and
    loss.png, a plot of it. A recipe is the whole record of a run, so nothing in it can be set from here: copy
    one and change it.

    Several GPUs: start it through torchrun. Every batch is shared among the processes, so the recipe stays the same.

    \b
    Examples:
      restorect train denoise-s --data ./pictures -o runs/denoise --time-limit 30
      restorect train denoise-s --data ./pictures -o runs/denoise --resume
      torchrun --nproc-per-node 4 -m restorect_cli train m.toml --data ./pictures -o runs/m --device cuda
      restorect export runs/denoise -o my-students/denoise-s
    """
    output_device = choose("--device", device, TRAIN_DEVICES)
    _need_torch()
    from ..training.loop import Trainer
    from ..training.ranks import join
    from ..training.recipe import load_recipe

    with join(output_device) as ranks:
        trainer = Trainer(load_recipe(recipe), data, output, ranks=ranks, threads=threads, resume=resume)
        _train(trainer, time_limit, Output(quiet=quiet or not ranks.leads))


def _train(trainer: Trainer, time_limit: float | None, out: Output) -> None:
    left = trainer.recipe.iterations - trainer.iteration
    with out.progress(f"{trainer.recipe.task}, {trainer.recipe.iterations} iterations", left) as advance:

        def report(progress: Progress) -> None:
            advance(1)
            if progress.validation:
                scores = ", ".join(f"{name} {value:.2f} dB" for name, value in progress.validation.items())
                out.say(f"iteration {progress.iteration}: {scores}")

        limit = None if time_limit is None else 60 * time_limit
        done = trainer.train(time_limit=limit, report=report)
    where = f"at iteration {trainer.iteration} of {trainer.recipe.iterations}"
    if trainer.interrupted and not done and trainer.ranks.leads:  # one process speaks for all
        raise StoppedError(f"interrupted {where}, all saved in {trainer.run}", "go on with --resume")
    state = "done" if done else f"stopped {where}; go on with --resume"
    out.result(f"{trainer.run}: {state}", {"run": str(trainer.run), "iteration": trainer.iteration, "done": done})


def export(
    run: Annotated[Path, typer.Argument(metavar="RUN", help="Folder of a training run, or its ema.safetensors.")],
    output: Annotated[
        Path,
        typer.Option(
            "--output", "-o", metavar="FOLDER", help="Where to put the student, named like it.", show_default=False
        ),
    ],
    licence: Annotated[str, typer.Option(help="Licence of the weights, an SPDX name.")] = "LicenseRef-unstated",
    training_data: Annotated[str, typer.Option(help="One sentence: what it learned from.")] = "not stated",
    quiet: Quiet = False,
) -> None:
    """Exports a trained student to ONNX and checks that it agrees with torch.

    FOLDER can be given to `enhance --model` at once. Needs the extra `train`.

    \b
    Examples:
      restorect export runs/denoise -o my-students/denoise-s
      restorect enhance photo.jpg --task denoise --model my-students/denoise-s
    """
    _need_torch()
    from ..training.export import describe, load_weights
    from ..training.export import export as write

    weights = run / "ema.safetensors" if run.is_dir() else run
    student, recipe = load_weights(weights)
    spec = describe(student, recipe, licence=licence, training_data=training_data)
    write(student, spec, output)
    record = {"name": spec.name, "folder": str(output), "parameters": spec.parameters}
    Output(quiet=quiet).result(f"{spec.name}: {spec.parameters} parameters, exported to {output}", record)


def _need_torch() -> None:
    from importlib.util import find_spec

    missing = [name for name in ("torch", "safetensors", "onnx", "onnxscript") if find_spec(name) is None]
    if missing:
        raise UsageError(f"training needs {', '.join(missing)}", "pip install 'restorect[train]'")
