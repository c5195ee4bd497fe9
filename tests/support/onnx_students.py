"""Students of a few operators whose answer is known, as folders of ONNX files."""

from __future__ import annotations

from pathlib import Path

import numpy as np
from onnx import ModelProto, TensorProto, helper, numpy_helper

from restorect_cli.models.specs import METADATA_KEY, StudentSpec

LATENT_DIM = 2
REACH_PX = 2  # of the "reaching" student

OPSET = 17
IR_VERSION = 8


def spec(**facts) -> StudentSpec:
    """A complete description of a test student; any fact can be given."""
    defaults = dict(
        name="denoise-s",
        task="denoise",
        size="s",
        version="1",
        target="cumulative",
        grid="hand-set",
        default_steps=1,
        max_steps=4,
        size_multiple=8,
        halo_px=8,
        latent_dim=LATENT_DIM,
        parameters=0,
        licence="Apache-2.0",
        training_data="none",
    )
    return StudentSpec(**(defaults | facts))


def make_student(folder: Path, kind: str = "identity", **facts) -> Path:
    """Write prior.onnx and velocity.onnx of a student into `folder` and return it.

    identity   displacement 0
    reaching   cumulative displacement from a 5×5 convolution of x: reach 2 px, zero beyond the border
    brighten   displacement −z[0], with z[0] = mean of the thumbnail: the picture grows brighter by its mean
    halve      displacement x/2, so one step halves every value
    """
    folder.mkdir(parents=True, exist_ok=True)
    description = spec(**facts)
    for name, model in (("prior", prior_model()), ("velocity", velocity_model(kind))):
        helper.set_model_props(model, {METADATA_KEY: description.model_dump_json()})
        (folder / f"{name}.onnx").write_bytes(model.SerializeToString())
    return folder


def prior_model() -> ModelProto:
    """z = [mean of the thumbnail, mean of the statistics]."""
    nodes = [
        helper.make_node("ReduceMean", ["thumb"], ["light"], axes=[1, 2, 3], keepdims=0),
        helper.make_node("ReduceMean", ["statistics"], ["roughness"], axes=[1], keepdims=0),
        helper.make_node("Unsqueeze", ["light", "one"], ["light_column"]),
        helper.make_node("Unsqueeze", ["roughness", "one"], ["roughness_column"]),
        helper.make_node("Concat", ["light_column", "roughness_column"], ["z"], axis=1),
    ]
    inputs = [_value("thumb", [1, 3, "h", "w"]), _value("statistics", [1, 9])]
    return _model(nodes, inputs, [_value("z", [1, LATENT_DIM])], {"one": np.array([1])})


def velocity_model(kind: str) -> ModelProto:
    """The velocity graph of `make_student`'s kinds; every input is read, as in a real one."""
    constants = {
        "zero": np.float32(0),
        "half": np.float32(0.5),
        "column": np.array([0]),
        "image_shape": np.array([1, 1, 1, 1]),
    }
    unused = [
        helper.make_node("ReduceSum", ["z"], ["z_sum"], keepdims=0),
        helper.make_node("ReduceSum", ["t"], ["t_sum"], keepdims=0),
        helper.make_node("Add", ["z_sum", "t_sum"], ["unused"]),
        helper.make_node("Mul", ["unused", "zero"], ["nothing"]),
    ]
    if kind == "identity":
        body = [helper.make_node("Mul", ["x", "zero"], ["change"])]
    elif kind == "halve":
        body = [helper.make_node("Mul", ["x", "half"], ["change"])]
    elif kind == "brighten":
        body = [
            helper.make_node("Gather", ["z", "column"], ["light"], axis=1),
            helper.make_node("Reshape", ["light", "image_shape"], ["light_pixel"]),
            helper.make_node("Mul", ["x", "zero"], ["black"]),
            helper.make_node("Sub", ["black", "light_pixel"], ["change"]),
        ]
    elif kind == "reaching":
        rng = np.random.default_rng(0)
        constants["kernel"] = (rng.standard_normal((3, 3, 5, 5)) * 0.05).astype(np.float32)
        body = [helper.make_node("Conv", ["x", "kernel"], ["change"], pads=[2, 2, 2, 2])]
    else:
        raise ValueError(kind)
    nodes = [*unused, *body, helper.make_node("Add", ["change", "nothing"], ["displacement"])]
    inputs = [_value("x", [1, 3, "H", "W"]), _value("t", [1]), _value("z", [1, LATENT_DIM])]
    used = {name for node in nodes for name in node.input}
    return _model(
        nodes,
        inputs,
        [_value("displacement", [1, 3, "H", "W"])],
        {name: value for name, value in constants.items() if name in used},
    )


def _value(name: str, shape: list[int | str]):
    return helper.make_tensor_value_info(name, TensorProto.FLOAT, shape)


def _model(nodes, inputs, outputs, constants) -> ModelProto:
    initializers = [numpy_helper.from_array(np.asarray(value), name) for name, value in constants.items()]
    graph = helper.make_graph(nodes, "student", inputs, outputs, initializers)
    model = helper.make_model(graph, opset_imports=[helper.make_opsetid("", OPSET)])
    model.ir_version = IR_VERSION
    return model
