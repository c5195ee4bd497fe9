"""Measures how much faster `batch` is than the work of `enhance` on the same files, image after image.

    python scripts/measure_batch.py [--images 8] [--megapixels 12] [--threads 2] [--repeats 2]

Makes its own JPEGs. Both ways run in this process on loaded networks, in turns, and the best of each counts: the
sequential loop is that of `enhance` (read, restore, write, image after image, all threads), the other the pipeline of
`batch` with its own defaults. Run it on a machine that does nothing else.

The last line states the bound: no order of the steps is faster than all CPU seconds of the pipeline on all threads.
The gain is the time in which the sequential loop leaves a core idle: decoding, encoding, preparing windows, and
those operators of the network that run on one thread.
"""

from __future__ import annotations

import argparse
import shutil
import tempfile
import threading
import time
from pathlib import Path

import numpy as np
from PIL import Image

from restorect_cli.batch import MOST_JOBS
from restorect_cli.batch.pipeline import Pipeline
from restorect_cli.batch.plan import Item
from restorect_cli.batch.scan import Found
from restorect_cli.batch.work import Work, threads_each
from restorect_cli.files import Repairer, RepairSettings
from restorect_cli.jobs import Job


def make_photographs(folder: Path, count: int, megapixels: float) -> list[Path]:
    """Noisy JPEGs, 4:3."""
    height = round((megapixels * 1e6 * 3 / 4) ** 0.5)
    rng = np.random.default_rng(0)
    paths = []
    for index in range(count):
        smooth = Image.fromarray(rng.integers(0, 256, (height // 40, height // 30, 3), dtype=np.uint8))
        pixels = np.asarray(smooth.resize((height * 4 // 3, height), Image.Resampling.BICUBIC))
        noise = rng.standard_normal(pixels.shape, np.float32) * 8
        paths.append(folder / f"{index}.jpg")
        Image.fromarray(np.clip(pixels + noise, 0, 255).astype(np.uint8)).save(paths[-1], quality=92)
    return paths


def one_after_the_other(paths: list[Path], output: Path, repairer: Repairer) -> float:
    began = time.perf_counter()
    for path in paths:
        repairer.run(Job(path, output / path.name))
    return time.perf_counter() - began


def overlapped(paths: list[Path], output: Path, repairer: Repairer, jobs: int) -> tuple[float, dict[str, float]]:
    works = [Work(Item(Found(path.name), path.name, "restore"), path, output / path.name) for path in paths]
    pipeline = Pipeline(repairer, jobs, lambda work: None, threading.Event())
    began = time.perf_counter()
    results = list(pipeline.run(iter(works)))
    seconds = time.perf_counter() - began
    assert all(result.outcome for result in results)
    return seconds, pipeline.busy_seconds


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--images", type=int, default=8)
    parser.add_argument("--megapixels", type=float, default=12)
    parser.add_argument("--threads", type=int, default=2)
    parser.add_argument("--jobs", type=int, default=None)
    parser.add_argument("--repeats", type=int, default=2)
    wanted = parser.parse_args()
    jobs = wanted.jobs or min(MOST_JOBS, wanted.threads)
    settings = RepairSettings.of("denoise", device="cpu", threads=wanted.threads)
    alone = Repairer(settings)
    shared = Repairer(settings.with_threads(threads_each(wanted.threads, jobs)))
    sequential, pipelined, cpu = [], [], []
    with tempfile.TemporaryDirectory() as folder:
        paths = make_photographs(Path(folder), wanted.images, wanted.megapixels)
        for repeat in range(wanted.repeats):
            outputs = [Path(folder) / f"{way}-{repeat}" for way in ("sequential", "pipelined")]
            for output in outputs:
                output.mkdir()
            sequential.append(one_after_the_other(paths, outputs[0], alone))
            before = time.process_time()
            seconds, busy = overlapped(paths, outputs[1], shared, jobs)
            pipelined.append(seconds)
            cpu.append(time.process_time() - before)
            same = all((outputs[0] / path.name).read_bytes() == (outputs[1] / path.name).read_bytes() for path in paths)
            stages = ", ".join(f"{stage} {busy[stage]:.1f} s" for stage in busy)
            print(
                f"one after the other {sequential[-1]:.1f} s, overlapped {seconds:.1f} s ({stages}), same bytes: {same}"
            )
            for output in outputs:
                shutil.rmtree(output)
    megapixels = wanted.images * wanted.megapixels
    best, other = min(pipelined), min(sequential)
    print(
        f"{wanted.images} images of {wanted.megapixels:g} MP, {wanted.threads} threads, {jobs} at a time: "
        f"{megapixels / other:.2f} and {megapixels / best:.2f} MP/s, {other / best:.2f} times as fast"
    )
    bound = min(cpu) / wanted.threads
    print(
        f"{min(cpu):.1f} CPU seconds: at best {bound:.1f} s on {wanted.threads} cores, "
        f"{other / bound:.2f} times as fast"
    )


if __name__ == "__main__":
    main()
