"""The weights that a run starts from: of another run, or of a model, read back out of its graphs."""

from __future__ import annotations

from pathlib import Path

import numpy as np
import onnx
import torch
from onnx import numpy_helper
from safetensors.torch import load_file
from torch import Tensor

from ..errors import InputError, ModelError, UsageError
from ..models.specs import Role
from ..models.store import FILE_NAMES, find
from ..one_line import folded

PARTS: tuple[Role, ...] = ("prior", "velocity")


def read_initial(named: str | Path) -> dict[str, Tensor]:
    """Weights by the names of a student's state: of a file (ema.safetensors), a run's or a model's folder, or a model
    called by its name ("derain-s").

    Raises InputError where there are none.
    """
    path = Path(named)
    if path.is_file():
        return load_file(path)
    if (path / "ema.safetensors").is_file():
        return load_file(path / "ema.safetensors")
    if all((path / FILE_NAMES[part]).is_file() for part in PARTS):
        return read_model(path)
    try:
        model = find(None, str(named))
    except (ModelError, UsageError) as error:
        what = "name a run, its ema.safetensors, a model with its size, as derain-s, or its folder"
        raise InputError(f"cannot start from {named} ({error.problem})", what) from error
    return read_model(model.folder)


def read_model(folder: Path) -> dict[str, Tensor]:
    """The weights of a model, exactly; the export keeps their names in its graphs. InputError for a damaged file."""
    weights = {}
    for part in PARTS:
        path = folder / FILE_NAMES[part]
        try:
            graph = onnx.load(path).graph
            for stored in graph.initializer:
                if stored.name.rpartition(".")[2] not in ("weight", "bias"):  # the exporter's own constants
                    continue
                array = np.array(numpy_helper.to_array(stored))  # a copy that may be written to
                weights[f"{part}.{stored.name}"] = torch.from_numpy(array)
        except Exception as error:  # protobuf's errors share no base class
            raise InputError(f"cannot read the weights in {path}", folded(error)[:200]) from error
    return weights
