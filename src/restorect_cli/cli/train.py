"""`restorect train`: trains a model of your own from pictures."""

from __future__ import annotations

from pathlib import Path
from typing import TYPE_CHECKING, Annotated, Literal

import typer

from ..errors import UsageError
from ..names import Task, called
from .options import Quiet, words
from .output import Output
from .training import (
    Data,
    DryRun,
    Resume,
    TimeLimit,
    TrainDevice,
    TrainThreads,
    need_one_start,
    need_torch,
    say_estimate,
    train_to_the_end,
)

if TYPE_CHECKING:
    from ..recipes.choice import ChosenRecipe

Net = Literal["student-s", "student-m", "student-tiny", "teacher-tiny", "teacher-small", "teacher-paper"]
ShortNet = Literal["s", "m", "tiny"]  # of students, as recipes name them


def train(
    data: Data,
    recipe: Annotated[
        str | None,
        typer.Argument(
            metavar="RECIPE",
            help="A shipped recipe (denoise-s, low-light-s, ...) or a TOML file "
            "[default: recipe.toml in DIR, as `degrade` writes it, else that of --task].",
        ),
    ] = None,
    output: Annotated[
        Path | None,
        typer.Option(
            "--output",
            "-o",
            metavar="RUN",
            help="Folder of this run: checkpoint, weights, log, plot [default: runs/ and the recipe's name].",
        ),
    ] = None,
    task: Annotated[
        Task | None,
        typer.Option("--task", "-t", metavar=words(Task), help="What to train for, without a recipe."),
    ] = None,
    net: Annotated[
        Literal[Net, ShortNet] | None,
        typer.Option(metavar=words(Net), help="Size of the net, without a recipe; tiny is for a quick try."),
    ] = None,
    recipe_option: Annotated[str | None, typer.Option("--recipe", metavar="RECIPE", help="The same as RECIPE.")] = None,
    resume: Resume = False,
    init: Annotated[
        str | None,
        typer.Option(
            "--init",
            metavar="WEIGHTS",
            help="Start from a model (derain-s, or its folder), a run, or its ema.safetensors: of the same net, "
            "or of a smaller model.",
        ),
    ] = None,
    time_limit: TimeLimit = None,
    dry_run: DryRun = False,
    device: TrainDevice = "cpu",
    threads: TrainThreads = None,
    quiet: Quiet = False,
) -> None:
    """Trains a model, or a teacher for one, from a recipe.

    Needs the extra `train`: in the checkout of restorect, run pip install '.[train]'.

    If a run is interrupted (Ctrl-C saves first), give the same command with --resume: it continues where it stopped,
    with the data it would have seen. RUN holds ema.safetensors, which `restorect export` turns into a model,
    log.jsonl, and its plot loss.png. A recipe fully describes a run. Only the size of the net can be changed here; to
    change anything else, copy the recipe and edit it.

    A teacher sees the clean pictures while it trains; `restorect distill` trains a student that learns from it. It is
    validated twice: without the clean pictures, and "with the truth" shown to its encoders.

    Most of the shipped models were trained in several runs (low-light-s-first, -second, low-light-s), each starting
    from the weights of the one before: --init runs/low-light-s-second/ema.safetensors.

    To use several GPUs, start it with torchrun. The processes share every batch, so the recipe stays the same.

    \b
    Examples:
      restorect degrade ./photos --task derain -o ./pairs   then, from these pairs, into runs/derain-s:
      restorect train --data ./pairs --time-limit 60
      restorect train --data ./pairs --resume               after an interruption
      restorect export runs/derain-s -o my-models/derain-s

    \b
    The shipped models, from the folders of pictures that their recipes name:
      restorect train --task derain --data ./pictures
      restorect train low-light-s --data ./pictures --init runs/low-light-s-second/ema.safetensors
      torchrun --nproc-per-node 4 -m restorect_cli train m.toml --data ./pictures -o runs/m --device cuda
    """
    if recipe is not None and recipe_option is not None:
        raise UsageError(f"two recipes are named, {recipe} and {recipe_option}", "leave one out")
    need_one_start(resume, init)
    need_torch()
    from ..recipes.choice import choose_recipe

    chosen = choose_recipe(
        recipe or recipe_option, data, task=task, net=net and net.removeprefix("student-")
    )  # as recipes name it
    from ..training.loop import Trainer
    from ..training.ranks import join

    run = output or chosen.run
    with join(device) as ranks:
        out = Output(quiet=quiet or not ranks.leads)
        if output is None or not (recipe or recipe_option):
            out.say(f"{chosen.recipe.task}, {called(chosen.recipe.net)}: recipe {chosen.name}, run {run}")
        if init is None and not resume:
            _warn_of_forerunners(chosen, out)
        if dry_run:
            if ranks.leads:
                say_estimate(chosen.recipe, data, ranks.device, out, threads=threads)
            return
        trainer = Trainer(chosen.recipe, data, run, ranks=ranks, threads=threads, resume=resume, init=init)
        train_to_the_end(trainer, time_limit, out)


def _warn_of_forerunners(chosen: ChosenRecipe, out: Output) -> None:
    from ..recipes.choice import RUNS, forerunners

    before = forerunners(chosen.recipe)
    if before:
        out.say(
            f"warning: recipe {chosen.name} should start from the weights of another run; without them the model"
            f" will be worse. Train {' then '.join(before)} first, then --init {RUNS / before[-1] / 'ema.safetensors'}"
        )
