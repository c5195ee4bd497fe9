"""`restorect distill`: trains a student that learns from a teacher, and exports it as a model."""

from __future__ import annotations

from pathlib import Path
from typing import TYPE_CHECKING, Annotated

import typer

from ..errors import UsageError
from ..names import Task
from .export import say_exported
from .label import Largest, Views, need_labels
from .options import Quiet, words
from .output import Output
from .training import (
    UNSTATED,
    DryRun,
    Licence,
    Resume,
    TimeLimit,
    TrainDevice,
    TrainingData,
    TrainThreads,
    need_one_start,
    need_torch,
    say_estimate,
    train_to_the_end,
)

if TYPE_CHECKING:
    from ..recipes.recipe import Recipe


def distill(
    teacher: Annotated[
        str,
        typer.Option(
            metavar="X",
            help="The teacher: the folder of its run, or ema.safetensors or checkpoint.pt in it; or any network, as "
            "`label` takes it: an ONNX file, a command 'prog {in} {out}', a checkpoint (.pth), or self.",
        ),
    ],
    data: Annotated[
        Path,
        typer.Option(
            metavar="DIR",
            help="Folder that holds the folders the recipe names; without a recipe, photographs that such a network "
            "labels.",
        ),
    ],
    recipe: Annotated[
        str | None,
        typer.Argument(
            metavar="RECIPE",
            help="A recipe for a student, shipped or a TOML file "
            "[default: distilled.toml or recipe.toml in DIR, else that of the teacher's task].",
        ),
    ] = None,
    output: Annotated[
        Path | None,
        typer.Option(
            "--output",
            "-o",
            metavar="RUN",
            help="Folder of this run, which will hold the model [default: runs/TASK-NET-distilled].",
        ),
    ] = None,
    task: Annotated[
        Task | None,
        typer.Option(
            "--task",
            "-t",
            metavar=words(Task),
            help="What a teacher that is any network repairs, without a recipe.",
        ),
    ] = None,
    views: Views = 1,
    largest: Largest = 1.0,
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
    licence: Licence = UNSTATED,
    training_data: TrainingData = "not stated",
    device: TrainDevice = "cpu",
    threads: TrainThreads = None,
    quiet: Quiet = False,
) -> None:
    """Trains a student that learns from a teacher, and exports it. Needs the extra `train`.

    First train a teacher with `restorect train`. A teacher sees the clean pictures, so its vectors hold what no
    degraded picture shows. The student learns to generate these vectors with a latent flow, and to match the teacher's
    results. The [distill] table of the recipe sets the weights of the losses; without it they have their defaults.

    Any other network shows only its pictures. It labels the photographs once, before training, as `restorect label`
    does, and the recipe says what is learned from the labels; DIR keeps them. Without a recipe the run starts from
    the shipped model of the task, unless --init names another.

    At the end RUN holds a folder with the exported model and its card. It gives the same results as in torch.

    \b
    Examples:
      restorect degrade ./photos --task denoise -o ./pairs          then, from these pairs:
      restorect train --data ./pairs --net teacher-tiny
      restorect distill --data ./pairs --teacher runs/denoise-teacher-tiny/ema.safetensors
      restorect enhance noisy.jpg --task denoise --model runs/denoise-s-distilled/denoise-s

    \b
    From any network, with photographs that have no truth:
      restorect distill --data ./rainy --teacher derainer.onnx --task derain

    \b
    From the folders of pictures that the shipped recipes name:
      restorect train --task low-light --net teacher-small --data ./pictures
      restorect distill low-light-s-distilled --data ./pictures --teacher runs/low-light-teacher-small/ema.safetensors
    """
    need_one_start(resume, init)
    need_torch()
    from ..labelling.teachers import is_foreign
    from ..recipes.choice import RUNS
    from ..training.loop import Trainer
    from ..training.ranks import join

    foreign, weights = is_foreign(teacher), None
    with join(device) as ranks:
        out = Output(quiet=quiet or not ranks.leads)
        if foreign:
            if ranks.count > 1:
                raise UsageError("one process labels pictures, not several", "first: restorect label, then train")
            found = _labelled(teacher, data, recipe, task, views, largest, threads, dry_run, out)
            if found is None:
                return
            chosen = found
            if recipe is None and init is None and not resume:
                init = _shipped(f"{chosen.task}-{chosen.net}", out)
        else:
            if task is not None:
                raise UsageError("a RestoRect teacher knows its task", "leave --task out")
            weights = Path(teacher)
            chosen = _taught_by(weights, recipe, data)
        run = output or RUNS / f"{chosen.task}-{chosen.net}-distilled"
        if dry_run:
            if ranks.leads:
                say_estimate(chosen, data, ranks.device, out, teacher=weights, threads=threads)
            return
        trainer = Trainer(chosen, data, run, ranks=ranks, threads=threads, resume=resume, teacher=weights, init=init)
        train_to_the_end(trainer, time_limit, out)
        if ranks.leads and trainer.iteration >= chosen.iterations:
            learned = f"{training_data}; labels by {teacher_name(teacher)}" if foreign else training_data
            _export(run, licence, learned, out)


def _taught_by(weights: Path, recipe: str | None, data: Path) -> Recipe:
    """The recipe for a student of a RestoRect teacher."""
    from ..recipes.choice import distilling
    from ..recipes.recipe import load_recipe
    from ..training.stages.distillation import naming_its_teacher, task_of

    name = recipe or distilling(data) or f"{task_of(weights)}-s-distilled"
    return naming_its_teacher(load_recipe(name), weights)


def _labelled(
    teacher: str,
    data: Path,
    named: str | None,
    task: Task | None,
    views: int,
    largest: float,
    threads: int | None,
    dry_run: bool,
    out: Output,
) -> Recipe | None:
    """The recipe to train by, once all that it needs is labelled; None where a dry run leaves pictures to label."""
    from ..labelling.run import LabelOptions
    from ..recipes.recipe import load_recipe
    from ..recipes.starters import RECIPE_FILE

    recipe = None if named is None else load_recipe(named)
    if recipe is None and task is None and not (data / RECIPE_FILE).is_file():
        raise UsageError("no recipe says what the teacher repairs", "say --task")
    if recipe is not None and task not in (None, recipe.task):
        raise UsageError(f"recipe {named} is for {recipe.task}, not {task}", "leave --task out")
    if recipe is not None and recipe.distill is not None:
        raise UsageError(
            f"{teacher} shows pictures alone, and [distill] in recipe {named} asks for more", "leave the table out"
        )
    options = LabelOptions(views=views, largest=largest)
    left = need_labels(
        teacher,
        data,
        recipe,
        out,
        task=task or (recipe.task if recipe else None),
        options=options,
        threads=threads,
        dry_run=dry_run,
    )
    if left:
        out.result(f"{left} pictures to label first", {"left": left})
        return None
    return recipe or load_recipe(str(data / RECIPE_FILE))


def _shipped(name: str, out: Output) -> str | None:
    """The model to start from where the user named none; None where it is not installed."""
    from ..models.store import installed

    if name not in {model.spec.name for model in installed()}:
        return None
    out.say(f"starts from {name}; --init names another start")
    return name


def teacher_name(teacher: str) -> str:
    """As a card may say it: no folder of this machine."""
    from ..labelling.teachers import OWN, without_folders

    return "our own model" if teacher == OWN else without_folders(teacher)


def _export(run: Path, licence: str, training_data: str, out: Output) -> None:
    from ..training.card import write_card
    from ..training.export import describe, export, load_weights

    student, recipe = load_weights(run / "ema.safetensors")
    spec = describe(student, recipe, licence=licence, training_data=training_data)
    folder = run / spec.name
    export(student, spec, folder, overwrite=True)  # an earlier call may have exported it, before --resume
    write_card(folder, spec, recipe, run / "log.jsonl")
    say_exported(spec, folder, out)
