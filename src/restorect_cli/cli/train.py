"""`restorect train` and `restorect export`: from pictures to a student of one's own."""

from __future__ import annotations

from pathlib import Path
from typing import TYPE_CHECKING, Annotated, Literal

import typer

from ..errors import StoppedError, UsageError
from ..names import Task, called
from .options import Quiet, words
from .output import Output
from .training_plan import tell_plan

if TYPE_CHECKING:
    from ..models.specs import StudentSpec
    from ..recipes.choice import Choice
    from ..training.loop import Progress, Trainer

TrainDevice = Literal["cpu", "cuda"]
Net = Literal["student-s", "student-m", "student-tiny", "teacher-tiny", "teacher-small", "teacher-paper"]
ShortNet = Literal["s", "m", "tiny"]  # of students, as recipes name them


def train(
    data: Annotated[
        Path, typer.Option(metavar="DIR", help="Folder that holds the folders the recipe names.", show_default=False)
    ],
    recipe: Annotated[
        str | None,
        typer.Argument(
            metavar="RECIPE",
            help="A recipe that comes along (denoise-s, low-light-s, ...) or a TOML file "
            "[default: recipe.toml in DIR, as `degrade` writes it, else that of --task].",
            show_default=False,
        ),
    ] = None,
    output: Annotated[
        Path | None,
        typer.Option(
            "--output",
            "-o",
            metavar="RUN",
            help="Folder of this run: checkpoint, weights, log, plot [default: runs/ and the recipe's name].",
            show_default=False,
        ),
    ] = None,
    task: Annotated[
        Task | None,
        typer.Option(
            "--task", "-t", metavar=words(Task), help="What to train for, without a recipe.", show_default=False
        ),
    ] = None,
    net: Annotated[
        Literal[Net, ShortNet] | None,
        typer.Option(
            metavar=words(Net),
            help="Size of the net, without a recipe; tiny is for trying.",
            show_default=False,
        ),
    ] = None,
    recipe_option: Annotated[
        str | None, typer.Option("--recipe", metavar="RECIPE", help="The same as RECIPE.", show_default=False)
    ] = None,
    resume: Annotated[bool, typer.Option("--resume", help="Go on where the run in RUN stopped.")] = False,
    init: Annotated[
        Path | None,
        typer.Option(
            "--init", metavar="WEIGHTS", help="Start from another run's ema.safetensors, same net.", show_default=False
        ),
    ] = None,
    time_limit: Annotated[
        float | None,
        typer.Option(
            metavar="MINUTES", min=0, help="Stop after so long, with a checkpoint to resume from.", show_default=False
        ),
    ] = None,
    dry_run: Annotated[
        bool, typer.Option("--dry-run", help="Print sizes, steps, hours and memory, and train nothing.")
    ] = False,
    device: Annotated[
        TrainDevice, typer.Option("--device", "-d", metavar=words(TrainDevice), help="Where to train.")
    ] = "cpu",
    threads: Annotated[
        int | None, typer.Option(min=1, metavar="N", help="CPU threads [default: all].", show_default=False)
    ] = None,
    quiet: Quiet = False,
) -> None:
    """Trains a student, or a teacher for one, by a recipe. Needs the extra `train` (pip install 'restorect[train]').

    Can be stopped at any moment (Ctrl-C saves first) and resumed: the data order depends on nothing but the
    recipe. RUN then holds ema.safetensors, which `restorect export` turns into a student, log.jsonl, and
    loss.png, a plot of it. A recipe is the whole record of a run, so of what it says only the net can be chosen
    here: copy one and change it.

    A teacher sees the clean pictures while it trains; `restorect distill` makes a student that learns from it. Its
    held-out numbers come in pairs: without the truth, and "with the truth" shown to its encoders.

    Most students are trained in several runs (low-light-s-first, -second, low-light-s), each going on from the weights
    of the one before: --init runs/low-light-s-second/ema.safetensors.

    Several GPUs: start it through torchrun. Every batch is shared among the processes, so the recipe stays the same.

    \b
    Examples:
      restorect degrade ./photos --task derain -o ./pairs   then, from these pairs, into runs/derain-s:
      restorect train --data ./pairs --time-limit 60
      restorect train --data ./pairs --resume               stopped? go on
      restorect export runs/derain-s -o my-students/derain-s

    \b
    The students that are shipped, from the folders of pictures that their recipes name:
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
            _tell_of_forerunners(chosen, out)
        if dry_run:
            if ranks.leads:
                tell_plan(chosen.recipe, data, ranks.device, out, threads=threads)
            return
        trainer = Trainer(chosen.recipe, data, run, ranks=ranks, threads=threads, resume=resume, init=init)
        train_to_the_end(trainer, time_limit, out)


def _tell_of_forerunners(chosen: Choice, out: Output) -> None:
    from ..recipes.choice import RUNS, forerunners

    before = forerunners(chosen.recipe)
    if before:
        out.say(
            f"warning: recipe {chosen.name} is meant to go on from the weights of another run; without them the student"
            f" will be worse. Train {' then '.join(before)} first, then --init {RUNS / before[-1] / 'ema.safetensors'}"
        )


def train_to_the_end(trainer: Trainer, time_limit: float | None, out: Output) -> None:
    from .training_progress import TrainingProgress

    limit = None if time_limit is None else 60 * time_limit
    recipe = trainer.recipe
    with TrainingProgress(out, recipe.task, recipe.iterations, done=trainer.iteration, time_limit=limit) as shown:

        def report(progress: Progress) -> None:
            shown.step(progress.iteration, progress.loss)
            if progress.validation:
                scores = ", ".join(f"{name} {value:.2f} dB" for name, value in progress.validation.items())
                shown.say(f"iteration {progress.iteration}, held-out pictures: {scores}")

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
    overwrite: Annotated[
        bool,
        typer.Option("--overwrite", help="Replace the student in FOLDER; its card.md becomes card.old.md."),
    ] = False,
    quiet: Quiet = False,
) -> None:
    """Exports a trained student to ONNX and checks that it agrees with torch.

    FOLDER can be given to `enhance --model` at once; one in the working directory is written ./FOLDER there. A
    student that it holds already is left alone without --overwrite. Needs the extra `train`.

    \b
    Examples:
      restorect export runs/denoise -o my-students/denoise-s
      restorect enhance photo.jpg --task denoise --model my-students/denoise-s
    """
    need_torch()
    from ..training.card import put_card_aside
    from ..training.export import describe, holds_student, load_weights
    from ..training.export import export as write

    weights = run / "ema.safetensors" if run.is_dir() else run
    student, recipe = load_weights(weights)
    spec = describe(student, recipe, licence=licence, training_data=training_data)
    out = Output(quiet=quiet)
    replaced = holds_student(output)
    write(student, spec, output, overwrite=overwrite)
    old_card = put_card_aside(output) if replaced else None
    if old_card is not None:
        out.say(f"the card of the replaced student is now {old_card}")
    tell_export(spec, output, out)


def tell_export(spec: StudentSpec, folder: Path, out: Output) -> None:
    from ..models.store import as_model

    out.result(
        f"{spec.name}: {spec.parameters} parameters, exported to {folder}; "
        f"restorect enhance IN --task {spec.task} --model {as_model(folder)}",
        {"name": spec.name, "folder": str(folder), "parameters": spec.parameters},
    )


def need_one_start(resume: bool, init: Path | None) -> None:
    if resume and init is not None:
        raise UsageError("--resume goes on from the run's own weights, not from those of --init", "leave one out")


def need_torch() -> None:
    from importlib.util import find_spec

    missing = [name for name in ("torch", "safetensors", "onnx", "onnxscript") if find_spec(name) is None]
    if missing:
        raise UsageError(f"training needs {', '.join(missing)}", "pip install 'restorect[train]'")
