"""Reading a run's checkpoint.pt, which may be damaged or come from elsewhere."""

from __future__ import annotations

import warnings
from pathlib import Path
from typing import Any

import torch
from pydantic import ValidationError

from ..one_line import folded
from ..recipes.recipe import Recipe

State = dict[str, Any]


def read_checkpoint(path: Path, device: torch.device | str = "cpu") -> tuple[Recipe, State]:
    """The recipe of a run and all of its state; any Exception means that there is none, see `reason`.

    Never unpickles: a file from elsewhere must not run code.
    """
    with warnings.catch_warnings():
        warnings.simplefilter("ignore")  # torch asks to be told of unusual pickles, over the error line
        state: State = torch.load(path, map_location=device, weights_only=True)
    return Recipe.model_validate_json(state["recipe"]), state


def reason(error: Exception) -> str:
    """Why a file of a run could not be read, in a few words.

    Not in those of torch, which advises `weights_only=False`, and so to run what the file says.
    """
    if isinstance(error, OSError):
        return folded(error.strerror or error)
    if isinstance(error, ValidationError):
        return "its recipe is not one of this version of restorect"
    return "it is no checkpoint of restorect, or a damaged one"
