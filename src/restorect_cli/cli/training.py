"""What `train` and `distill` share: their options, what they need, the estimate of a dry run, the training itself."""

from __future__ import annotations

from dataclasses import asdict
from pathlib import Path
from typing import TYPE_CHECKING, Annotated, Literal

import typer

from ..errors import StoppedError, UsageError
from ..extras import how_to_install
from ..names import called
from .options import words
from .output import Output

if TYPE_CHECKING:
    from ..recipes.recipe import Recipe
    from ..training.estimate import Estimate
    from ..training.loop import StepReport, Trainer

_Device = Literal["cpu", "cuda"]

Data = Annotated[Path, typer.Option(metavar="DIR", help="Folder that holds the folders the recipe names.")]
Resume = Annotated[bool, typer.Option("--resume", help="Continue where the run in RUN stopped.")]
TimeLimit = Annotated[
    float | None,
    typer.Option(metavar="MINUTES", min=0, help="Stop after this time and save a checkpoint to resume from."),
]
DryRun = Annotated[bool, typer.Option("--dry-run", help="Print sizes, steps, hours and memory, and train nothing.")]
TrainDevice = Annotated[_Device, typer.Option("--device", "-d", metavar=words(_Device), help="Where to train.")]
TrainThreads = Annotated[int | None, typer.Option(min=1, metavar="N", help="CPU threads [default: all].")]
Licence = Annotated[str, typer.Option(help="Licence of the weights, as an SPDX identifier.")]
TrainingData = Annotated[str, typer.Option(help="What it was trained on, in one sentence.")]
UNSTATED = "LicenseRef-unstated"


def need_one_start(resume: bool, init: str | None) -> None:
    """Raise UsageError if --resume and --init are both given."""
    if resume and init is not None:
        raise UsageError("--resume and --init name different weights to start from", "leave one out")


def need_torch() -> None:
    """Raise UsageError if a library of the extra `train` is missing; none is imported."""
    from importlib.util import find_spec

    missing = [name for name in ("torch", "safetensors", "onnx", "onnxscript", "matplotlib") if find_spec(name) is None]
    if missing:
        raise UsageError(f"training needs {', '.join(missing)}", how_to_install("train"))


def say_estimate(
    recipe: Recipe, data: Path, device: str, out: Output, *, teacher: Path | None = None, threads: int | None = None
) -> None:
    """Try a few steps of the recipe and report what the whole run would take; nothing is written.

    Raises InputError if `data` lacks a folder that the recipe names: reading pictures is timed too.
    """
    import torch

    from ..training.estimate import estimate

    if threads is not None:
        torch.set_num_threads(threads)
    found = estimate(recipe, data, device, teacher)
    out.result(_in_words(found, recipe), asdict(found) | {"hours": found.hours})


def _in_words(found: Estimate, recipe: Recipe) -> str:
    memory = "" if found.memory_bytes is None else f", {found.memory_bytes / 1e9:.1f} GB at the peak"
    steps = "; ".join(f"{phase.iterations} steps ({phase.name}) of {phase.seconds:.2f} s" for phase in found.phases)
    aside, teacher = "", ""
    if recipe.distill is not None:
        aside, teacher = " and adapters", f", {recipe.distill.teacher} {found.frozen:,}"
    return (
        f"{recipe.task}: {called(recipe.net)}{aside} {found.trained:,} parameters{teacher}; {steps}; "
        f"pictures {found.pictures_seconds:.2f} s a step; "
        f"about {found.hours:.1f} hours on this device at its current load{memory}"
    )


def train_to_the_end(trainer: Trainer, time_limit: float | None, out: Output) -> None:
    """Train to the recipe's end or for `time_limit` minutes, show the progress, and report where it stopped.

    Raises StoppedError after an interruption, once everything is saved.
    """
    from .training_progress import TrainingProgress

    limit = None if time_limit is None else 60 * time_limit
    recipe = trainer.recipe
    with TrainingProgress(out, recipe.task, recipe.iterations, done=trainer.iteration, time_limit=limit) as shown:

        def report(step: StepReport) -> None:
            shown.step(step.iteration, step.loss)
            if step.validation:
                scores = ", ".join(f"{name} {value:.2f} dB" for name, value in step.validation.items())
                out.say(f"iteration {step.iteration}, held-out pictures: {scores}")

        done = trainer.train(time_limit=limit, report=report)
    where = f"at iteration {trainer.iteration} of {recipe.iterations}"
    if trainer.interrupted and not done and trainer.ranks.leads:  # one process speaks for all
        raise StoppedError(f"interrupted {where}, everything is saved in {trainer.run}", "continue with --resume")
    state = "done" if done else f"stopped {where}; continue with --resume"
    out.result(f"{trainer.run}: {state}", {"run": str(trainer.run), "iteration": trainer.iteration, "done": done})
