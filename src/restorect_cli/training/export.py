"""Exports a trained student to the two ONNX graphs that run without torch, and proves that they agree with it.

    prior.onnx       thumb (1,3,h,w), statistics (1,9)        -> z (1,latent_dim)
    velocity.onnx    x (1,3,H,W), t (1,), z (1,latent_dim)    -> displacement (1,3,H,W)

H and W are multiples of the size multiple. The student's description travels in both files' metadata.
"""

from __future__ import annotations

import json
import logging
import os
import warnings
from functools import partial
from pathlib import Path

import numpy as np
import onnx
import torch
from torch import Tensor, nn

from ..atomic import replace_files
from ..engine.runtime import Graph
from ..errors import InputError, ModelError, OutputError
from ..models.specs import METADATA_KEY, StudentSpec
from ..models.store import FILE_NAMES
from ..one_line import folded
from ..recipes.recipe import Recipe
from .checkpoint import read_averages, reason
from .nets.student import SIZE_MULTIPLE, STATISTICS, Student, receptive_radius_px
from .nets.teacher import TEACHERS
from .stages.table import student_shape

OPSET = 20
PARITY = 2e-5  # largest difference allowed between torch and ONNX Runtime, a two-hundredth of a level


def load_weights(path: Path) -> tuple[Student, Recipe]:
    """The EMA student of a run (`ema.safetensors`) and the recipe it was trained with; raises InputError."""
    problem, fix = f"{path} is not a trained student", "name the ema.safetensors of a run"
    try:
        recipe, weights = read_averages(path)
    except Exception as error:  # a damaged file may raise anything
        raise InputError(problem, f"{fix} ({reason(error)})") from error
    if recipe.net in TEACHERS:
        raise InputError(problem, f"it is a {recipe.net}, which students learn from: restorect distill")
    student = Student(student_shape(recipe))
    try:
        student.load_state_dict(weights)
    except RuntimeError as error:
        raise InputError(problem, f"{fix} ({folded(error)})") from error
    return student.eval(), recipe


def describe(student: Student, recipe: Recipe, *, licence: str, training_data: str, version: str = "1") -> StudentSpec:
    """The description that goes into the metadata and the manifest."""
    # What a net answers at t < 1 is known only where it was trained there, by samples or by live roll-outs. One that
    # was not loses 1 to 5 dB in ten steps (docs/ir-flow.md).
    rolled_out = recipe.consistency in ("full", "cheap") and recipe.consistency_weight > 0
    several_steps = recipe.start_share < 1 or rolled_out
    return StudentSpec(
        name=f"{recipe.task}-{recipe.net}",
        task=recipe.task,
        size=recipe.net,  # type: ignore[arg-type]  # a teacher's is refused by load_weights, and by the spec
        version=version,
        target=recipe.target,
        grid=recipe.grid,
        **({} if several_steps else {"max_steps": 1}),
        size_multiple=SIZE_MULTIPLE,
        halo_px=receptive_radius_px(student.shape),
        latent_dim=student.shape.latent_dim,
        parameters=sum(p.numel() for p in student.parameters()),
        licence=licence,
        training_data=training_data,
    )


def export(student: Student, spec: StudentSpec, folder: Path, *, overwrite: bool = False) -> None:
    """Write prior.onnx and velocity.onnx into `folder` once both agree with torch to `PARITY`.

    overwrite: replace the student that `folder` holds; its velocity.int8.onnx goes too, because it was made from the
    old velocity net and would run under the new prior. Raises OutputError where there is one and it may not be
    replaced, ModelError when graph and torch do not agree; nothing is written then.
    """
    if not overwrite and holds_student(folder):
        raise OutputError(f"{folder} holds a model already", "choose another folder, or --overwrite to replace it")
    height = torch.export.Dim("height8", min=1, max=4096)
    width = torch.export.Dim("width8", min=1, max=4096)
    generator = torch.Generator().manual_seed(0)

    def rand(*shape: int) -> Tensor:
        return torch.rand(*shape, generator=generator)

    thumb_sides = {2: torch.export.Dim("h", min=8, max=4096), 3: torch.export.Dim("w", min=8, max=4096)}
    prior = _to_onnx(
        student.prior, (rand(1, 3, 40, 56), rand(1, STATISTICS) / 10), ["thumb", "statistics"], "z", (thumb_sides, None)
    )
    velocity = _to_onnx(
        student.velocity,
        (rand(1, 3, 48, 64), torch.ones(1), rand(1, spec.latent_dim)),
        ["x", "t", "z"],
        "displacement",
        ({2: SIZE_MULTIPLE * height, 3: SIZE_MULTIPLE * width}, None, None),
    )
    described = [_with_metadata(model, spec) for model in (prior, velocity)]
    checks: list[tuple[nn.Module, bytes, dict[str, Tensor]]] = []
    for h, w in ((8, 8), (64, 40), (104, 152)):  # other sizes than the traced ones
        checks.append((student.prior, described[0], {"thumb": rand(1, 3, h, w), "statistics": rand(1, STATISTICS) / 5}))
        t = rand(1)
        checks.append((student.velocity, described[1], {"x": rand(1, 3, h, w), "t": t, "z": rand(1, spec.latent_dim)}))
    for module, data, inputs in checks:
        difference = parity(module, data, inputs)
        if not difference <= PARITY:
            raise ModelError(f"{spec.name}: the exported graph differs from torch by {difference:.2g}")
    try:
        folder.mkdir(parents=True, exist_ok=True)
        prior_path, velocity_path, int8_path = _graphs(folder)
        graphs = zip((prior_path, velocity_path), described, strict=True)
        replace_files({path: partial(Path.write_bytes, data=data) for path, data in graphs}, remove=[int8_path])
    except OSError as error:
        raise OutputError(f"cannot write {spec.name} to {folder}", str(error)) from error


def holds_student(folder: Path) -> bool:
    """Whether any graph lies in `folder`; a card alone may have been written before them."""
    return any(os.path.lexists(path) for path in _graphs(folder))


def _graphs(folder: Path) -> tuple[Path, Path, Path]:
    return folder / FILE_NAMES["prior"], folder / FILE_NAMES["velocity"], folder / FILE_NAMES["velocity-int8"]


@torch.no_grad()
def parity(module: nn.Module, data: bytes, inputs: dict[str, Tensor]) -> float:
    """Largest absolute difference between torch and ONNX Runtime for one set of inputs."""
    expected = module(*inputs.values()).numpy()
    found = Graph(data, device="cpu", threads=1).run({name: value.numpy() for name, value in inputs.items()})
    return float(np.abs(next(iter(found.values())) - expected).max())


def _to_onnx(
    module: nn.Module, inputs: tuple[Tensor, ...], names: list[str], output: str, dynamic: tuple[object, ...]
) -> onnx.ModelProto:
    # The exporter warns about its own future and about packages we do not use.
    log = logging.getLogger("torch.onnx")
    level = log.level
    log.setLevel(logging.ERROR)
    try:
        with warnings.catch_warnings():
            warnings.simplefilter("ignore")
            program = torch.onnx.export(
                module.eval(),
                inputs,
                dynamo=True,
                input_names=names,
                output_names=[output],
                dynamic_shapes=dynamic,
                opset_version=OPSET,
                verbose=False,
            )
            if program is None:
                raise ModelError("the ONNX exporter returned nothing")
    finally:
        log.setLevel(level)
    model: onnx.ModelProto = program.model_proto
    return model


def _with_metadata(model: onnx.ModelProto, spec: StudentSpec) -> bytes:
    onnx.helper.set_model_props(model, {METADATA_KEY: json.dumps(spec.model_dump(), sort_keys=True)})
    for node in model.graph.node:  # the exporter's notes hold source paths of the exporting machine
        node.doc_string = ""
        del node.metadata_props[:]
    for value in (*model.graph.value_info, *model.graph.input, *model.graph.output, *model.graph.initializer):
        del value.metadata_props[:]
    del model.graph.metadata_props[:]
    onnx.checker.check_model(model)
    data: bytes = model.SerializeToString()
    return data
