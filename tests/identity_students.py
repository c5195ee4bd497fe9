"""Students that change nothing, a few hundred bytes each, laid out like real ones."""

from __future__ import annotations

import json
from pathlib import Path
from typing import Any

import onnx
from onnx import TensorProto, helper

from restorect_cli.models import store
from restorect_cli.models.specs import ManifestEntry

LATENT = 4
QUALITY = [
    {
        "dataset": "CBSD68-34",
        "protocol": "sigma 25, unclipped, seeded",
        "measure": "RGB PSNR [dB]",
        "value": 20.17,
        "command": "none: the identity",
    }
]


def spec_fields(name: str, **changes: Any) -> dict[str, Any]:
    """What a `StudentSpec` is made from; `name` is task and size, as in "denoise-s"."""
    task, _, size = name.rpartition("-")
    fields = {
        "name": name,
        "task": task,
        "size": size,
        "halo_px": 8,
        "prior_px": 64,
        "latent_dim": LATENT,
        "parameters": 0,
        "licence": "Apache-2.0",
        "training_data": "none: it returns its input",
    }
    return {**fields, **changes}


def write_student(root: Path, name: str = "denoise-s", **changes: Any) -> Path:
    """Export an identity student to `root/name`, description in both graphs; returns the folder."""
    folder = root / name
    folder.mkdir(parents=True, exist_ok=True)
    description = json.dumps(spec_fields(name, **changes))
    _save(_prior_graph(), folder / "prior.onnx", description)
    _save(_velocity_graph(), folder / "velocity.onnx", description)
    (folder / "card.md").write_text(f"# {name}\n\nReturns its input.\n", encoding="utf-8")
    return folder


def write_weights(root: Path, *names: str) -> list[ManifestEntry]:
    """A weights folder with a manifest of identity students."""
    return [store.register(write_student(root, name), QUALITY) for name in names]


def _prior_graph() -> onnx.GraphProto:
    """z = 0 · statistics · mean light: zero, and both inputs are used."""
    zero = helper.make_tensor("zero", TensorProto.FLOAT, [9, LATENT], [0.0] * 9 * LATENT)
    nodes = [
        helper.make_node("MatMul", ["statistics", "zero"], ["from_statistics"]),
        helper.make_node("ReduceMean", ["thumb"], ["light"], keepdims=0),
        helper.make_node("Mul", ["from_statistics", "light"], ["z"]),
    ]
    inputs = [
        helper.make_tensor_value_info("thumb", TensorProto.FLOAT, [1, 3, "h", "w"]),
        helper.make_tensor_value_info("statistics", TensorProto.FLOAT, [1, 9]),
    ]
    outputs = [helper.make_tensor_value_info("z", TensorProto.FLOAT, [1, LATENT])]
    return helper.make_graph(nodes, "prior", inputs, outputs, [zero])


def _velocity_graph() -> onnx.GraphProto:
    """displacement = x · (0 · (t + mean z)), zero everywhere."""
    zero = helper.make_tensor("zero", TensorProto.FLOAT, [], [0.0])
    nodes = [
        helper.make_node("ReduceMean", ["z"], ["mean_z"], keepdims=0),
        helper.make_node("Add", ["t", "mean_z"], ["state"]),
        helper.make_node("Mul", ["state", "zero"], ["nothing"]),
        helper.make_node("Mul", ["x", "nothing"], ["displacement"]),
    ]
    inputs = [
        helper.make_tensor_value_info("x", TensorProto.FLOAT, [1, 3, "H", "W"]),
        helper.make_tensor_value_info("t", TensorProto.FLOAT, [1]),
        helper.make_tensor_value_info("z", TensorProto.FLOAT, [1, LATENT]),
    ]
    outputs = [helper.make_tensor_value_info("displacement", TensorProto.FLOAT, [1, 3, "H", "W"])]
    return helper.make_graph(nodes, "velocity", inputs, outputs, [zero])


def _save(graph: onnx.GraphProto, path: Path, description: str) -> None:
    model = helper.make_model(graph, opset_imports=[helper.make_opsetid("", 17)], ir_version=8)
    helper.set_model_props(model, {"restorect": description, "exporter": "tests"})
    onnx.save(model, path)
