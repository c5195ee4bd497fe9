"""The weights in a run's folder: checkpoint.pt, from which the run goes on, and ema.safetensors, for export.

A checkpoint holds tensors, numbers and text only and is read with `weights_only=True`: a file from elsewhere, which
may be damaged, must not run code.
"""

from __future__ import annotations

import warnings
from collections.abc import Mapping
from pathlib import Path
from typing import Any

import torch
from pydantic import ValidationError
from safetensors import SafetensorError, safe_open
from safetensors.torch import load_file, save_file
from torch import Tensor, nn

from ..atomic import replace_file
from ..errors import InputError, OutputError, UsageError
from ..one_line import folded
from ..recipes.recipe import Recipe
from .nets.student import Student, made_to_fit
from .optimiser import Optimiser
from .stages.stage import Stage

FORMAT = 2
"""Of checkpoint.pt, written into it; files of another format are refused."""

State = dict[str, Any]
Weights = dict[str, Tensor]


class OtherFormatError(ValueError):
    """A checkpoint that another version of restorect wrote."""


def save(run: Path, stage: Stage, recipe: Recipe, averages: Weights, optimiser: Optimiser, iteration: int) -> None:
    """Write both files of a run whole, each aside and then renamed: a full disk costs nothing that was saved before.

    `averages` are the EMA weights of the stage's net. Raises OutputError.
    """
    state = {
        "format": FORMAT,
        "recipe": recipe.model_dump_json(),
        "origin": stage.origin,
        "iteration": iteration,
        "model": stage.net.state_dict(),
        "aside": stage.aside.state_dict(),
        "ema": averages,
        "optimiser": optimiser.state_dict(),
    }
    weights = {name: value.contiguous().cpu() for name, value in averages.items()}
    about = {"recipe": recipe.model_dump_json(), "iteration": str(iteration)}
    try:
        replace_file(run / "checkpoint.pt", lambda path: torch.save(state, path))
        replace_file(run / "ema.safetensors", lambda path: save_file(weights, path, metadata=about))
    except (OSError, RuntimeError, SafetensorError) as error:  # torch reports a full disk as RuntimeError
        why = str(error).split("\n", 1)[0]
        raise OutputError(
            f"cannot write a checkpoint to {run}, an earlier one is untouched",
            f"free some space, then --resume ({why})",
        ) from error


def resume(run: Path, stage: Stage, recipe: Recipe, averages: Weights, optimiser: Optimiser) -> int:
    """Load what `save` wrote into net, averages and optimiser; return how many iterations are done.

    Raises InputError where there is no checkpoint that fits the net, UsageError where the run follows another recipe
    or learns from another teacher.
    """
    path = run / "checkpoint.pt"
    if not path.is_file():
        raise InputError(f"nothing to resume in {run}", "leave out --resume to start a run there")
    device = next(stage.parameters()).device
    try:
        theirs, state = read_checkpoint(path, device)
    except Exception as error:
        raise InputError(
            f"cannot read checkpoint {path}", f"start again in another folder ({reason(error)})"
        ) from error
    found, wanted = theirs.model_dump(), recipe.model_dump()
    if found != wanted:
        keys = ", ".join(key for key, value in found.items() if value != wanted[key])
        raise UsageError(
            f"{run} was trained with another recipe, with another {keys}",
            "resume with the same one or name another folder",
        )
    try:
        if state["origin"] != stage.origin:
            raise UsageError(f"{run} learns from another teacher", "resume with the same one or name another folder")
        stage.net.load_state_dict(state["model"])
        stage.aside.load_state_dict(state["aside"])
        optimiser.load_state_dict(state["optimiser"])
        averages.update({name: state["ema"][name] for name in averages})
        return int(state["iteration"])
    except (RuntimeError, ValueError, KeyError) as error:  # made by another version of the net
        raise InputError(
            f"checkpoint {path} does not fit the net {recipe.net!r}", "start again in another folder"
        ) from error


def start_from(path: Path, net: nn.Module, recipe: Recipe) -> None:
    """Load the weights of another run, its ema.safetensors, into `net`; raises InputError where they do not fit.

    A student that learns from a teacher, or has a context block, can start from one that did not.
    """
    try:
        weights = load_file(path, device=str(next(net.parameters()).device))
        net.load_state_dict(made_to_fit(weights, net) if isinstance(net, Student) else weights)
    except (OSError, SafetensorError, RuntimeError) as error:
        fix = f"name the ema.safetensors of a run with net {recipe.net!r}"
        raise InputError(f"cannot start from {path}", f"{fix} ({str(error).splitlines()[0]})") from error


def read_checkpoint(path: Path, device: torch.device | str = "cpu") -> tuple[Recipe, State]:
    """The recipe of a run and all of its state; any Exception means that there is none, see `reason`."""
    with warnings.catch_warnings():
        warnings.simplefilter("ignore")  # torch warns of unusual pickles, above the error line
        state: State = torch.load(path, map_location=device, weights_only=True)
    if state["format"] != FORMAT:
        raise OtherFormatError(state["format"])
    return Recipe.model_validate_json(state["recipe"]), state


def read_averages(file: Path) -> tuple[Recipe, Weights]:
    """The recipe of a run and its EMA weights, from ema.safetensors or checkpoint.pt; any Exception as above."""
    if file.suffix == ".pt":
        recipe, state = read_checkpoint(file)
        return recipe, state["ema"]
    with safe_open(file, framework="pt") as opened:
        weights = {name: opened.get_tensor(name) for name in opened.keys()}
        return _recipe_in(opened.metadata()), weights


def read_recipe(file: Path) -> Recipe:
    """As `read_averages`, the recipe alone: of ema.safetensors no weights are read."""
    if file.suffix == ".pt":
        return read_checkpoint(file)[0]
    with safe_open(file, framework="pt") as opened:
        return _recipe_in(opened.metadata())


def _recipe_in(metadata: Mapping[str, str]) -> Recipe:
    return Recipe.model_validate_json(metadata["recipe"])


def reason(error: Exception) -> str:
    """Why a file of a run could not be read, in a few words.

    Not in those of torch, which advises `weights_only=False`, and so to run what the file says.
    """
    if isinstance(error, OSError):
        return folded(error.strerror or error)
    if isinstance(error, ValidationError):
        return "its recipe is not one of this version of restorect"
    if isinstance(error, OtherFormatError):
        return "another version of restorect wrote it"
    return "it is no checkpoint of restorect, or a damaged one"
