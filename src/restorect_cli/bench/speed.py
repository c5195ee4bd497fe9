"""Measures what a repair costs: seconds per megapixel and peak memory by size, threads, precision and steps.

The machine's own rate is that of a float32 matrix product of 3072 x 3072 in ONNX Runtime, with the same threads in the
same run. Its share counts the operations of the convolutions, without tile halos.
"""

from __future__ import annotations

import base64
import math
import time
from collections.abc import Iterator, Sequence
from dataclasses import dataclass, replace
from importlib.util import find_spec
from pathlib import Path

import numpy as np

from ..engine.options import RestoreOptions
from ..engine.runtime import Graph
from ..engine.source import Image
from ..models import store
from ..names import Precision
from .memory import peak_bytes
from .method import Method, MethodSpec
from .methods import build

SIZES_MEGAPIXELS = (0.25, 1.0, 4.0, 12.0, 48.0)
MATRIX_SIDE = 3072
COUNTED_SIDE = 128  # of the picture that the operations are counted for
REPEATS = 3
ENOUGH_SECONDS = 20.0  # a longer run is not repeated

# A float32 MatMul, a (m, k) by b (k, n) to c, opset 13; made with the onnx package.
_MATMUL_GRAPH = base64.b64decode(
    "CAg6WwoRCgFhCgFiEgFjIgZNYXRNdWwSAW1aFQoBYRIQCg4IARIKCgMSAW0KAxIBa1oVCgFiEhAKDggBEgoKAxIBawoDEgFuYhUKAWMSEAoO"
    "CAESCgoDEgFtCgMSAW5CBAoAEA0="
)


@dataclass(frozen=True)
class Point:
    """Where to measure."""

    megapixels: float
    threads: int
    precision: Precision
    steps: int
    ensemble: int = 1  # mirrored copies that the network sees at each step


@dataclass(frozen=True)
class Cost:
    """One measurement."""

    model: str
    point: Point
    seconds_per_megapixel: float  # the best of a few
    peak_bytes: int | None  # of a process that does nothing else, libraries included
    share: float | None  # of the matrix-product rate; None if the operations cannot be counted


def plan_points(
    sizes: Sequence[float], threads: Sequence[int], precisions: Sequence[Precision], steps: Sequence[int]
) -> list[Point]:
    """Every size with the first of all other values; every thread count, precision and number of steps at one size.

    That size is the one nearest to a megapixel, because the whole grid would take hours.
    """
    usual = min(sizes, key=lambda size: abs(size - 1))
    points = [Point(size, threads[0], precisions[0], steps[0]) for size in sizes]
    points += [Point(usual, count, precisions[0], steps[0]) for count in threads[1:]]
    points += [Point(usual, threads[0], precision, steps[0]) for precision in precisions[1:]]
    points += [Point(usual, threads[0], precisions[0], count) for count in steps[1:]]
    return points


def measure_costs(
    task: str,
    options: RestoreOptions,
    *,
    sizes: Sequence[float] = SIZES_MEGAPIXELS,
    threads: Sequence[int],
    steps: Sequence[int] | None = None,
) -> Iterator[Cost]:
    """Costs at the planned points, each as soon as it is measured; int8 if the model comes with an int8 graph.

    steps: None for all that the model can take. Each point replaces threads, precision and steps of the options.
    Raises ModelError, DeviceError or UsageError.
    """
    student = store.find(task, options.model)
    operations = operations_per_megapixel(student.velocity)
    spec = MethodSpec("restorect", student.spec.name)
    precisions: list[Precision] = ["fp32", "int8"] if student.velocity_int8 is not None else ["fp32"]
    rates = {count: matrix_rate(count) for count in threads}
    for planned in plan_points(sizes, threads, precisions, steps or range(1, student.spec.max_steps + 1)):
        point = replace(planned, ensemble=options.ensemble)
        one = replace(options, threads=point.threads, precision=point.precision, steps=point.steps)
        image = noise_picture(point.megapixels)
        seconds = best_seconds(build(spec, task, one), image) / point.megapixels
        share = operations * point.steps * point.ensemble / seconds / rates[point.threads] if operations else None
        yield Cost(student.spec.name, point, seconds, peak_bytes(spec, task, one, image, None), share)


def growth(costs: Sequence[Cost]) -> tuple[float, float] | None:
    """Exponents k of time ~ size^k and memory ~ size^k (1 is linear), over the points that differ in size alone."""
    first = costs[0].point
    line = [cost for cost in costs if replace(cost.point, megapixels=first.megapixels) == first and cost.peak_bytes]
    if len(line) < 2:
        return None
    sizes = np.log([cost.point.megapixels for cost in line])
    seconds = np.log([cost.seconds_per_megapixel * cost.point.megapixels for cost in line])
    peaks = np.log([cost.peak_bytes or 1 for cost in line])
    return float(np.polyfit(sizes, seconds, 1)[0]), float(np.polyfit(sizes, peaks, 1)[0])


def noise_picture(megapixels: float) -> Image:
    """Noise of shape 3:4 with this many megapixels; the network's time does not depend on the content."""
    height = max(1, round((megapixels * 1e6 * 3 / 4) ** 0.5))
    return np.random.default_rng(0).random((height, round(megapixels * 1e6 / height), 3), np.float32)


def best_seconds(method: Method, image: Image) -> float:
    """The shortest of a few runs, or the only one if it takes long."""
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
    """Operations of the convolutions in one step; None without the onnx package, or without convolutions."""
    if find_spec("onnx") is None:
        return None
    import onnx

    model = onnx.load(velocity)
    convolutions = [node for node in model.graph.node if node.op_type == "Conv"]
    if not convolutions:
        return None
    kernels = {tensor.name: list(tensor.dims) for tensor in model.graph.initializer}
    del model.graph.output[:]  # run once with every convolution's result as an output, because their sizes are dynamic
    model.graph.output.extend(
        onnx.helper.make_tensor_value_info(node.output[0], onnx.TensorProto.FLOAT, None) for node in convolutions
    )
    feeds = {
        value.name: np.zeros([axis.dim_value or COUNTED_SIDE for axis in value.type.tensor_type.shape.dim], np.float32)
        for value in model.graph.input
    }
    results = Graph(model.SerializeToString(), "cpu", 1).run(feeds)
    counted = sum(results[node.output[0]].size * math.prod(kernels[node.input[1]][1:]) for node in convolutions)
    return float(2 * counted / (COUNTED_SIDE**2 / 1e6))
