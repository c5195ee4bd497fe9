"""What a repair costs: seconds per megapixel and peak memory by size, threads, precision and steps.

The share of the machine's own rate is that of a float32 matrix product of 3072 x 3072 in ONNX Runtime, with
the same threads in the same run. Operations of the convolutions are counted, tile halos not included.
"""

from __future__ import annotations

import base64
import time
from collections.abc import Callable, Iterator, Sequence
from dataclasses import dataclass, replace
from importlib.util import find_spec
from pathlib import Path

import numpy as np

from ..errors import ModelError
from ..models import store
from ..runtime import Graph
from ..source import Image
from .memory import peak_bytes
from .methods import Method, MethodSpec, Settings, build

SIZES_MEGAPIXELS = (0.25, 1.0, 4.0, 12.0, 48.0)
MATRIX_SIDE = 3072
COUNTED_SIDE = 512  # of the picture that the operations are counted for
REPEATS = 3
ENOUGH_SECONDS = 20.0  # a longer run is not repeated

# A float32 MatMul, a (m, k) by b (k, n) to c, opset 13; made with the onnx package.
_MATMUL_GRAPH = base64.b64decode(
    "CAg6WwoRCgFhCgFiEgFjIgZNYXRNdWwSAW1aFQoBYRIQCg4IARIKCgMSAW0KAxIBa1oVCgFiEhAKDggBEgoKAxIBawoDEgFuYhUKAWMSEAoO"
    "CAESCgoDEgFtCgMSAW5CBAoAEA0="
)


@dataclass(frozen=True)
class Cost:
    """One measurement."""

    student: str
    megapixels: float
    threads: int
    precision: str
    steps: int
    seconds_per_megapixel: float  # the best of a few
    peak_bytes: int | None  # of a process that does nothing else
    share: float | None  # of the matrix-product rate; None where the operations cannot be counted


def measure_costs(
    settings: Settings,
    *,
    sizes: Sequence[float] = SIZES_MEGAPIXELS,
    threads: Sequence[int],
    steps: Sequence[int] = (1,),
    with_memory: bool = True,
    done: Callable[[int], None] = lambda amount: None,
) -> Iterator[Cost]:
    """Costs by thread count, precision, steps and size, each as soon as it is measured.

    int8 is measured where the student comes with such a graph. Raises ModelError, DeviceError or UsageError.
    """
    student = store.find(settings.task, settings.model)
    operations = operations_per_megapixel(student.velocity)
    spec = MethodSpec("restorect", student.spec.name)
    precisions = ("fp32", "int8") if student.velocity_int8 is not None else ("fp32",)
    for count in threads:
        rate = matrix_rate(count)
        for precision in precisions:
            for step in steps:
                one = replace(settings, threads=count, precision=precision, steps=step)
                method = build(spec, one)
                for size in sizes:
                    image = test_picture(size)
                    seconds = best_seconds(method, image) / size
                    peak = peak_bytes(spec, one, image, None) if with_memory else None
                    share = operations * step / seconds / rate if operations else None
                    yield Cost(student.spec.name, size, count, precision, step, seconds, peak, share)
                    done(1)


def test_picture(megapixels: float) -> Image:
    """Noise of shape 3:4 with this many megapixels; the network's time does not depend on what it sees."""
    height = max(1, round((megapixels * 1e6 * 3 / 4) ** 0.5))
    return np.random.default_rng(0).random((height, round(megapixels * 1e6 / height), 3), np.float32)


test_picture.__test__ = False  # type: ignore[attr-defined]  # not a test, whatever its name says


def best_seconds(method: Method, image: Image) -> float:
    """The shortest of a few runs; of one where that takes long."""
    method(image[:256, :256])
    taken: list[float] = []
    while len(taken) < REPEATS and sum(taken) < ENOUGH_SECONDS:
        began = time.perf_counter()
        method(image)
        taken.append(time.perf_counter() - began)
    return min(taken)


def matrix_rate(threads: int, side: int = MATRIX_SIDE) -> float:
    """Floating-point operations per second of a float32 matrix product."""
    graph = Graph(_MATMUL_GRAPH, "cpu", threads)
    a = np.random.default_rng(0).random((side, side), np.float32)
    taken = []
    for _ in range(5):
        began = time.perf_counter()
        graph.run({"a": a, "b": a})
        taken.append(time.perf_counter() - began)
    return 2 * side**3 / min(taken)


def operations_per_megapixel(velocity: Path) -> float | None:
    """Floating-point operations of the graph's convolutions in one step; None without the onnx package."""
    if find_spec("onnx") is None:
        return None
    import onnx

    model = onnx.load(velocity)
    for value in model.graph.input:
        shape = value.type.tensor_type.shape.dim
        if len(shape) == 4:
            for axis, size in enumerate((1, 3, COUNTED_SIDE, COUNTED_SIDE)):
                shape[axis].dim_value = size
    del model.graph.value_info[:]  # sizes by name, from the export
    inferred = onnx.shape_inference.infer_shapes(model, data_prop=True).graph
    sizes = {value.name: [axis.dim_value for axis in value.type.tensor_type.shape.dim] for value in (*inferred.value_info, *inferred.output)}
    kernels = {tensor.name: list(tensor.dims) for tensor in inferred.initializer}
    operations = 0
    for node in inferred.node:
        if node.op_type == "Conv":
            output = sizes.get(node.output[0], [])
            if not output or 0 in output:
                raise ModelError(f"{velocity}: the size of {node.output[0]} cannot be inferred")
            operations += 2 * int(np.prod(output)) * int(np.prod(kernels[node.input[1]][1:]))
    return operations / (COUNTED_SIDE**2 / 1e6)
