"""`restorect export`: from a training run to a model that `enhance` can use."""

from __future__ import annotations

from pathlib import Path
from typing import TYPE_CHECKING, Annotated

import typer

from .options import Quiet
from .output import Output
from .training import UNSTATED, Licence, TrainingData, need_torch

if TYPE_CHECKING:
    from ..models.specs import StudentSpec


def export(
    run: Annotated[Path, typer.Argument(metavar="RUN", help="Folder of a training run, or its ema.safetensors.")],
    output: Annotated[
        Path,
        typer.Option("--output", "-o", metavar="FOLDER", help="Folder to write the model to."),
    ],
    licence: Licence = UNSTATED,
    training_data: TrainingData = "not stated",
    overwrite: Annotated[
        bool,
        typer.Option("--overwrite", help="Replace the model in FOLDER; its card.md is renamed to card.old.md."),
    ] = False,
    quiet: Quiet = False,
) -> None:
    """Exports a trained model to ONNX and checks that it gives the same results as in torch.

    Use it with `enhance --model FOLDER`; if FOLDER is in the working directory, write ./FOLDER. An existing model is
    kept unless --overwrite is given. Needs the extra `train`.

    \b
    Examples:
      restorect export runs/denoise -o my-models/denoise-s
      restorect enhance photo.jpg --task denoise --model my-models/denoise-s
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
        out.say(f"the card of the replaced model is now {old_card}")
    say_exported(spec, output, out)


def say_exported(spec: StudentSpec, folder: Path, out: Output) -> None:
    """Report what was exported, and the command that uses it."""
    from .shell import as_model

    out.result(
        f"{spec.name}: {spec.parameters} parameters, exported to {folder}; "
        f"restorect enhance IN --task {spec.task} --model {as_model(folder)}",
        {"name": spec.name, "folder": str(folder), "parameters": spec.parameters},
    )
