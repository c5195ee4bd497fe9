"""`restorect distill`: a student that learns from a teacher, exported as a model for `enhance`."""

from __future__ import annotations

from pathlib import Path
from typing import Annotated

import typer

from .export import say_exported
from .options import Quiet, words
from .output import Output
from .training import TrainDevice, need_one_start, need_torch, say_estimate, train_to_the_end


def distill(
    teacher: Annotated[
        Path,
        typer.Option(
            metavar="WEIGHTS",
            help="The teacher: the folder of its run, or ema.safetensors or checkpoint.pt in it.",
            show_default=False,
        ),
    ],
    data: Annotated[
        Path, typer.Option(metavar="DIR", help="Folder that holds the folders the recipe names.", show_default=False)
    ],
    recipe: Annotated[
        str | None,
        typer.Argument(
            metavar="RECIPE",
            help="A recipe for a student, shipped or a TOML file "
            "[default: distilled.toml or recipe.toml in DIR, else that of the teacher's task].",
            show_default=False,
        ),
    ] = None,
    output: Annotated[
        Path | None,
        typer.Option(
            "--output",
            "-o",
            metavar="RUN",
            help="Folder of this run; the student is put below it [default: runs/TASK-NET-distilled].",
            show_default=False,
        ),
    ] = None,
    resume: Annotated[bool, typer.Option("--resume", help="Continue where the run in RUN stopped.")] = False,
    init: Annotated[
        Path | None,
        typer.Option(
            "--init",
            metavar="WEIGHTS",
            help="Start from the ema.safetensors of a student of the same size, trained without a teacher or with one.",
            show_default=False,
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
    licence: Annotated[
        str, typer.Option(help="Licence of the weights, as an SPDX identifier.")
    ] = "LicenseRef-unstated",
    training_data: Annotated[str, typer.Option(help="What it was trained on, in one sentence.")] = "not stated",
    device: Annotated[
        TrainDevice, typer.Option("--device", "-d", metavar=words(TrainDevice), help="Where to train.")
    ] = "cpu",
    threads: Annotated[
        int | None, typer.Option(min=1, metavar="N", help="CPU threads [default: all].", show_default=False)
    ] = None,
    quiet: Quiet = False,
) -> None:
    """Trains a student that learns from a teacher, and exports it. Needs the extra `train`.

    First train a teacher with `restorect train`. A teacher sees the clean pictures, so its vectors hold what no
    degraded picture shows. The student learns to generate these vectors with a latent flow, and to compute what the
    teacher computes. The [distill] table of the recipe sets the weights of its losses; without one they have their
    defaults.

    At the end RUN holds a folder with the exported model and its card. It computes the same as the student in torch.

    \b
    Examples:
      restorect degrade ./photos --task denoise -o ./pairs          then, from these pairs:
      restorect train --data ./pairs --net teacher-tiny
      restorect distill --data ./pairs --teacher runs/denoise-teacher-tiny/ema.safetensors
      restorect enhance noisy.jpg --task denoise --model runs/denoise-s-distilled/denoise-s

    \b
    From the folders of pictures that the shipped recipes name:
      restorect train --task low-light --net teacher-small --data ./pictures
      restorect distill low-light-s-distilled --data ./pictures --teacher runs/low-light-teacher-small/ema.safetensors
    """
    need_one_start(resume, init)
    need_torch()
    from ..recipes.choice import RUNS, distilling
    from ..recipes.recipe import load_recipe
    from ..training.loop import Trainer
    from ..training.ranks import join
    from ..training.stages.distillation import naming_its_teacher, task_of

    name = recipe or distilling(data) or f"{task_of(teacher)}-s-distilled"
    chosen = naming_its_teacher(load_recipe(name), teacher)
    run = output or RUNS / f"{chosen.task}-{chosen.net}-distilled"
    with join(device) as ranks:
        out = Output(quiet=quiet or not ranks.leads)
        if dry_run:
            if ranks.leads:
                say_estimate(chosen, data, ranks.device, out, teacher=teacher, threads=threads)
            return
        trainer = Trainer(chosen, data, run, ranks=ranks, threads=threads, resume=resume, teacher=teacher, init=init)
        train_to_the_end(trainer, time_limit, out)
        if ranks.leads and trainer.iteration >= chosen.iterations:
            _export(run, licence, training_data, out)


def _export(run: Path, licence: str, training_data: str, out: Output) -> None:
    from ..training.card import write_card
    from ..training.export import describe, export, load_weights

    student, recipe = load_weights(run / "ema.safetensors")
    spec = describe(student, recipe, licence=licence, training_data=training_data)
    folder = run / spec.name
    export(student, spec, folder, overwrite=True)  # its own of an earlier call: --resume may ask again
    write_card(folder, spec, recipe, run / "log.jsonl")
    say_exported(spec, folder, out)
