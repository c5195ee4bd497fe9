"""Teachers of a few operators whose answer is known, as ONNX files."""

from __future__ import annotations

from collections.abc import Sequence
from pathlib import Path
from typing import Any

import numpy as np
from onnx import TensorProto, helper, numpy_helper

OPSET, IR_VERSION = 17, 8


def write_teacher(
    path: Path,
    nodes: Sequence[tuple[str, list[str], list[str], dict[str, Any]]],
    *,
    constants: dict[str, Any] | None = None,
    shape: Sequence[int | str] = (1, 3, "h", "w"),
    result: Sequence[int | str] | None = None,
    inputs: Sequence[str] = ("x",),
    outputs: Sequence[str] = ("y",),
    kind: int = TensorProto.FLOAT,
) -> Path:
    """Write a network of these (operator, inputs, outputs, attributes)."""
    ends = [helper.make_tensor_value_info(name, kind, list(shape)) for name in inputs]
    results = [helper.make_tensor_value_info(name, kind, list(result or shape)) for name in outputs]
    made = [helper.make_node(operator, ins, outs, **attributes) for operator, ins, outs, attributes in nodes]
    stored = [numpy_helper.from_array(np.asarray(value), name) for name, value in (constants or {}).items()]
    graph = helper.make_graph(made, "teacher", ends, results, stored)
    model = helper.make_model(graph, opset_imports=[helper.make_opsetid("", OPSET)])
    model.ir_version = IR_VERSION
    path.write_bytes(model.SerializeToString())
    return path


def brighter(path: Path, by: float = 0.1, **how: Any) -> Path:
    """Adds `by` to every value."""
    return write_teacher(path, [("Add", ["x", "by"], ["y"], {})], constants={"by": np.float32(by)}, **how)


def halving(path: Path, factor: int, **how: Any) -> Path:
    """Shrinks and enlarges by `factor`: keeps the size of multiples of it alone."""
    pool = {"kernel_shape": [factor, factor], "strides": [factor, factor]}
    scales = np.array([1, 1, factor, factor], np.float32)
    return write_teacher(
        path,
        [("AveragePool", ["x"], ["small"], pool), ("Resize", ["small", "", "scales"], ["y"], {"mode": "nearest"})],
        constants={"scales": scales},
        **how,
    )
