"""Measures what the README says of speed: seconds per megapixel, share of the matrix-product rate, memory, start-up.

    python scripts/measure_speed.py [--task denoise] [--model s] [--threads 2]      (needs the extra train)

Run it on a machine that does nothing else. The matrix-product rate is that of a float32 MatMul of
3072 x 3072 in ONNX Runtime with the same threads in the same run; the share counts the operations of
the convolutions, tile halos not included.
"""

from __future__ import annotations

import argparse
import resource
import subprocess
import sys
import tempfile
import time
from pathlib import Path

import numpy as np
import onnx
import torch
from PIL import Image
from torch.utils.flop_counter import FlopCounterMode

from restorect_cli import Restorer
from restorect_cli.engine.runtime import ort
from restorect_cli.training.nets.student import SHAPES, Student

SIDE = 3072


def matrix_rate(threads: int) -> float:
    """Floating-point operations per second of a float32 MatMul."""
    node = onnx.helper.make_node("MatMul", ["a", "b"], ["c"])
    shape = [SIDE, SIDE]
    values = [onnx.helper.make_tensor_value_info(name, onnx.TensorProto.FLOAT, shape) for name in "abc"]
    graph = onnx.helper.make_graph([node], "matmul", values[:2], values[2:])
    model = onnx.helper.make_model(graph, opset_imports=[onnx.helper.make_opsetid("", 17)], ir_version=8)
    options = ort.SessionOptions()
    options.intra_op_num_threads = threads
    session = ort.InferenceSession(model.SerializeToString(), options, providers=["CPUExecutionProvider"])
    a = np.random.default_rng(0).random(shape, np.float32)
    return 2 * SIDE**3 / best(lambda: session.run(None, {"a": a, "b": a}), 5)


def best(run, repeats: int) -> float:  # type: ignore[no-untyped-def]
    seconds = []
    for _ in range(repeats):
        began = time.perf_counter()
        run()
        seconds.append(time.perf_counter() - began)
    return min(seconds)


def operations_per_megapixel(size: str) -> float:
    student = Student(SHAPES[size])
    with FlopCounterMode(display=False) as counter, torch.no_grad():
        student.velocity(torch.zeros(1, 3, 512, 512), torch.ones(1), torch.zeros(1, student.shape.latent_dim))
    return counter.get_total_flops() / 0.262144


def peak_of_enhance(task: str, megapixels: int, threads: int) -> tuple[float, float]:
    """Seconds and peak gigabytes of `restorect enhance` on a JPEG of that size, in a process of its own."""
    height = round((megapixels * 1e6 * 3 / 4) ** 0.5)
    with tempfile.TemporaryDirectory() as folder:
        source = Path(folder) / "in.jpg"
        pixels = np.random.default_rng(0).integers(0, 256, (height // 8, height // 6, 3), dtype=np.uint8)
        Image.fromarray(pixels).resize((height * 4 // 3, height)).save(source, quality=90)
        words = [
            sys.executable,
            "-m",
            "restorect_cli",
            "enhance",
            str(source),
            "--task",
            task,
            "--threads",
            str(threads),
        ]
        began = time.perf_counter()
        subprocess.run([*words, "-o", str(Path(folder) / "out.jpg"), "-q"], check=True)
        seconds = time.perf_counter() - began
    return seconds, resource.getrusage(resource.RUSAGE_CHILDREN).ru_maxrss / 1e6


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--task", default="denoise")
    parser.add_argument("--model", default="s", choices=["s", "m"])
    parser.add_argument("--threads", type=int, default=2)
    parser.add_argument("--repeats", type=int, default=3)
    args = parser.parse_args()

    help_words = [sys.executable, "-m", "restorect_cli", "--help"]
    start = best(lambda: subprocess.run(help_words, check=True, capture_output=True), 5)
    print(f"restorect --help: {start:.2f} s")
    seconds, peak = peak_of_enhance(args.task, 48, args.threads)
    print(f"enhance, 48-megapixel JPEG: {seconds:.1f} s, peak {peak:.2f} GB")
    image = np.random.default_rng(0).random((3000, 4000, 3), np.float32)
    restorer = Restorer(args.task, model=args.model, device="cpu", threads=args.threads)
    restorer.restore(image[:1500, :1500])
    per_megapixel = best(lambda: restorer.restore(image), args.repeats) / 12
    rate, operations = matrix_rate(args.threads), operations_per_megapixel(args.model)
    reached = operations / per_megapixel
    print(f"Restorer, 12 megapixels, {args.threads} threads: {per_megapixel:.3f} s per megapixel")
    print(
        f"{operations / 1e9:.0f} GFLOP per megapixel: {reached / 1e9:.0f} of {rate / 1e9:.0f} GFLOP/s, "
        f"{100 * reached / rate:.0f} % of the machine's matrix-product rate"
    )


if __name__ == "__main__":
    main()
